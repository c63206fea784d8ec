"""Where in a long history requests of a model, a key, a provider, a client or a project are: the roll-ups
know the hours.

Without that, a page of what is rare, or was never there, reads every request that there is.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import Span, times_with
from headgate.storage.rollup_tables import DAY, HOUR
from headgate.storage.schema import requests

_DAY_MS, _HOUR_MS = DAY * 1000, HOUR * 1000


def is_narrowed(wanted: RequestFilter) -> bool:
    """Whether it asks for something that has no index of its own; accounts and sessions have one."""
    asked = (wanted.model, wanted.caller, wanted.provider, wanted.client, wanted.project)
    has_index = wanted.account is not None or wanted.session is not None
    return not has_index and any(one is not None for one in asked)


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


async def within_session(connection: AsyncConnection, wanted: RequestFilter) -> RequestFilter:
    """With the time in which its session was: a planner that takes another index then reads no more of it."""
    if wanted.session is None:
        return wanted
    # In a query of its own: PostgreSQL would look for the first and the last in all of the history.
    its = sa.select(requests.c.timestamp).where(requests.c.session == wanted.session)
    times = its.offset(0).subquery() if connection.dialect.name == "postgresql" else its.subquery()
    query = sa.select(sa.func.min(times.c.timestamp), sa.func.max(times.c.timestamp))
    first, last = (await connection.execute(query)).one()
    if first is None:
        return replace(wanted, until_ms=0)
    since = max(first, wanted.since_ms or first)
    return replace(wanted, since_ms=since, until_ms=min(last + 1, wanted.until_ms or last + 1))


def _joined(hours: list[int]) -> list[tuple[int, int]]:
    """Hours that follow each other are one time; `hours` and these: the newest first."""
    found: list[tuple[int, int]] = []
    for at in hours:
        if found and found[-1][0] == at + _HOUR_MS:
            found[-1] = (at, found[-1][1])
        else:
            found.append((at, at + _HOUR_MS))
    return found
