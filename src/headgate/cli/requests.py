"""`headgate requests`: what was asked, who served it, how it ended."""

import asyncio
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from headgate.cli import completion, on_demand
from headgate.cli.fitting import print_fitting
from headgate.cli.following import (
    account_words,
    follow_requests,
    key_words,
    status_style,
    warn_of_unknown,
)
from headgate.cli.moments import SINCE_HELP, read_since
from headgate.cli.options import AsJson, ConfigPath
from headgate.cli.reach import fetch, look
from headgate.cli.terminal import (
    CommandFailed,
    clock_time,
    counted,
    failing_as,
    indented,
    out,
    print_json,
    printable,
    span,
    table,
)
from headgate.pricing.amounts import usd

COLUMNS = (
    "=time",
    "account",
    "model",
    "=status",
    "=id",
    "?key",
    "error",
    "#duration",
    "#cost",
    "#in",
    "#out",
    "client",
    "?project",
)
"""What says least comes last: a narrow terminal does not show it."""

ATTEMPT_COLUMNS = ("account", "=status", "error", "reason", "#started", "#duration", "=rests_until")

_ID_PREFIX = "hgr_"
_WORTH_SAYING_MS = 10
"""Less than this nobody waited for."""


class Body(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


def requests(
    request_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one, with every attempt.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, newest first.")] = 20,
    status: Annotated[
        str | None, typer.Option(metavar="S", help="error, success, or an HTTP status such as 429.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only those that one account served or failed in.",
            autocompletion=completion.account_names,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only those of one client key.", autocompletion=completion.key_names
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="M", help="Only those for one model.")] = None,
    client: Annotated[
        str | None, typer.Option(metavar="C", help="Only those of one client program, as claude-code.")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="P", help="Only those for one project.")] = None,
    session: Annotated[str | None, typer.Option(metavar="S", help="Only those of one session.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help=SINCE_HELP)] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Only those whose kept bodies have all of these words."),
    ] = None,
    body: Annotated[
        Body | None,
        typer.Option(help="Of the one with ID write what the client sent, or what it got, as it is kept."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl+C.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest requests, with --follow those to come as well; with ID one and its attempts."""
    doing = "Cannot follow the requests" if follow else "Cannot list the requests"
    named = {
        **{"status": status, "account": account, "key": key, "model": model, "search": search},
        **{"client": client, "project": project, "session": session},
    }
    filters: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if since is not None and (since_at := read_since(since, doing=doing)) is not None:
        filters["since"] = since_at
    if request_id is not None:
        if filters or follow:
            raise CommandFailed(
                f"Cannot show the request {request_id}",
                "an ID names one request, so there is nothing to choose from or to follow",
                f"headgate requests {request_id}",
                exit_code=2,
            )
        if body is not None:
            _write_body(config, request_id, body)
        else:
            _show(config, request_id, as_json=as_json)
    elif body is not None:
        raise CommandFailed(
            "Cannot show a body",
            "--body is of one request, and none is named",
            "headgate requests lists them; then headgate requests ID --body request",
            exit_code=2,
        )
    elif follow and search is not None:
        raise CommandFailed(
            "Cannot follow the requests",
            "--search looks through what is kept by now, and cannot be followed",
            "headgate requests --search WORDS",
            exit_code=2,
        )
    elif follow:
        asyncio.run(follow_requests(config, limit, filters, as_json=as_json))
    else:
        asyncio.run(_list(config, limit, filters, as_json=as_json))


def _write_body(config: Path | None, request_id: str, kind: Body) -> None:
    """As it is, for a file or another program."""
    path = f"{_path_of(request_id)}/bodies/{kind.value}"
    sys.stdout.buffer.write(fetch(config, path, doing=f"Cannot show the {kind.value} of {request_id}"))
    sys.stdout.buffer.flush()


def _path_of(request_id: str) -> str:
    # Other words would ask for the API's other pages below the same address.
    if not request_id.startswith(_ID_PREFIX):
        raise CommandFailed(
            f"Cannot show the request {request_id}",
            f"{request_id} is no request id: they begin with {_ID_PREFIX}",
            "headgate requests lists them; an answer has its own in x-headgate-request-id.",
            exit_code=2,
        )
    return f"/api/requests/{quote(request_id, safe='', errors='surrogateescape')}"


def _show(config: Path | None, request_id: str, *, as_json: bool) -> None:
    one = look(config, _path_of(request_id), doing=f"Cannot show the request {request_id}")
    if as_json:
        print_json(one)
        return
    out.print(table(("field", "value"), _facts(one)))
    out.print()
    if one["attempts"]:
        print_fitting(ATTEMPT_COLUMNS, [_attempt_row(attempt) for attempt in one["attempts"]])
    else:
        out.print("No attempts: it was answered without asking a provider")
    if one["skipped"] is not None:
        _print_skipped(one["skipped"], one["skipped_more"])


def _print_skipped(skipped: list[dict[str, str]], more: int) -> None:
    """Why nobody could be asked: as it was then."""
    if not skipped:
        out.print("There was no account that could be asked")
        return
    out.print("Passed by at that time:")
    for one in skipped:
        out.print(indented(f"{one['account']}: {printable(one['reason'])}", 2, "yellow"))
    if more:
        out.print(indented(f"and {more:,} more", 2))


async def _list(config: Path | None, limit: int, filters: dict[str, Any], *, as_json: bool) -> None:
    doing = "Cannot list the requests"
    with failing_as(doing):
        async with on_demand.open_control(config, writes=False) as control:
            answer = await control.get("/api/requests", doing=doing, params={"limit": limit, **filters})
            if not answer["requests"]:
                await warn_of_unknown(control, filters)
            is_asked = control.is_running and not as_json
            running = (await control.get("/status", doing=doing))["in_flight"] if is_asked else 0
    if as_json:
        print_json(answer)
    elif answer["requests"]:
        print_fitting(COLUMNS, [_row(one) for one in answer["requests"]])
    else:
        out.print("No requests" + (" that match" if filters else " yet"))
    if running:
        out.print(f"{counted(running, 'request')} running now; each is listed once it has ended", style="dim")


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    usage = one["usage"] or {}
    return (
        clock_time(one["created_at"] / 1000),
        account_words(one) or "-",
        one["model"] or one["path"],
        _status(one),
        one["id"],
        key_words(one) or "-",
        one["error"] or "",
        span(one["duration_ms"]),
        "-" if one["cost_usd"] is None else usd(one["cost_usd"]),
        _number(usage.get("input_tokens")),
        _number(usage.get("output_tokens")),
        one["client"] or "-",
        one["project"] or "-",
    )


def _facts(one: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is known of one request; the rest is in --json, under the same names."""
    yield "id", one["id"]
    yield "time", clock_time(one["created_at"] / 1000)
    yield "request", f"{one['method']} {one['path']}"
    yield "status", _status(one)
    for field in (
        "error",
        "account",
        "model",
        "session",
        "project",
        "caller",
        "client",
        "provider_request_id",
    ):
        if one[field] is not None:
            yield field, one[field]
    yield "duration", span(one["duration_ms"])
    if one["first_byte_ms"] is not None:
        yield "first_byte", span(one["first_byte_ms"])
    if one["waited_ms"] >= _WORTH_SAYING_MS:
        yield "waited", span(one["waited_ms"])
    usage = dict(one["usage"] or {})
    others, parts = usage.pop("other", {}), usage.pop("parts", None) or ()
    for field, told in (usage | others).items():
        if told is not None:
            yield field, _number(told) if isinstance(told, int) else told
    for part in parts:
        yield "of_these", _of_part(part)
    if one["usage"] is not None:
        yield "cost", "no price is known" if one["cost_usd"] is None else usd(one["cost_usd"])
    for kind, body in one["bodies"].items():
        if body is not None:
            yield f"{kind}_body", _of_body(body)


def _of_part(part: dict[str, Any]) -> str:
    counts = [f"{told:,} {name}" for name, told in part.items() if name.endswith("_tokens") and told]
    return f"{part['model'] or 'the same model'}: {', '.join(counts) or 'nothing'}"


def _of_body(body: dict[str, Any]) -> str:
    kept, size = body["kept"], body["size"]
    # What came with a content coding is kept without it, and so may be longer than what passed.
    said = [f"{kept:,} bytes kept, {size:,} passed" if kept > size else f"{kept:,} of {size:,} bytes kept"]
    if body["redacted"]:
        said.append(f"{counted(body['redacted'], 'secret')} blacked out")
    return ", ".join([*said, *filter(None, [body["note"]])])


def _attempt_row(attempt: dict[str, Any]) -> tuple[Any, ...]:
    return (
        attempt["account"],
        attempt["status"] or "-",
        attempt["error"] or "",
        _reason(attempt),
        span(attempt["started_ms"]),
        span(attempt["duration_ms"]),
        clock_time(attempt["rests_until"]),
    )


def _reason(attempt: dict[str, Any]) -> str:
    """Without what stands in the columns before it."""
    said = attempt["reason"] or ""
    for known in (str(attempt["status"]), attempt["error"] or ""):
        said = said.removeprefix(known).lstrip()
    return said


def _status(one: dict[str, Any]) -> Text:
    return Text(str(one["status"]), status_style(one["status"]))


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
