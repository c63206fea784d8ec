"""`headgate db`: the database itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import on_demand
from headgate.cli.backup import back_up
from headgate.cli.db_copy import copy
from headgate.cli.key_rotation import rotate_key
from headgate.cli.options import AsJson, ConfigPath, load, read_path
from headgate.cli.terminal import clock_time, counted, failing_as, out, print_json, table

if TYPE_CHECKING:
    from headgate.storage.database import Database

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate db info",
    help="The database that accounts and history are kept in.",
)


@app.command("info", epilog="Example: headgate db info")
def info(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show where the database is, how large and how old, and what waits to be stored."""
    loaded = load(config)
    with failing_as("Cannot read the database"):
        found = asdict(asyncio.run(_with_database(loaded, on_demand.database_info)))
    found["journal_lag_bytes"] = on_demand.journal_lag(loaded)
    if as_json:
        print_json(found)
        return
    behind = (
        "" if found["revision"] == found["newest_revision"] else f", newest is {found['newest_revision']}"
    )
    lines = [
        ("Database", f"{found['location']} ({found['kind']})"),
        ("Schema", f"{found['revision'] or 'none yet'}{behind}"),
        ("Size", _size(found["size_bytes"])),
        ("Oldest request", clock_time(_seconds(found["oldest_request_at"]))),
        ("Newest request", clock_time(_seconds(found["newest_request_at"]))),
        ("Kept bodies", _size(found["bodies_bytes"])),
        ("In the journal", f"{found['journal_lag_bytes']} bytes not stored yet"),
    ]
    for name, value in lines:
        out.print(f"{name:<15} {value}", markup=False, soft_wrap=True)
    out.print(table(("table", "#rows"), list(found["rows"].items())))
    if found["partitions"]:
        out.print(table(("part of", "table", "from", "#size"), map(_partition, found["partitions"])))


@app.command("check", epilog="Example: headgate db check")
def check(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look for damage: integrity, schema, orphans. Exit code 1 when something is wrong."""
    loaded = load(config)
    with failing_as("Cannot check the database"):
        result = asyncio.run(_with_database(loaded, on_demand.check_database))
    if as_json:
        print_json({"ok": result.is_ok, "problems": result.problems, "checked": result.checked})
    elif result.is_ok:
        out.print(f"The database is in order: {', '.join(result.checked)}", markup=False)
    else:
        for problem in result.problems:
            out.print(problem, style="red", markup=False, soft_wrap=True)
        out.print(
            "Mend: headgate db upgrade for an older schema; for damage put a backup in the file's place.",
            markup=False,
            soft_wrap=True,
        )
    if not result.is_ok:
        raise typer.Exit(1)


@app.command("backup", epilog="Example: headgate db backup /backups/headgate-monday.db")
def backup(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            parser=read_path,
            help="A new file, or a folder that is there.",
            show_default=False,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    no_key: Annotated[bool, typer.Option("--no-key", help="Leave the encryption key out.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy database, encryption key and settings file, consistently and while the gateway runs."""
    loaded = load(config)
    with failing_as("Cannot back up the database"):
        copied = back_up(loaded, path, force=force, with_key=not no_key)
    if as_json:
        print_json(
            {"files": [{"what": one.what, "path": str(one.path), "bytes": one.size_bytes} for one in copied]}
        )
        return
    for one in copied:
        out.print(
            f"Copied the {one.what} to {one.path} ({_size(one.size_bytes)})", markup=False, soft_wrap=True
        )
    if loaded.secret_key and not no_key:
        said = "The key stands in HEADGATE_SECRET_KEY: keep it with the copy, which it alone opens."
        out.print(said, style="yellow", markup=False, soft_wrap=True)
    elif any(one.what == "encryption key" for one in copied):
        said = "With its key the copy opens every account: keep it as safe as the accounts themselves."
        out.print(said, style="yellow", markup=False, soft_wrap=True)


@app.command("upgrade", epilog="Example: headgate db upgrade")
def upgrade(
    no_copy: Annotated[
        bool, typer.Option("--no-copy", help="Make no copy of the SQLite file first, for want of room.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Bring the schema to the newest revision, as every start does; all of it or nothing."""
    with failing_as("Cannot upgrade the schema"):
        done, place, copy = asyncio.run(_upgrade(config, with_copy=not no_copy))
    if as_json:
        print_json({"ran": done, "location": place, "copied_to": str(copy) if copy else None})
        return
    said = f"Ran {', '.join(done)} on {place}" if done else f"The schema of {place} is up to date"
    out.print(said, markup=False, soft_wrap=True)
    if copy is not None:
        out.print(f"The database as it was before is in {copy}", markup=False, soft_wrap=True)


app.command("copy", epilog="Example: headgate db copy --to postgresql://headgate@db.example/headgate")(copy)


app.command("rotate-key", epilog="Example: headgate db rotate-key")(rotate_key)


@app.command("vacuum", epilog="Example: headgate db vacuum")
def vacuum(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Give the room of deleted rows back to the disk. Records wait in the journal meanwhile."""
    loaded = load(config)
    with failing_as("Cannot vacuum the database"):
        before, after = asyncio.run(_with_database(loaded, on_demand.vacuum_database))
    if as_json:
        print_json({"bytes_before": before, "bytes_after": after})
    else:
        out.print(f"The database had {_size(before)} and has {_size(after)} now", markup=False)


@app.command("relink", epilog="Example: headgate db relink")
def relink(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Link all requests to conversations anew, from the hashes that are kept. Records wait meanwhile."""
    loaded = load(config)
    with failing_as("Cannot link the requests anew"):
        done = asyncio.run(_with_database(loaded, on_demand.relink_database))
    if as_json:
        print_json(asdict(done))
        return
    out.print(f"{counted(done.requests, 'request')} linked anew, {done.moved:,} of them to another place")
    if done.left:
        out.print(f"{counted(done.left, 'request')} of callers with too many were left as they are")


async def _with_database(loaded: Any, work: "Callable[[Database], Awaitable[Any]]") -> Any:
    """As it is: neither made nor upgraded."""
    database = await on_demand.open_database(loaded, create=False)
    try:
        return await work(database)
    finally:
        await database.close()


async def _upgrade(config: Path | None, *, with_copy: bool) -> tuple[list[str], str, Path | None]:
    """The revisions that were run, the database in words that hold no password, and the copy of before."""
    database = await on_demand.open_database(load(config))
    try:
        return await database.upgrade(with_copy=with_copy), database.location, database.copied_to
    finally:
        await database.close()


def _partition(one: dict[str, Any]) -> tuple[str, str, str, str]:
    since = "the beginning" if one["since_ms"] is None else clock_time(_seconds(one["since_ms"]))
    return one["table"], one["name"], since, _size(one["size_bytes"])


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _size(size_bytes: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} bytes"
