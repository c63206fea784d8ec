"""`headgate audit`: who changed what, when."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from headgate.cli.fitting import print_fitting
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.reach import look
from headgate.cli.terminal import clock_time, out, print_json

COLUMNS = ("=time", "=action", "object", "=who", "?address", "?failed", "before", "after")


def audit(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, newest first.")] = 20,
    action: Annotated[
        str | None,
        typer.Option(metavar="A", help="Only one kind, such as config.change; a wrong one names all."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--object", metavar="O", help="Only those of one account, setting, ….")
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what the owner changed, newest first. A year is kept, or 100 000 changes."""
    asked = {"limit": limit, "action": action, "object": of}
    params = {name: value for name, value in asked.items() if value is not None}
    found = look(config, "/api/audit", doing="Cannot show the changes", params=params)
    if as_json:
        print_json(found)
    elif found["changes"]:
        print_fitting(COLUMNS, [_row(one) for one in found["changes"]])
    else:
        out.print("No changes" + (" that match" if action or of else " yet"))


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        clock_time(one["changed_at"] / 1000),
        one["action"],
        one["object"],
        one["who"],
        one["address"] or "",
        one["error"] or "",
        _words(one["before"]),
        _words(one["after"]),
    )


def _words(value: Any) -> str:
    """`name: work, weight: 2`; what is nested stays JSON."""
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return _word(value)
    said = {name: one for name, one in value.items() if one not in (None, "", [], {})}
    words = (f"{name}: {_time(one) if _is_time(name, one) else _word(one)}" for name, one in said.items())
    return ", ".join(words) or "-"


def _is_time(name: str, value: Any) -> bool:
    return name.endswith("_at") and isinstance(value, int)


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
