"""Which part of a time is in the roll-ups, to the millisecond, and what of it only the requests tell."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter, conditions
from headgate.storage.rollup_queries import Span, answers, cover
from headgate.storage.rollup_tables import DAY, OVER_KEYS, RESOLUTIONS
from headgate.storage.schema import rollups


@dataclass(slots=True)
class Parts:
    spans: list[Span] = field(default_factory=list)
    others: list[tuple[int | None, int | None]] = field(default_factory=list)
    """Of the requests: from a moment until another, which is not in it; None: without that end."""


async def parts_of(connection: AsyncConnection, wanted: RequestFilter, coarsest: int) -> Parts:
    """Of the time of `wanted`. With hours as the coarsest, what is too old for them is of the requests.

    Raises InvalidRequest for a filter that means nothing.
    """
    conditions(wanted)
    since, until = wanted.since_ms or 0, wanted.until_ms
    if not answers(wanted):
        return Parts(others=[(wanted.since_ms, until)])
    parts = Parts()
    reaches = {one: await _reach(connection, one) for one in RESOLUTIONS if one <= coarsest}
    if since < (reach := reaches[coarsest]):
        known = reach if until is None else min(reach, until)
        parts.others.append((since, known))
        since = known
    finest = next(one for one in reaches if reaches[one] <= since)
    step = finest * 1000
    begin = -(-since // step) * step
    end = None if until is None else until // step * step
    if end is not None and until is not None and begin >= end:
        parts.others.append((since, until))
        return parts
    if since < begin:
        parts.others.append((since, begin))
    parts.spans = cover(begin, end, finest, coarsest)
    if end is not None and until is not None and end < until:
        parts.others.append((end, until))
    return parts


async def _reach(connection: AsyncConnection, resolution: int) -> int:
    """From when on its rows are all there; 0: from the first request on."""
    oldest = await _oldest(connection, resolution)
    oldest_day = oldest if resolution == DAY else await _oldest(connection, DAY)
    if oldest is None or oldest_day is None:
        return 0
    return 0 if resolution == DAY or oldest_day > oldest - DAY * 1000 else oldest


async def _oldest(connection: AsyncConnection, resolution: int) -> int | None:
    its = (rollups.c.resolution == resolution) & (rollups.c.by_key == OVER_KEYS)
    found: int | None = (await connection.execute(sa.select(sa.func.min(rollups.c.at)).where(its))).scalar()
    return found
