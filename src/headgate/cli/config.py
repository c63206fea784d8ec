"""`headgate config …`: where the settings are, what is in force, and changes to them.

Shown and changed on the gateway that runs on the same settings file, else on the file itself: no database
is needed for it, and a file that is wrong can be set right.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import completion
from headgate.cli.config_places import all_places, found_wrong
from headgate.cli.control import Control, running_gateway
from headgate.cli.fitting import print_fitting
from headgate.cli.options import AsJson, ConfigPath, origin, read_path, warn
from headgate.cli.terminal import CommandFailed, failing_as, out, print_json, read_stdin
from headgate.config import changing, other_names, schema, table
from headgate.config.exposure import refuse_to_stand_open
from headgate.config.first_file import as_yaml
from headgate.config.loading import Examined, Origin
from headgate.config.shown import shown
from headgate.errors import SettingsError

app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: headgate config show",
    help="The settings: where they are, what is in force, and changes to them.",
)
Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="Setting, such as routing.strategy, or a section.",
        autocompletion=completion.settings,
    ),
]


# ---- what is there -------------------------------------------------------------------------------


@app.command("path", epilog="Example: headgate config path --all")
def path(
    all_files: Annotated[bool, typer.Option("--all", help="Every file and folder that is used.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print where the settings file is."""
    start = origin(config)
    found = all_places(start) if all_files else {"settings file": start.file()}
    if as_json:
        print_json({name: {"path": str(one), "exists": one.exists()} for name, one in found.items()})
    elif all_files:
        rows = [(name, str(one), "yes" if one.exists() else "no") for name, one in found.items()]
        print_fitting(["what", "path", "exists"], rows)
    else:
        out.print(str(found["settings file"]), soft_wrap=True, markup=False)


