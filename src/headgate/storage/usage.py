"""What was used: requests, errors, tokens and money, in sums by account, model, key, hour or day.

One pass over the requests of a time; `requests_newest` finds where it begins.
"""

from typing import Any, Literal

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter, conditions, served_by
from headgate.storage.schema import FAILED, UNPRICED, requests

Grouping = Literal["account", "model", "key", "hour", "day"]

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

_KEYS: dict[Grouping, sa.ColumnElement[Any]] = {
    # A renamed account is one group: its id is what stays.
    "account": requests.c.account_id,
    "model": requests.c.model,
    "key": requests.c.caller,
    "hour": requests.c.timestamp - requests.c.timestamp % _HOUR_MS,
    "day": requests.c.timestamp - requests.c.timestamp % _DAY_MS,
}

_SUMMED = {
    "input_tokens": requests.c.input_tokens,
    "output_tokens": requests.c.output_tokens,
    "cache_read_tokens": requests.c.cache_read_tokens,
    "cache_write_tokens": sa.func.coalesce(requests.c.cache_write_5m_tokens, 0)
    + sa.func.coalesce(requests.c.cache_write_1h_tokens, 0),
    "reasoning_tokens": requests.c.reasoning_tokens,
    "nano_usd": requests.c.nano_usd,
    "unpriced_requests": sa.case((UNPRICED, 1), else_=0),
}
_MOST_UNPRICED = 100
"""Names are the callers'."""

COUNTS = ("requests", "errors", *_SUMMED)
"""The sums of a group, in the order in which they are shown."""


async def usage(
    database: Database, wanted: RequestFilter, by: Grouping, *, within: Grouping | None = None
) -> list[dict[str, Any]]:
    """A group each: `key` (an id, a name, Unix milliseconds, or None), `name` of an account, and sums.

    `within`: each group once more by that; its key is called so too.
    """
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
        .where(*served_by(wanted), *conditions(wanted))
        .group_by(key, *inner)
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    return [{**row, **{count: int(row[count]) for count in COUNTS}} for row in rows]


async def unpriced_models(database: Database, wanted: RequestFilter) -> list[tuple[str | None, int]]:
    """Which models used something without a price, with their number of requests: those with the most."""
    count = sa.func.count()
    query = (
        sa.select(requests.c.model, count)
        .where(UNPRICED, *served_by(wanted), *conditions(wanted))
        .group_by(requests.c.model)
        .order_by(count.desc(), requests.c.model)
        .limit(_MOST_UNPRICED)
    )
    async with database.read() as connection:
        return [(row[0], row[1]) for row in await connection.execute(query)]
