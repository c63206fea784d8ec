"""`headgate doctor`: what may be wrong, looked at in one go: settings, database, the gateway that runs."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from headgate.cli import on_demand
from headgate.cli.config import examined
from headgate.cli.options import AsJson, ConfigPath, load, origin
from headgate.cli.terminal import indented, out, print_json
from headgate.clock import SystemClock
from headgate.errors import HeadgateError

_STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """`settings`, `database`, `schema` or `gateway`."""
    state: str
    """`ok`, `note` (nothing is broken by it) or `wrong`."""
    found: str
    mend: str = ""


def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look at settings, database and gateway, and say what mends it. Exit code 1 when one is wrong."""
    findings = _settings(config)
    if all(one.state != "wrong" for one in findings):
        findings += asyncio.run(_database(config))
    findings += asyncio.run(_gateway(config))
    is_ok = all(one.state != "wrong" for one in findings)
    if as_json:
        print_json({"ok": is_ok, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            out.print(f"{one.state:<5}", style=_STYLES[one.state], end=" ")
            out.print(f"{one.check}: {one.found}", markup=False, soft_wrap=True)
            if one.mend:
                out.print(indented(one.mend, 6, "yellow"))
    raise typer.Exit(0 if is_ok else 1)


def _settings(config: Path | None) -> list[Finding]:
    path, wrong, warnings = examined(origin(config))
    found = [
        Finding("settings", "wrong", one["message"], "headgate config check tells line and column.")
        for one in wrong
    ]
    return [
        *(found or [Finding("settings", "ok", f"{path} is right")]),
        *(Finding("settings", "note", warning) for warning in warnings),
    ]


async def _database(config: Path | None) -> list[Finding]:
    """Open, `SELECT 1`, and which schema it has."""
    loaded = load(config)
    location = on_demand.database_location(loaded)
    if location.path is not None and not location.path.exists():
        said = f"{location.shown} is not there yet"
        return [Finding("database", "note", said, "headgate serve makes it, and so does the first account.")]
    clock = SystemClock()
    began = clock.monotonic()
    try:
        database = await on_demand.open_database(loaded, create=False)
        try:
            await database.check()
            took_ms = (clock.monotonic() - began) * 1000
            current, newest = await on_demand.schema_revisions(database)
        finally:
            await database.close()
    except HeadgateError as error:
        return [Finding("database", "wrong", error.message, error.hint)]
    found = [Finding("database", "ok", f"{location.shown} answers SELECT 1 in {took_ms:.0f} ms")]
    if current != newest:
        said = f"its schema is {current or 'not made yet'}, the newest is {newest}"
        found.append(Finding("schema", "note", said, "headgate db upgrade, or the next start."))
    return found


async def _gateway(config: Path | None) -> list[Finding]:
    async with on_demand.running_gateway(origin(config).data_folder()) as gateway:
        if gateway is None:
            return [Finding("gateway", "note", "none is running", "headgate serve starts it.")]
        view: dict[str, Any] = await gateway.get("/status", doing="Cannot read the status")
    bad = "wrong" if view["status"] != "ok" else "note"
    return [Finding("gateway", bad, one["reason"], one["hint"]) for one in view["troubles"]] or [
        Finding("gateway", "ok", f"it runs on {view['url']}, and nothing is in trouble")
    ]
