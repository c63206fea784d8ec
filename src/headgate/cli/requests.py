"""`headgate requests`: what was asked, who served it, how it ended."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
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
)

COLUMNS = ("=time", "account", "model", "=status", "error", "=id", "#duration", "#in", "#out")
"""What says least comes last: a narrow terminal does not show it."""


def requests(
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
    """Show the latest requests, with --follow those to come as well."""
    filters = {"status": status, "account": account, "model": model}
    asyncio.run(_show(config, limit, {n: v for n, v in filters.items() if v}, follow=follow, as_json=as_json))


async def _show(
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
    params = {"backlog": limit, **filters}
    async for event in control.events("/api/requests/stream", doing=doing, params=params):
        if "missed" in event:
            err.print(f"{event['missed']} requests went by too fast to be shown", style="yellow")
        elif as_json:
            print_json_line(event)
        else:
            out.print(_line(event), soft_wrap=True)


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


def _line(one: dict[str, Any]) -> Text:
    time, account, model, status, error, request_id, duration, tokens_in, tokens_out = _row(one)
    rest = f"  {duration}  {account}  {model}  {tokens_in} in  {tokens_out} out  {error}  {request_id}"
    return Text.assemble(time, "  ", status, printable(rest))


def _status(one: dict[str, Any]) -> Text:
    code = one["status"]
    return Text(str(code), "green" if code < 400 else "yellow" if code < 500 else "red")


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
