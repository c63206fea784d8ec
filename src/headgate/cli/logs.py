"""`headgate logs`: where the log file is, its last lines, and those to come."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate import log
from headgate.cli import on_demand
from headgate.cli.options import AsJson, ConfigPath, load, origin, warn, warn_beside_gateway
from headgate.cli.terminal import CommandFailed, err, out, print_json, print_json_line
from headgate.errors import SettingsError
from headgate.log_reading import Entry, Follower, last_entries, read_entries

if TYPE_CHECKING:
    from headgate.cli.control import Control

_DOING = "Cannot show the log"
_LOOK_EVERY_SECONDS = 0.2
_WAITS_FOR_GATEWAY_SECONDS = 3.0


def logs(
    path: Annotated[bool, typer.Option("--path", help="Print only where the file is.")] = False,
    lines: Annotated[
        int,
        typer.Option("--lines", "-n", metavar="N", min=0, max=100_000, help="How many; a trace is one."),
    ] = 50,
    level: Annotated[
        str | None,
        typer.Option(metavar="L", help="Only debug, info, warn or error and worse.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl+C.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print the last lines of the log file, those of gateway and recorder alike."""
    wanted = _level(level)
    file = asyncio.run(_file(config))
    if file is None:
        raise CommandFailed(
            _DOING,
            "log.file is null: lines go to the gateway's standard output alone",
            "Set log.file to a path, or to default.",
        )
    if path:
        _print_path(file, as_json=as_json)
    elif follow:
        asyncio.run(_follow(file, lines, wanted, as_json=as_json))
    else:
        found = _last(file, lines, wanted)
        if as_json:
            print_json({"path": str(file), "lines": [_document(entry) for entry in found]})
        else:
            _print(found)


async def _file(config: Path | None) -> Path | None:
    """Where the gateway that runs writes; else where the settings say, and if they are wrong the usual place.

    This is what people read when nothing else works.
    """
    with suppress(CommandFailed, TimeoutError):  # it hangs, or is on its way down
        async with (
            asyncio.timeout(_WAITS_FOR_GATEWAY_SECONDS),
            on_demand.running_gateway(origin(config).data_folder()) as gateway,
        ):
            if gateway is not None:
                file = await _file_of(gateway)
                warn_beside_gateway(config)
                return file
    try:
        return log.file_of(load(config).settings.log.file)
    except SettingsError as error:
        warn(f"The settings are wrong, so this is the log file that is usual here: {error.message}")
        return log.default_file()


async def _file_of(gateway: "Control") -> Path | None:
    """As it writes it, from its own folder and environment."""
    with suppress(CommandFailed):
        return Path((await gateway.get("/api/logs", doing=_DOING, params={"limit": 1}))["path"])
    view = await gateway.get("/api/config", doing=_DOING)
    return log.file_of(next(one["value"] for one in view["settings"] if one["path"] == "log.file"))


def _level(given: str | None) -> str | None:
    if given is None:
        return None
    wanted = {"warning": "warn"}.get(given.lower(), given.lower())
    if wanted not in log.LEVELS:
        known = ", ".join(log.LEVELS)
        raise CommandFailed(
            _DOING, f"{given} is no level", f"Levels are {known}; one includes those after it.", exit_code=2
        )
    # Everything, lines of strangers included, is what the lowest level asks for.
    return None if wanted == "debug" else wanted


def _print_path(file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(file)})
    else:
        out.print(str(file), markup=False, soft_wrap=True)


def _last(file: Path, count: int, level: str | None, *, end: int | None = None) -> list[Entry]:
    try:
        return last_entries(file, count, level=level, end=end) if count else []
    except OSError as error:
        raise CommandFailed(_DOING, f"{file}: {error.strerror}", _mend(error)) from error


async def _follow(file: Path, count: int, level: str | None, *, as_json: bool) -> None:
    """The last lines, then each new one, whatever becomes of the file meanwhile."""
    try:
        follower = Follower(file)
    except OSError as error:
        raise CommandFailed(_DOING, f"{file}: {error.strerror}", _mend(error)) from error
    try:
        if follower.is_waiting:
            err.print(f"Waiting for {file}", style="dim", soft_wrap=True, markup=False)
        else:
            _show(_last(file, count, level, end=follower.start), as_json=as_json)
        shows_rest = level is None
        while True:
            found = []
            for entry in read_entries(follower.new_lines()):
                # What has no level goes with the line above it, which came with the look before.
                shows_rest = entry.is_at_least(level) if entry.level is not None else shows_rest
                if shows_rest:
                    found.append(entry)
            _show(found, as_json=as_json)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    finally:
        follower.close()


def _show(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        for entry in entries:
            print_json_line(_document(entry))
    else:
        _print(entries)


def _print(entries: list[Entry]) -> None:
    # Not by Rich: ten thousand lines shall not take seconds.
    if entries:
        out.file.write("".join(f"{_harmless(entry.text)}\n" for entry in entries))
        out.file.flush()


def _harmless(text: str) -> str:
    """A stranger's line in the file must not steer the terminal; ours have nothing to replace."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _document(entry: Entry) -> dict[str, Any]:
    """As `GET /api/logs` has it."""
    fields = asdict(entry)
    return {"logged_at": fields.pop("at_ms")} | fields


def _mend(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "headgate serve writes it; the setting log.file says where."
    return (
        "Name a file of your own in the setting log.file, or ask as the user whose gateway writes this one."
    )
