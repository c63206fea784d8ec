"""One question of a command and its answer, from the gateway that runs or from the database."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headgate.cli import on_demand
from headgate.cli.options import origin, warn
from headgate.cli.terminal import failing_as


def look(config: Path | None, path: str, *, doing: str, params: dict[str, Any] | None = None) -> Any:
    """The JSON answer. A missing database stays missing."""
    return asyncio.run(_ask(config, "GET", path, doing=doing, params=params, writes=False))


def fetch(config: Path | None, path: str, *, doing: str) -> bytes:
    """The answer as it is."""
    return asyncio.run(_fetch(config, path, doing=doing))


async def _fetch(config: Path | None, path: str, *, doing: str) -> bytes:
    with failing_as(doing):
        async with on_demand.open_control(config, writes=False) as control:
            return await control.file(path, doing=doing)


def is_new(config: Path | None, setting: str) -> bool:
    """Whether nothing was ever put in here, by `setting` neither, for commands that then name the first step.
    Where was looked is said on standard error: it may be the wrong folder."""
    file = on_demand.database_to_come(origin(config), setting)
    if file is not None:
        warn(f"Database file not found: {file}; the first account, key or `headgate serve` makes it")
    return file is not None


def change(
    config: Path | None, method: str, path: str, *, doing: str, body: dict[str, Any] | None = None
) -> Any:
    """The JSON answer. A missing database is made."""
    return asyncio.run(_ask(config, method, path, doing=doing, body=body, writes=True))


async def _ask(config: Path | None, method: str, path: str, *, doing: str, writes: bool, **what: Any) -> Any:
    with failing_as(doing):
        async with on_demand.open_control(config, writes=writes) as control:
            return await control.ask(method, path, doing=doing, **what)


def account_path(name: str, rest: str = "") -> str:
    return item_path("accounts", name, rest)


def item_path(kind: str, name: str, rest: str = "") -> str:
    """Whatever was typed as a name: bytes that are no text stay what they are, and `..` is no way up."""
    quoted = quote(name, safe="", errors="surrogateescape")
    return f"/api/{kind}/{quoted if quoted.strip('.') else quoted.replace('.', '%2E')}{rest}"
