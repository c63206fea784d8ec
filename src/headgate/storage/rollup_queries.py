"""Sums of a time, read from the roll-ups: the coarsest that fit, so a month costs no more than a day.

Of one session they are made from its requests, which an index finds: there are few.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_rebuild import SELECTS
from headgate.storage.rollup_tables import (
    BUCKETS,
    BY_CLIENT,
    BY_KEY,
    CLIENTS_ALONE,
    DAY,
    FOLDED,
    KEPT_SECONDS,
    LAYOUT,
    MINUTE,
    MOST_OF_A_MODEL,
    OF_DAYS,
    OTHERS,
    OVER_KEYS,
    PER_CLIENT,
    PER_PROJECT,
    RESOLUTIONS,
    SUMS,
    TIME_SUMS,
)
from headgate.storage.schema import rollup_failures, rollup_times, rollups

Row = dict[str, Any]

Dimension = Literal[
    "account_id", "account", "key_id", "caller", "model", "provider", "client", "project", "failed"
]

_FILTERED: Final = ("account", "model", "caller", "provider", "client", "project")
"""Of what may be looked for the columns, which have the same names."""
_FEWEST_FIRST: Final = (OVER_KEYS, CLIENTS_ALONE, BY_KEY, PER_CLIENT, PER_PROJECT, BY_CLIENT)


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
    return await _read(connection, rollups, spans, wanted, chosen, by, counts, bucket_ms)


async def failures_by(connection: AsyncConnection, spans: Sequence[Span], wanted: RequestFilter) -> list[Row]:
    """How many `requests` went wrong in each way: a row for each `status` and `error`."""
    if wanted.status == "success":
        return []
    counts = [_sum(rollup_failures.c.requests, "requests")]
    by = ("status", "error")
    chosen = _common(rollup_failures, wanted)
    return await _read(connection, rollup_failures, spans, wanted, chosen, by, counts, bucket_ms=None)


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
    return await _read(connection, rollup_times, spans, wanted, chosen, by, counts, bucket_ms)


async def count_keys(connection: AsyncConnection, spans: Sequence[Span], wanted: RequestFilter) -> int:
    """How many client keys, by their names, asked for something."""
    found: set[str] = set()
    for span in spans:
        family = _family(wanted, ("caller",), span.resolution)
        query = sa.select(rollups.c.caller).where(*_within(rollups, span, family), *_common(rollups, wanted))
        if wanted.status is not None:
            query = query.where(rollups.c.failed == int(wanted.status == "error"))
        query = _of_session(query.distinct(), rollups, span, wanted, connection.dialect.name)
        found |= set((await connection.execute(query)).scalars())
    return len(found)


async def times_with(connection: AsyncConnection, span: Span, wanted: RequestFilter) -> list[int]:
    """Where the rows begin (Unix ms) that have what is looked for, the newest first. Of single statuses and
    errors they know whether something went wrong at all."""
    its = _common(rollups, replace(wanted, model=None, client=None, project=None))
    for column, name in _names(wanted):
        # It may be one of those that a day had too many of.
        its.append(rollups.c[column].in_((name, OTHERS[column]) if name else (name,)))
    query = sa.select(rollups.c.at).where(*_within(rollups, span, _family(wanted, (), span.resolution)), *its)
    if wanted.error is not None or wanted.status == "error":
        query = query.where(rollups.c.failed == 1)
    elif wanted.status == "success":
        query = query.where(rollups.c.failed == 0)
    found = await connection.execute(query.distinct().order_by(rollups.c.at.desc()))
    return list(found.scalars())


def answers(wanted: RequestFilter) -> bool:
    """Whether the roll-ups know: of single statuses and errors they have no sums but counts."""
    return wanted.status in (None, "success", "error") and wanted.error is None and wanted.session is None


def _family(wanted: RequestFilter, by: Sequence[str], resolution: int) -> int:
    """The one with the fewest rows that tells it. What is made of requests is all told apart."""
    if wanted.session is not None:
        return BY_CLIENT
    needed = {*by, *(column for column in _FILTERED if getattr(wanted, column) is not None)}
    return next(
        family
        for family in _FEWEST_FIRST
        if needed.isdisjoint(FOLDED.get(family, ())) and (resolution == DAY or family not in OF_DAYS)
    )


def _of_session(
    query: sa.Select[Any], table: sa.Table, span: Span, wanted: RequestFilter, dialect: str
) -> sa.Select[Any]:
    """With rows made of the requests of that session in the place of the table's, under its name."""
    if wanted.session is None:
        return query
    until = 10**15 if span.until is None else span.until
    made = SELECTS[table.name](span.resolution, span.since, until, dialect, "session = @session")
    names = [column for columns in LAYOUT[table.name] for column in columns]
    named = f"WITH made ({', '.join(names)}) AS ({made}) SELECT * FROM made"
    # A colon would be a parameter.
    words = sa.text(named.replace(":", r"\:").replace("@session", ":session"))
    text = words.bindparams(sa.bindparam("session", wanted.session, sa.Text))
    return query.add_cte(text.columns(*map(sa.column, names)).cte(table.name))


def _sum(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.func.sum(column), sa.BigInteger).label(name)


def _within(table: sa.Table, span: Span, family: int) -> list[sa.ColumnElement[bool]]:
    found = [table.c.resolution == span.resolution, table.c.by_key == family, table.c.at >= span.since]
    return found if span.until is None else [*found, table.c.at < span.until]


async def _read(
    connection: AsyncConnection,
    table: sa.Table,
    spans: Sequence[Span],
    wanted: RequestFilter,
    chosen: Sequence[sa.ColumnElement[bool]],
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
    dialect = connection.dialect.name
    for span in spans:
        family = _family(wanted, by, span.resolution)
        query = sa.select(*groups, *counts).where(*_within(table, span, family), *chosen).group_by(*places)
        query = _of_session(query, table, span, wanted, dialect)
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
    found += [table.c[column] == name for column, name in _names(wanted)]
    if wanted.caller is not None:
        found.append(table.c.caller == wanted.caller)
    if wanted.provider is not None:
        found.append(table.c.provider == wanted.provider)
    return found


def _names(wanted: RequestFilter) -> Iterator[tuple[str, str]]:
    """Of the callers' names what is looked for, by column."""
    model = None if wanted.model is None else wanted.model[:MOST_OF_A_MODEL]
    for column, name in (("model", model), ("client", wanted.client), ("project", wanted.project)):
        if name is not None:
            yield column, name