@app.command("show", epilog="Example: headgate config show --json")
def show(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print every setting in force and where its value comes from. Secrets are masked."""
    view = asyncio.run(_view(config))
    if as_json:
        print_json(view)
        return
    own = f"file {view['path']}"
    rows = [(one["path"], _text(one["value"]), _source(one, own)) for one in view["settings"]]
    out.print(f"Settings file: {view['path']}", soft_wrap=True, markup=False)
    print_fitting(["setting", "value", "source"], rows)
    _say_notices(view)


@app.command("get", epilog="Example: headgate config get routing.strategy")
def get(key: Key, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the value in force of one setting, or of those in a section."""
    key = _our_name(key)
    view = asyncio.run(_view(config))
    found = {
        one["path"]: one["value"]
        for one in view["settings"]
        if one["path"] == key or one["path"].startswith(key + ".")
    }
    if not found:
        with _refusing(f"Cannot get {key}"):
            changing.check_settable(key)
        row = table.row_of(key)
        found = {key: row.default if row else None}
    if as_json:
        print_json(found.get(key, found))
    elif key in found:
        out.print(_text(found[key]), soft_wrap=True, markup=False)
    else:
        for name, value in found.items():
            out.print(f"{name}: {_text(value)}", soft_wrap=True, markup=False)


@app.command("check", epilog="Example: headgate config check ./config.yaml")
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", parser=read_path, help="File to check instead of the one in force."),
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Say all that is wrong with the settings, with line and column. Exit code 2 when anything is."""
    path, wrong, warnings = examined(origin(file or config))
    if as_json:
        print_json({"path": str(path), "ok": not wrong, "errors": wrong, "warnings": warnings})
    else:
        for warning in warnings:
            warn(warning)
        for one in wrong:
            out.print(f"error: {one['message']}", soft_wrap=True, markup=False)
        counted = f"{len(wrong)} error{'s' if len(wrong) != 1 else ''}"
        verdict = f"{counted} in the settings of {path}" if wrong else f"The settings of {path} are right"
        out.print(verdict, soft_wrap=True, markup=False)
    raise typer.Exit(2 if wrong else 0)


@app.command("schema", epilog="Example: headgate config schema")
def print_schema(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the JSON Schema of the settings file, for editors: always JSON."""
    print_json(schema.document())


@app.command("docs", epilog="Example: headgate config docs")
def docs(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print every setting there is, with its default, its unit and what it means."""
    rows = list(table.rows())
    if as_json:
        print_json([schema.described(row) for row in rows])
        return
    cells = [
        (row.path, "required" if row.is_required else as_yaml(row.default), row.unit, _meaning(row))
        for row in rows
    ]
    print_fitting(["setting", "default", "unit", "meaning"], cells)


def _meaning(row: table.Row) -> str:
    marks = " Not in effect yet." if row.is_later else " Needs a restart." if row.needs_restart else ""
    return row.description + marks


# ---- changes -------------------------------------------------------------------------------------


@app.command("set", epilog="Example: headgate config set retry.attempts 5")
def set_value(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="Setting, such as routing.strategy.", autocompletion=completion.settings
        ),
    ],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="As the file has it: 5, true, null, [a, b], text.")
    ] = None,
    from_stdin: Annotated[
        bool, typer.Option("--stdin", help="Read VALUE from standard input: for secrets.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change one setting, at once on a gateway that runs, and in the file with its comments kept."""
    key = _our_name(key)
    with _refusing(f"Cannot set {key}"):
        changing.check_settable(key)
    _refuse_no_value(key, value, from_stdin=from_stdin)
    text = read_stdin(f"Cannot set {key}").strip() if from_stdin else value or ""
    answer = asyncio.run(_set(config, key, _parsed(key, text)))
    if as_json:
        print_json(answer)
        return
    for warning in answer["warnings"]:
        warn(warning)
    done = f"{key} is set in {answer['path']}" if answer["persisted"] else f"{key} is set, but not saved"
    out.print(done, soft_wrap=True, markup=False)


def _our_name(key: str) -> str:
    """Other gateways' guides call some settings otherwise: they are answered with the name here."""
    ours = other_names.ours(key)
    if ours != key:
        warn(f"{key} is called {ours} here")
    return ours


def _refuse_no_value(key: str, value: str | None, *, from_stdin: bool) -> None:
    if (value is None) == from_stdin:
        return
    row = table.row_of(key)
    if value is not None:
        why, mend = "VALUE and --stdin are two values", "Leave one of them out."
    elif row is not None and row.is_secret:
        why = "VALUE is missing, and a secret is best read from standard input"
        mend = f"headgate config set {key} --stdin < FILE"
    else:
        why, mend = "VALUE is missing", f"headgate config set {key} VALUE"
    raise CommandFailed(f"Cannot set {key}", why, mend, exit_code=2)


async def _set(config: Path | None, key: str, value: Any) -> dict[str, Any]:
    start = origin(config)
    file, doing = start.file(), f"Cannot set {key}"
    if left := changing.mend_one(start, file, key, value):
        return _answer(file, key, [f"Still wrong: {one}" for one in left])
    async with _gateway_on(start) as gateway:
        if gateway is not None:
            body = {key: value}
            answer: dict[str, Any] = await gateway.ask("PUT", "/api/config", doing=doing, body=body)
            return {**answer, "path": str(file)}
    with _refusing(doing):
        changed = changing.change(start, file, {key: value})
    if not changed.is_saved:
        raise CommandFailed(doing, f"{file} cannot be written, or is not what it should be", _MEND_OF_FILE)
    return _answer(file, key, list(changed.warnings))


def _answer(file: Path, key: str, warnings: list[str]) -> dict[str, Any]:
    """As the API has it, of a change to the file alone."""
    return {
        "changed": [key],
        "persisted": True,
        "needs_restart": [],
        "warnings": warnings,
        "path": str(file),
    }


@contextmanager
def _refusing(doing: str) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise CommandFailed(doing, error.message, error.hint, exit_code=2) from error


_MEND_OF_FILE = "Give the user that runs this the right to write it, or name another file with --config."


def _parsed(key: str, text: str) -> Any:
    """As the file would have it. A secret is a text whatever it looks like."""
    row = table.row_of(key)
    is_one_secret = row is not None and row.is_secret and not isinstance(row.default, tuple)
    if is_one_secret and text.strip().lower() not in ("null", "~", ""):
        return text
    try:
        return schema.read_value(text)
    except ValueError as error:
        raise CommandFailed(
            f"Cannot set {key}", f"VALUE is no YAML: {error}", "Quote it once more for YAML.", exit_code=2
        ) from error


# ---- the gateway, or the file --------------------------------------------------------------------


async def _view(config: Path | None) -> dict[str, Any]:
    """As `GET /api/config` has it."""
    start = origin(config)
    async with _gateway_on(start) as gateway:
        if gateway is not None:
            answer: dict[str, Any] = await gateway.get("/api/config", doing="Cannot read the settings")
            return answer
    loaded = start.load()
    return {
        "path": str(loaded.path),
        "exists": loaded.has_file,
        "settings": [one.model_dump() for one in shown(loaded)],
        "warnings": list(loaded.warnings),
        "failure": None,
        "unsaved": [],
    }


@asynccontextmanager
async def _gateway_on(start: Origin) -> AsyncIterator[Control | None]:
    """The gateway that runs on this very settings file; None when none does."""
    doing, file = "Cannot reach the gateway", start.file()
    with failing_as(doing):
        async with running_gateway(start.data_folder()) as gateway:
            if gateway is None:
                yield None
                return
            used = (await gateway.get("/api/config", doing=doing))["path"]
            if Path(used) != file:
                warn(f"The gateway that runs uses {used}; this is about {file}")
            yield gateway if Path(used) == file else None


def examined(start: Origin) -> tuple[Path, list[dict[str, Any]], list[str]]:
    """File, errors, warnings."""
    try:
        examined: Examined = start.examine()
        wrong = [
            {
                "message": str(one) + (f" ({one.source})" if one.source and not one.position else ""),
                "path": one.path,
                "line": one.position.line if one.position else None,
                "column": one.position.column if one.position else None,
            }
            for one in examined.complaints
        ]
        if not examined.has_file and start.path is not None:
            wrong.append(_error(f"There is no file at {examined.path}"))
        warnings = list(examined.warnings)
        if examined.loaded is not None:
            refuse_to_stand_open(examined.loaded.settings)
            faults, doubts = found_wrong(examined.loaded)
            wrong += map(_error, faults)
            warnings += doubts
        return examined.path, wrong, warnings
    except SettingsError as error:
        return start.file(), [_error(error.message)], []


def _error(message: str) -> dict[str, Any]:
    return {"message": message, "path": "", "line": None, "column": None}


def _say_notices(view: dict[str, Any]) -> None:
    if view["failure"]:
        warn(f"These are not the newest settings: {view['failure']}")
    if view["unsaved"]:
        warn(f"In force until the next stop only: {', '.join(view['unsaved'])}")
    for one in view["settings"]:
        if one["waiting"] is not None:
            warn(f"{one['path']} is {_text(one['waiting'])} after a restart")
    for warning in view["warnings"]:
        warn(warning)


def _source(one: dict[str, Any], own: str) -> str:
    if one["waiting"] is not None:
        who = "the file" if one["source"] == own else one["source"]
        line = f" (line {one['line']})" if one["line"] else ""
        return f"needs a restart; {who} says {_text(one['waiting'])}{line}"
    place = f", line {one['line']}" if one["line"] else ""
    return ("file" if one["source"] == own else one["source"]) + place


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
