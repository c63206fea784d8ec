"""The history by months, on PostgreSQL: `requests` and `attempts` have a table for each, and what is too old
goes with its table. On SQLite nothing of this is done. Decision 0026 says why it is so.

The first partition, of before there were months, holds all that is older than the others. A month is made
when a row of it comes, this one and the next ahead of that. None is a DEFAULT: that would be read through,
and locked, whenever a month is made.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import StorageError
from headgate.storage.database import Database

PARTITIONED: Final = ("requests", "attempts")
"""In the order in which writers lock them."""

FIRST_MS: Final = -(2**63)
LAST_MS: Final = 2**63 - 1

# Any number, the same for all: of two that make the same month one waits, and finds it.
_ADVISORY_LOCK: Final = 0x48454146

_PATIENCE: Final = "1500ms"
"""A month is taken away when nobody reads for a moment; until then whoever comes waits behind us. A vacuum of
the server's own gives way after a second."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
_CHECK_VIOLATION: Final = "23514"
_NO_SUCH_TABLE: Final = "42P01"

_DAY_MS: Final = 86_400_000
_BOUNDS: Final = re.compile(r"FOR VALUES FROM \((MINVALUE|'?-?\d+'?)\) TO \((MAXVALUE|'?-?\d+'?)\)")

_ALL: Final = sa.text(
    "SELECT parent.relname, part.relname, pg_get_expr(part.relpartbound, part.oid),"
    " CASE WHEN :sized THEN pg_total_relation_size(part.oid) ELSE 0 END"
    " FROM pg_inherits"
    " JOIN pg_class AS parent ON parent.oid = inhparent JOIN pg_class AS part ON part.oid = inhrelid"
    " WHERE inhparent IN (to_regclass('requests'), to_regclass('attempts'))"
)


@dataclass(frozen=True, slots=True)
class Partition:
    table: str
    name: str
    since_ms: int
    until_ms: int
    """The first moment that is not in it."""
    size_bytes: int
    """With its indexes; 0 where it was not asked for."""


@dataclass(frozen=True, slots=True)
class Month:
    label: str
    since_ms: int
    until_ms: int


def month_of(at_ms: int) -> Month:
    """In UTC. What lies outside the calendar is in its first or last month."""
    try:
        at = datetime.fromtimestamp(at_ms // 1000, UTC)
        year, month = at.year, at.month
    except (OverflowError, ValueError, OSError):
        year, month = (1, 1) if at_ms < 0 else (9999, 12)
    since = FIRST_MS if (year, month) == (1, 1) else _begin(year, month)
    until = LAST_MS if (year, month) == (9999, 12) else _begin(year + month // 12, month % 12 + 1)
    return Month(f"{year:04}_{month:02}", since, until)


def _begin(year: int, month: int) -> int:
    return round(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


async def partitions(connection: AsyncConnection, *, sized: bool = False) -> list[Partition]:
    """Those of requests, then those of attempts, from the oldest; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    found = [
        Partition(table, name, *_bounds(words), size_bytes)
        for table, name, words, size_bytes in await connection.execute(_ALL, {"sized": sized})
    ]
    return sorted(found, key=lambda one: (PARTITIONED.index(one.table), one.since_ms))


def _bounds(words: str) -> tuple[int, int]:
    """A hand may have made one of another kind: it is left alone, and holds nothing as far as we know."""
    if (found := _BOUNDS.fullmatch(words)) is None:
        return LAST_MS, LAST_MS
    since, until = (one.strip("'") for one in found.groups())
    return FIRST_MS if since == "MINVALUE" else int(since), LAST_MS if until == "MAXVALUE" else int(until)


# ---- months to come ------------------------------------------------------------------------------


async def make_months(connection: AsyncConnection, at_ms: Iterable[int]) -> list[str]:
    """See that rows of these times find a place; the tables that were made. To be called before a transaction
    locks anything. Nobody who reads or writes waits for it."""
    if connection.dialect.name != "postgresql":
        return []
    months = {month_of(day * _DAY_MS) for day in {at // _DAY_MS for at in at_ms}}
    if not months or not _missing(months, await partitions(connection)):
        return []
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    missing = _missing(months, await partitions(connection))
    for table, month in missing:
        await _make(connection, table, month)
    return [f"{table}_{month.label}" for table, month in missing]


async def make_months_ahead(database: Database, now: float) -> list[str]:
    """This one and the next; `now` in Unix seconds."""
    if database.dialect != "postgresql":
        return []
    this = month_of(round(now * 1000))
    async with database.write() as connection:
        return await make_months(connection, (this.since_ms, this.until_ms))


def dated(
    connection: AsyncConnection, attempts: list[dict[str, Any]], requests: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Attempts with the time of their request, by which PostgreSQL finds the month of each."""
    if connection.dialect.name != "postgresql":
        return attempts
    at = {row["id"]: row["timestamp"] for row in requests}
    return [{**row, "request_at": at[row["request_id"]]} for row in attempts]


def is_without_place(error: object) -> bool:
    """Of PostgreSQL: a month was taken away while a row of it was on its way. It is made the next time."""
    state = getattr(error, "sqlstate", None)
    return state == _CHECK_VIOLATION and "no partition of relation" in str(error)


def _missing(months: Iterable[Month], there: list[Partition]) -> list[tuple[str, Month]]:
    return [
        (table, month)
        for month in sorted(months, key=lambda one: one.since_ms)
        for table in PARTITIONED
        if not any(one.table == table and one.since_ms <= month.since_ms < one.until_ms for one in there)
    ]


async def _make(connection: AsyncConnection, table: str, month: Month) -> None:
    """Made beside and attached: to be made as a part would lock out whoever reads or writes."""
    name = f"{table}_{month.label}"
    since = "MINVALUE" if month.since_ms == FIRST_MS else month.since_ms
    until = "MAXVALUE" if month.until_ms == LAST_MS else month.until_ms
    for statement in (
        f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)",
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({since}) TO ({until})",
    ):
        await connection.exec_driver_sql(statement)


# ---- months that were ----------------------------------------------------------------------------


Emptying = Callable[[Database, str], Awaitable[None]]
"""Takes away what hangs on the requests of a partition, and has no months itself."""


async def drop_months(database: Database, before_ms: int, emptying: Emptying | None = None) -> int:
    """Those that ended before; how many requests were in them. What somebody reads just now stays until the
    next time."""
    async with database.read() as connection:
        past = [one for one in await partitions(connection) if one.until_ms <= before_ms]
    deleted = 0
    # Attempts first, each in a transaction of its own: who holds one lock and waits for none makes no ring.
    for one in sorted(past, key=lambda one: (one.since_ms, one.table)):
        try:
            if emptying is not None and one.table == PARTITIONED[0]:
                await emptying(database, one.name)
            deleted += await _drop(database, one)
        except StorageError as error:
            if _state_of(error) not in (_LOCK_NOT_AVAILABLE, _NO_SUCH_TABLE):
                raise
            break
    return deleted


async def _drop(database: Database, one: Partition) -> int:
    is_counted = one.table == PARTITIONED[0]
    async with database.write() as connection:
        counting = sa.text(f"SELECT count(*) FROM {one.name}")
        count = (await connection.execute(counting)).scalar_one() if is_counted else 0
    async with database.write() as connection:
        await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        await connection.exec_driver_sql(f"ALTER TABLE {one.table} DETACH PARTITION {one.name}")
        await connection.exec_driver_sql(f"DROP TABLE {one.name}")
    return int(count)


def _state_of(error: StorageError) -> str:
    original: Any = getattr(error.__cause__, "orig", None)
    return str(getattr(original, "sqlstate", ""))
