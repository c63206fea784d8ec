"""Sums of a time, read from the roll-ups: the coarsest that fit, so a month costs no more than a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_tables import (
    BUCKETS,
    KEPT_SECONDS,
    MINUTE,
    MOST_OF_A_MODEL,
    RESOLUTIONS,
    SUMS,
    TIME_SUMS,
)
from headgate.storage.schema import rollup_times, rollups

Row = dict[str, Any]

Dimension = Literal[
    "account_id", "account", "key_id", "caller", "model", "provider", "kind", "status", "error"
]

WENT_WRONG = (rollups.c.status >= 400) | (rollups.c.error != "")
"""`FAILED` of a request, of a row of sums."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole rows of one resolution (seconds), from a moment until another (Unix ms; None: no end)."""

    resolution: int
    since: int
    until: int | None = None


def finest_kept(since_ms: int, now_ms: int) -> int:
    """The resolution that reaches back so far."""
    for resolution, kept in KEPT_SECONDS.items():
        if since_ms >= now_ms - kept * 1000:
            return resolution
    return RESOLUTIONS[-1]


def cover(since: int, until: int | None, finest: int = MINUTE) -> list[Span]:
    """Days in the middle, hours and minutes at both ends; `since` and `until` are bounds of the finest."""
    found: list[Span] = []
    _cover(since, until, [one for one in RESOLUTIONS if one >= finest], found)
    return found


def _cover(since: int, until: int | None, resolutions: Sequence[int], found: list[Span]) -> None:
    *finer, coarsest = resolutions
    step = coarsest * 1000
    begin, end = -(-since // step) * step, None if until is None else until // step * step
    if not finer:
        found.append(Span(coarsest, since, until))
        return
    if end is not None and begin >= end:
        if until is not None and since < until:
            _cover(since, until, finer, found)
        return
    if since < begin:
        _cover(since, begin, finer, found)
    found.append(Span(coarsest, begin, end))
    if end is not None and until is not None and end < until:
        _cover(end, until, finer, found)


async def sums_by(
    connection: AsyncConnection,
    spans: Sequence[Span],
    wanted: RequestFilter,
    by: Sequence[Dimension],
    *,
    bucket_ms: int | None = None,
) -> list[Row]:
    """A row for each group, with `SUMS` and `errors`; with `bucket_ms` also by its `bucket` (Unix ms)."""
    errors = sa.func.sum(sa.case((WENT_WRONG, rollups.c.requests), else_=0)).label("errors")
    counts = [sa.cast(sa.func.sum(rollups.c[one]), sa.BigInteger).label(one) for one in SUMS]
    counts.append(sa.cast(errors, sa.BigInteger).label("errors"))
    return await _read(connection, rollups, spans, conditions(wanted), by, counts, bucket_ms)


async def times_by(
    connection: AsyncConnection,
    spans: Sequence[Span],
    wanted: RequestFilter,
    by: Sequence[Dimension],
    *,
    bucket_ms: int | None = None,
    has_buckets: bool = True,
) -> list[Row]:
    """The same of the times of requests that went well: `TIME_SUMS` and, with `has_buckets`, `BUCKETS`."""
    names = (*TIME_SUMS, *BUCKETS) if has_buckets else TIME_SUMS
    counts = [sa.cast(sa.func.sum(rollup_times.c[one]), sa.BigInteger).label(one) for one in names]
    return await _read(connection, rollup_times, spans, time_conditions(wanted), by, counts, bucket_ms)


async def _read(
    connection: AsyncConnection,
    table: sa.Table,
    spans: Sequence[Span],
    chosen: Sequence[sa.ColumnElement[bool]],
    by: Sequence[Dimension],
    counts: Sequence[sa.ColumnElement[Any]],
    bucket_ms: int | None,
) -> list[Row]:
    groups: list[sa.ColumnElement[Any]] = [table.c[one] for one in by]
    if bucket_ms is not None:
        step = sa.literal(bucket_ms, sa.BigInteger)
        groups.insert(0, (table.c.at - table.c.at % step).label("bucket"))
    # Group by place: PostgreSQL takes `at - at % $1` and `at - at % $2` for two things.
    places: list[sa.ColumnElement[Any]] = [sa.literal_column(str(place + 1)) for place in range(len(groups))]
    found: dict[tuple[Any, ...], Row] = {}
    for span in spans:
        its = [table.c.resolution == span.resolution, table.c.at >= span.since]
        if span.until is not None:
            its.append(table.c.at < span.until)
        query = sa.select(*groups, *counts).where(*its, *chosen).group_by(*places)
        for row in (await connection.execute(query)).mappings():
            _merge(found, dict(row), len(groups))
    return [row for row in found.values() if row["requests"]]


def _merge(found: dict[tuple[Any, ...], Row], row: Row, groups: int) -> None:
    key = tuple(row.values())[:groups]
    if (known := found.get(key)) is None:
        found[key] = row
        return
    for name in list(row)[groups:]:
        known[name] = (known[name] or 0) + (row[name] or 0)


def conditions(wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    """What is looked for, but for the time."""
    found = _common(rollups, wanted)
    if wanted.error is not None:
        found.append(rollups.c.error == wanted.error)
    if wanted.status == "error":
        found.append(WENT_WRONG)
    elif wanted.status == "success":
        found.append(sa.not_(WENT_WRONG))
    elif wanted.status is not None:
        found.append(rollups.c.status == int(wanted.status))
    return found


def time_conditions(wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    """The same; of what went wrong there are no times."""
    found = _common(rollup_times, wanted)
    is_failure = wanted.error is not None or wanted.status == "error"
    if wanted.status not in (None, "error", "success"):
        is_failure |= int(wanted.status or 0) >= 400
    return [*found, sa.false()] if is_failure else found


def _common(table: sa.Table, wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.account is not None:
        its = table.c.account == wanted.account
        if wanted.former_names:
            its |= table.c.account.in_(wanted.former_names) & (table.c.account_id == wanted.account_id)
        found.append(its)
    if wanted.model is not None:
        found.append(table.c.model == wanted.model[:MOST_OF_A_MODEL])
    if wanted.caller is not None:
        found.append(table.c.caller == wanted.caller)
    if wanted.provider is not None:
        found.append(table.c.provider == wanted.provider)
    return found
