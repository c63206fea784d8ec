"""`headgate requests`: what was asked, who served it, how it ended."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.cells import cell_len
from rich.text import Text

from headgate.cli.control import Control, open_control
from headgate.cli.fitting import print_fitting
from headgate.cli.options import AsJson, ConfigPath, load
from headgate.cli.terminal import (
    CommandFailed,
    clock_time,
    err,
    failing_as,
    out,
    print_json,
    print_json_line,
    printable,
    span,
    table,
)

COLUMNS = ("=time", "account", "model", "=status", "error", "=id", "#duration", "#in", "#out")
"""What says least comes last: a narrow terminal does not show it."""

ATTEMPT_COLUMNS = ("account", "=status", "error", "reason", "#started", "#duration", "=rests_until")

_ID_PREFIX = "hgr_"
_GAP = 2
"""Characters between two columns of a followed line."""
_WIDEST = 40
"""One long path must not push apart all that come after it."""


def requests(
    request_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one, with every attempt.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, newest first.")] = 20,
    status: Annotated[
        str | None, typer.Option(metavar="S", help="error, success, or an HTTP status such as 429.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of one account.")] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Only those for one model.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl+C.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest requests, with --follow those to come as well; with ID one and its attempts."""
    named = {"status": status, "account": account, "model": model}
    filters = {name: value for name, value in named.items() if value}
    if request_id is None:
        asyncio.run(_list(config, limit, filters, follow=follow, as_json=as_json))
    elif filters or follow:
        raise CommandFailed(
            f"Cannot show the request {request_id}",
            "an ID names one request, so there is nothing to choose from or to follow",
            f"headgate requests {request_id}",
            exit_code=2,
        )
    else:
        asyncio.run(_show(config, request_id, as_json=as_json))


async def _show(config: Path | None, request_id: str, *, as_json: bool) -> None:
    doing = f"Cannot show the request {request_id}"
    # Other words would ask for the API's other pages below the same address.
    if not request_id.startswith(_ID_PREFIX):
        raise CommandFailed(
            doing,
            f"{request_id} is no request id: they begin with {_ID_PREFIX}",
            "headgate requests lists them; an answer has its own in x-headgate-request-id.",
            exit_code=2,
        )
    with failing_as(doing):
        async with open_control(load(config), writes=False) as control:
            one = await control.get(f"/api/requests/{quote(request_id, safe='')}", doing=doing)
    if as_json:
        print_json(one)
        return
    out.print(table(("field", "value"), _facts(one)))
    out.print()
    if one["attempts"]:
        print_fitting(ATTEMPT_COLUMNS, [_attempt_row(attempt) for attempt in one["attempts"]])
    else:
        out.print("No attempts: it was answered without asking a provider")


async def _list(
    config: Path | None, limit: int, filters: dict[str, str], *, follow: bool, as_json: bool
) -> None:
    with failing_as("Cannot list the requests"):
        async with open_control(load(config), writes=False) as control:
            if follow:
                await _follow(control, limit, filters, as_json=as_json)
                return
            answer = await control.get(
                "/api/requests", doing="Cannot list the requests", params={"limit": limit, **filters}
            )
            if not answer["requests"]:
                await _warn_of_unknown(control, filters)
    if as_json:
        print_json(answer)
    elif answer["requests"]:
        print_fitting(COLUMNS, [_row(one) for one in answer["requests"]])
    else:
        out.print("No requests" + (" that match" if filters else " yet"))


async def _follow(control: Control, limit: int, filters: dict[str, str], *, as_json: bool) -> None:
    """The latest ones oldest first, then each new one as a line, so that it reads downwards."""
    doing = "Cannot follow the requests"
    if not control.is_running:
        raise CommandFailed(doing, "no gateway is running, so none will come", "headgate serve")
    await _warn_of_unknown(control, filters)
    params, lines = {"backlog": limit, **filters}, _Lines()
    async for event in control.events("/api/requests/stream", doing=doing, params=params):
        if "missed" in event:
            err.print(f"{event['missed']} requests went by too fast to be shown", style="yellow")
        elif as_json:
            print_json_line(event)
        else:
            out.print(lines.line(event), soft_wrap=True)


async def _warn_of_unknown(control: Control, filters: dict[str, str]) -> None:
    """An account that is not there may still have a history, so its name is no error."""
    if (name := filters.get("account")) is None:
        return
    try:
        await control.get(f"/api/accounts/{quote(name, safe='')}", doing="Cannot look the account up")
    except CommandFailed as unknown:
        err.print(f"warning: {unknown.why}", style="yellow", soft_wrap=True, markup=False)


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    usage = one["usage"] or {}
    return (
        clock_time(one["created_at"] / 1000),
        one["account"] or "-",
        one["model"] or "-",
        _status(one),
        one["error"] or "",
        one["id"],
        span(one["duration_ms"]),
        _number(usage.get("input_tokens")),
        _number(usage.get("output_tokens")),
    )


def _facts(one: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is known of one request; the rest is in --json, under the same names."""
    yield "id", one["id"]
    yield "time", clock_time(one["created_at"] / 1000)
    yield "request", f"{one['method']} {one['path']}"
    yield "status", _status(one)
    for field in ("error", "account", "model", "session", "caller", "provider_request_id"):
        if one[field] is not None:
            yield field, one[field]
    yield "duration", span(one["duration_ms"])
    if one["first_byte_ms"] is not None:
        yield "first_byte", span(one["first_byte_ms"])
    for field, count in (one["usage"] or {}).items():
        if count is not None:
            yield field, _number(count)


def _attempt_row(attempt: dict[str, Any]) -> tuple[Any, ...]:
    return (
        attempt["account"],
        attempt["status"] or "-",
        attempt["error"] or "",
        attempt["reason"] or "",
        span(attempt["started_ms"]),
        span(attempt["duration_ms"]),
        clock_time(attempt["rests_until"]),
    )


class _Lines:
    """Requests as lines of text whose columns stay in place: each is as wide as the widest met so far."""

    def __init__(self) -> None:
        self._widths: dict[int, int] = {}

    def line(self, one: dict[str, Any]) -> Text:
        """What is not known is left out."""
        line = Text()
        for at, words in enumerate(_words(one)):
            length = cell_len(words)
            width = self._widths[at] = max(self._widths.get(at, 0), min(length, _WIDEST))
            line.append(words, _status_style(one["status"]) if at == 1 else "")
            line.append(" " * (max(width - length, 0) + (_GAP if width else 0)))
        line.rstrip()
        return line


def _words(one: dict[str, Any]) -> Iterator[str]:
    yield clock_time(one["created_at"] / 1000)
    yield str(one["status"])
    yield span(one["duration_ms"])
    yield one["account"] or ""
    yield printable(f"{one['method']} {one['path']}")
    yield printable(one["model"] or "")
    yield _usage(one["usage"] or {})
    yield one["error"] or ""
    yield one["id"]


def _usage(usage: dict[str, Any]) -> str:
    counts = {"in": usage.get("input_tokens"), "out": usage.get("output_tokens")}
    return " ".join(f"{count:,} {way}" for way, count in counts.items() if count is not None)


def _status(one: dict[str, Any]) -> Text:
    return Text(str(one["status"]), _status_style(one["status"]))


def _status_style(code: int) -> str:
    return "green" if code < 400 else "yellow" if code < 500 else "red"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
