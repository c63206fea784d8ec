"""Sums of a time, read from the roll-ups: the coarsest that fit, so a month costs no more than a day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_tables import (
    BUCKETS,
    DAY,
    KEPT_SECONDS,
    MINUTE,
    MOST_OF_A_MODEL,
    OTHER_MODELS,
    RESOLUTIONS,
    SUMS,
    TIME_SUMS,
)
from headgate.storage.schema import rollup_failures, rollup_times, rollups

Row = dict[str, Any]

Dimension = Literal["account_id", "account", "key_id", "caller", "model", "provider", "failed"]

_OF_KEYS = frozenset({"key_id", "caller"})


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


def cover(since: int, until: int | None, finest: int = MINUTE, coarsest: int = DAY) -> list[Span]:
    """Days in the middle, hours and minutes at both ends; `since` and `until` are bounds of the finest."""
    found: list[Span] = []
    _cover(since, until, [one for one in RESOLUTIONS if finest <= one <= coarsest], found)
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
    failed = sa.case((rollups.c.failed == 1, rollups.c.requests), else_=0)
    counts = [*(_sum(rollups.c[one], one) for one in SUMS), _sum(failed, "errors")]
    chosen = _common(rollups, wanted)
    if wanted.status is not None:
        chosen.append(rollups.c.failed == int(wanted.status == "error"))
    return await _read(connection, rollups, spans, chosen, _by_key(wanted, by), by, counts, bucket_ms)


async def failures_by(connection: AsyncConnection, spans: Sequence[Span], wanted: RequestFilter) -> list[Row]:
    """How many `requests` went wrong in each way: a row for each `status` and `error`."""
    if wanted.status == "success":
        return []
    counts = [_sum(rollup_failures.c.requests, "requests")]
    by = ("status", "error")
    chosen = _common(rollup_failures, wanted)
    return await _read(
        connection, rollup_failures, spans, chosen, _by_key(wanted, by), by, counts, bucket_ms=None
    )


async def times_by(
    connection: AsyncConnection,
    spans: Sequence[Span],
    wanted: RequestFilter,
    by: Sequence[Dimension],
    *,
    bucket_ms: int | None = None,
    has_buckets: bool = True,
) -> list[Row]:
    """The times of requests that went well: `TIME_SUMS` and, with `has_buckets`, `BUCKETS`."""
    if wanted.status == "error":
        return []
    names = (*TIME_SUMS, *BUCKETS) if has_buckets else TIME_SUMS
    counts = [_sum(rollup_times.c[one], one) for one in names]
    chosen = _common(rollup_times, wanted)
    return await _read(connection, rollup_times, spans, chosen, _by_key(wanted, by), by, counts, bucket_ms)


async def count_keys(connection: AsyncConnection, spans: Sequence[Span], wanted: RequestFilter) -> int:
    """How many client keys, by their names, asked for something."""
    found: set[str] = set()
    for span in spans:
        query = sa.select(rollups.c.caller).where(*_within(rollups, span, 1), *_common(rollups, wanted))
        if wanted.status is not None:
            query = query.where(rollups.c.failed == int(wanted.status == "error"))
        found |= set((await connection.execute(query.distinct())).scalars())
    return len(found)


async def times_with(connection: AsyncConnection, span: Span, wanted: RequestFilter) -> list[int]:
    """Where the rows begin (Unix ms) that have what is looked for, the newest first. Of single statuses and
    errors they know whether something went wrong at all."""
    its = _common(rollups, replace(wanted, model=None))
    if wanted.model is not None:
        # It may be one of those that a day had too many of.
        its.append(rollups.c.model.in_((wanted.model[:MOST_OF_A_MODEL], OTHER_MODELS)))
    query = sa.select(rollups.c.at).where(*_within(rollups, span, _by_key(wanted, ())), *its)
    if wanted.error is not None or wanted.status == "error":
        query = query.where(rollups.c.failed == 1)
    elif wanted.status == "success":
        query = query.where(rollups.c.failed == 0)
    found = await connection.execute(query.distinct().order_by(rollups.c.at.desc()))
    return list(found.scalars())


def answers(wanted: RequestFilter) -> bool:
    """Whether the roll-ups know: of single statuses and errors they have no sums but counts."""
    return wanted.status in (None, "success", "error") and wanted.error is None


def _by_key(wanted: RequestFilter, by: Sequence[str]) -> int:
    """Over all keys, where none is asked for."""
    return int(wanted.caller is not None or not _OF_KEYS.isdisjoint(by))


def _sum(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.sum(column), sa.BigInteger).label(name)


def _within(table: sa.Table, span: Span, by_key: int) -> list[sa.ColumnElement[bool]]:
    found = [table.c.resolution == span.resolution, table.c.by_key == by_key, table.c.at >= span.since]
    return found if span.until is None else [*found, table.c.at < span.until]


async def _read(
    connection: AsyncConnection,
    table: sa.Table,
    spans: Sequence[Span],
    chosen: Sequence[sa.ColumnElement[bool]],
    by_key: int,
    by: Sequence[str],
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
        query = sa.select(*groups, *counts).where(*_within(table, span, by_key), *chosen).group_by(*places)
        for row in (await connection.execute(query)).mappings():
            if row["requests"]:  # else nothing was there to be summed
                _merge(found, dict(row), len(groups))
    return list(found.values())


def _merge(found: dict[tuple[Any, ...], Row], row: Row, groups: int) -> None:
    key = tuple(row.values())[:groups]
    if (known := found.get(key)) is None:
        found[key] = row
        return
    for name in list(row)[groups:]:
        known[name] += row[name]


def _common(table: sa.Table, wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    """What is looked for, but for the time and the outcome."""
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
