"""`headgate requests --follow`: one line for each request, as they happen, past restarts of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from headgate.cli import on_demand
from headgate.cli.options import load, origin, warn, warn_beside_gateway
from headgate.cli.reach import item_path
from headgate.cli.terminal import (
    CommandFailed,
    clock_time,
    err,
    failing_as,
    out,
    print_json_line,
    printable,
    span,
)

if TYPE_CHECKING:
    from headgate.cli.control import Control

_BETWEEN_LOOKS_SECONDS = 0.5
"""While the gateway is away."""
_GAP = 2
"""Characters between two columns."""
_NO_KEYS = ("anonymous", "own-credential")
"""What requests without a key have in its place."""
_WIDEST = 40
"""One long path must not push apart all that come after it."""


async def follow_requests(config: Path | None, limit: int, filters: dict[str, Any], *, as_json: bool) -> None:
    """The latest ones oldest first, then each new one as a line, so that it reads downwards.

    When the gateway goes it is waited for, and nothing that was recorded meanwhile is left out.
    """
    doing = "Cannot follow the requests"
    folder, lines = origin(config).data_folder(), _Lines()
    place: str | None = None
    params = {"backlog": limit, "phases": False, **filters}
    with failing_as(doing):
        async with on_demand.running_gateway(folder) as control:
            if control is None:
                load(config)  # settings that are wrong are said before that nobody runs
                raise CommandFailed(doing, "no gateway is running, so none will come", "headgate serve")
            warn_beside_gateway(config)
            await warn_of_unknown(control, filters)
        while True:
            async with on_demand.running_gateway(folder) as control:
                if control is not None:
                    async for event_id, event in _events_of(control, params, place, doing):
                        place = event_id
                        if as_json:
                            print_json_line(event)
                        else:
                            out.print(lines.line(event), soft_wrap=True)
                            out.file.flush()
            await _wait_for_it(folder)


async def _events_of(
    control: "Control", params: dict[str, Any], place: str | None, doing: str
) -> AsyncIterator[tuple[str, Any]]:
    """Until the gateway goes."""
    events = control.events("/api/requests/stream", doing=doing, params=params, after=place)
    try:
        async for event in events:
            yield event
    except on_demand.cut_off():
        return


async def _wait_for_it(folder: Path) -> None:
    err.print("The gateway has gone: waiting for it to come back. Ctrl+C ends this.", style="yellow")
    while True:
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
        async with on_demand.running_gateway(folder) as control:
            if control is not None:
                err.print("It is back.", style="green")
                return


async def warn_of_unknown(control: "Control", filters: dict[str, Any]) -> None:
    """An account or a key that is not there may still have a history, so its name is no error."""
    for kind in ("account", "key"):
        if (name := filters.get(kind)) is None or (kind == "key" and name in _NO_KEYS):
            continue
        try:
            await control.get(item_path(f"{kind}s", name), doing=f"Cannot look the {kind} up")
        except CommandFailed as unknown:
            warn(unknown.why)


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
            line.append(words, status_style(one["status"]) if at == 1 else "")
            line.append(" " * (max(width - length, 0) + (_GAP if width else 0)))
        line.rstrip()
        return line


def _words(one: dict[str, Any]) -> Iterator[str]:
    yield clock_time(one["created_at"] / 1000)
    yield str(one["status"])
    yield f"{span(one['duration_ms']):>6}"
    yield account_words(one)
    yield key_words(one)
    yield printable(f"{one['method']} {one['path']}")
    yield printable(one["model"] or "")
    yield _usage(one["usage"] or {})
    yield one["error"] or ""
    yield one["id"]


def account_words(one: dict[str, Any]) -> str:
    """Who served, and that the account asked for did not."""
    served = one["account"] or ""
    return f"{served or 'none'} ({one['failed_account']} failed)" if one["failed_account"] else served


def key_words(one: dict[str, Any]) -> str:
    """Whose key it was; nothing for who showed none."""
    return "" if one["caller"] == _NO_KEYS[0] else str(one["caller"])


def _usage(usage: dict[str, Any]) -> str:
    counts = {"in": usage.get("input_tokens"), "out": usage.get("output_tokens")}
    return " ".join(f"{count:,} {way}" for way, count in counts.items() if count is not None)


def status_style(code: int) -> str:
    return "green" if code < 400 else "yellow" if code < 500 else "red"
