"""What was used: requests, errors, tokens and money, in sums by who asked whom for what, by hour or day.

From the roll-ups, and at the ends of a time, where those are too coarse, from the requests themselves: so a
sum over years is as exact as one over a minute, and as fast.
"""

from dataclasses import replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter, conditions, served_by
from headgate.storage.rollup_parts import Parts, parts_of
from headgate.storage.rollup_queries import Dimension, sums_by
from headgate.storage.rollup_tables import DAY, HOUR, MOST_NANO_USD, MOST_OF_A_MODEL, MOST_OF_ONE
from headgate.storage.schema import FAILED, UNPRICED, requests

Grouping = Literal["account", "model", "key", "client", "project", "hour", "day"]

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

_KEYS: dict[Grouping, sa.ColumnElement[Any]] = {
    # A renamed account is one group: its id is what stays.
    "account": requests.c.account_id,
    "model": sa.func.substr(
        requests.c.model, sa.literal_column("1"), sa.literal_column(str(MOST_OF_A_MODEL))
    ),
    "key": requests.c.caller,
    "client": requests.c.client,
    "project": requests.c.project,
    "hour": requests.c.timestamp - requests.c.timestamp % _HOUR_MS,
    "day": requests.c.timestamp - requests.c.timestamp % _DAY_MS,
}
_STEPS_MS: dict[Grouping, int] = {"hour": _HOUR_MS, "day": _DAY_MS}
_DIMENSIONS: dict[Grouping, tuple[Dimension, ...]] = {
    "account": ("account_id", "account"),
    "model": ("model",),
    "key": ("caller",),
    "client": ("client",),
    "project": ("project",),
}
_PLACES: dict[Grouping, str] = {
    "account": "account_id",
    **{"model": "model", "key": "caller", "client": "client", "project": "project"},
}


def _bounded(column: sa.Column[Any], most: int = MOST_OF_ONE) -> sa.ColumnElement[int]:
    """As the roll-ups have it: nonsense of a provider makes no sum overflow."""
    return sa.case((column > most, most), else_=sa.func.coalesce(column, 0))


_SUMMED = {
    "input_tokens": _bounded(requests.c.input_tokens),
    "output_tokens": _bounded(requests.c.output_tokens),
    "cache_read_tokens": _bounded(requests.c.cache_read_tokens),
    "cache_write_tokens": _bounded(requests.c.cache_write_5m_tokens)
    + _bounded(requests.c.cache_write_1h_tokens),
    "reasoning_tokens": _bounded(requests.c.reasoning_tokens),
    "nano_usd": _bounded(requests.c.nano_usd, MOST_NANO_USD),
    "unpriced_requests": sa.case((UNPRICED, 1), else_=0),
}
_MOST_UNPRICED = 100
"""Names are the callers'."""

COUNTS = ("requests", "errors", *_SUMMED)
"""The sums of a group, in the order in which they are shown."""

Row = dict[str, Any]


async def usage(
    database: Database, wanted: RequestFilter, by: Grouping, *, within: Grouping | None = None
) -> list[Row]:
    """A group each: `key` (an id, a name, Unix milliseconds, or None), `name` of an account, and sums.

    `within`: each group once more by that; its key is called so too.
    """
    found: dict[tuple[Any, Any], Row] = {}
    async with database.read() as connection:
        parts = await parts_of(connection, wanted, HOUR if "hour" in (by, within) else DAY)
        for row in await _of_rollups(connection, parts, wanted, by, within):
            _add(found, row)
        for since, until in parts.others:
            for row in await _of_requests(connection, wanted, since, until, by, within):
                _add(found, row)
    return list(found.values())


def _add(found: dict[tuple[Any, Any], Row], row: Row) -> None:
    known = found.setdefault((row["key"], row.get("within")), row)
    if known is not row:
        known["name"] = max(filter(None, (known["name"], row["name"])), default=None)
        for count in COUNTS:
            known[count] += row[count]


async def _of_rollups(
    connection: AsyncConnection, parts: Parts, wanted: RequestFilter, by: Grouping, within: Grouping | None
) -> list[Row]:
    groupings = [by] if within is None else [by, within]
    steps = [_STEPS_MS[one] for one in groupings if one in _STEPS_MS]
    columns = [column for one in groupings for column in _DIMENSIONS.get(one, ())]
    rows = await sums_by(connection, parts.spans, wanted, columns, bucket_ms=min(steps, default=None))
    return [_row(row, by, within) for row in rows]


def _row(row: Row, by: Grouping, within: Grouping | None) -> Row:
    found = {"key": _key(row, by), "name": (row["account"] or None) if by == "account" else None}
    if within is not None:
        found["within"] = _key(row, within)
    return {
        **found,
        **{count: row[count] for count in COUNTS if count in row},
        "unpriced_requests": row["unpriced"],
    }


def _key(row: Row, by: Grouping) -> Any:
    """None for what there is none of; a caller always has a name."""
    if (step := _STEPS_MS.get(by)) is not None:
        return row["bucket"] - row["bucket"] % step
    value = row[_PLACES[by]]
    return value if by == "key" else value or None


async def _of_requests(
    connection: AsyncConnection,
    wanted: RequestFilter,
    since: int | None,
    until: int | None,
    by: Grouping,
    within: Grouping | None,
) -> list[Row]:
    """One pass over the requests of a time; `requests_newest` finds where it begins."""
    key = _KEYS[by].label("key")
    inner = [] if within is None else [_KEYS[within].label("within")]
    is_failed = sa.case((FAILED, 1), else_=0)
    # For an account that is gone; one that is there has its name of today.
    name = sa.func.max(requests.c.account) if by == "account" else sa.null()
    query = (
        sa.select(
            key,
            *inner,
            name.label("name"),
            sa.func.count().label("requests"),
            sa.func.sum(is_failed).label("errors"),
            *(sa.func.coalesce(sa.func.sum(column), 0).label(sums) for sums, column in _SUMMED.items()),
        )
        .where(*served_by(wanted), *conditions(replace(wanted, since_ms=since, until_ms=until)))
        .group_by(key, *inner)
    )
    rows = (await connection.execute(query)).mappings().all()
    return [{**row, **{count: int(row[count]) for count in COUNTS}} for row in rows]


async def unpriced_models(database: Database, wanted: RequestFilter) -> list[tuple[str | None, int]]:
    """Which models used something without a price, with their number of requests: those with the most."""
    rows = await usage(database, wanted, "model")
    found = [(row["key"], row["unpriced_requests"]) for row in rows if row["unpriced_requests"]]
    return sorted(found, key=lambda one: (-one[1], one[0] or ""))[:_MOST_UNPRICED]
