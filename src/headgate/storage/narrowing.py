"""Where in a long history requests of a model, a key or a provider are: the roll-ups know the hours.

Without that, a page of what is rare, or was never there, reads every request that there is.
"""

from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import Span, times_with
from headgate.storage.rollup_tables import DAY, HOUR

_DAY_MS, _HOUR_MS = DAY * 1000, HOUR * 1000


def is_narrowed(wanted: RequestFilter) -> bool:
    """Whether it asks for something that has no index of its own; accounts have one."""
    asked = (wanted.model, wanted.caller, wanted.provider)
    return wanted.account is None and any(one is not None for one in asked)


async def times_of(
    connection: AsyncConnection, wanted: RequestFilter, before_ms: int | None
) -> AsyncIterator[tuple[int, int]]:
    """From a moment until another, the newest first: all that is looked for lies in these. `before_ms`: and
    not after that."""
    until = wanted.until_ms if before_ms is None else min(before_ms + 1, wanted.until_ms or before_ms + 1)
    since = wanted.since_ms or 0
    for day in await times_with(connection, Span(DAY, since // _DAY_MS * _DAY_MS, until), wanted):
        hours = await times_with(connection, Span(HOUR, day, day + _DAY_MS), wanted)
        if not hours:  # they are kept no longer
            yield day, day + _DAY_MS
            continue
        for begin, end in _joined(hours):
            yield begin, end


def _joined(hours: list[int]) -> list[tuple[int, int]]:
    """Hours that follow each other are one time; `hours` and these: the newest first."""
    found: list[tuple[int, int]] = []
    for at in hours:
        if found and found[-1][0] == at + _HOUR_MS:
            found[-1] = (at, found[-1][1])
        else:
            found.append((at, at + _HOUR_MS))
    return found
