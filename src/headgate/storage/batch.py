"""The recorder's way in: rows and the journal position they bring us to, in one transaction.

Exactly once: the position moves by compare-and-set inside the transaction that inserts the rows, so
of two replayers one wins, and a crash leaves either both or neither. The unique ids are the second
belt.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import StorageError
from headgate.pricing.prices import PriceTable, shipped_table
from headgate.storage.batch_usage import Fetched, add_objects, count_results
from headgate.storage.bulk import insert_new
from headgate.storage.counters import add_counts
from headgate.storage.database import Database, driver_errors, insert
from headgate.storage.health import save_health
from headgate.storage.partitions import dated, is_without_place, make_months
from headgate.storage.provider_sums import add_provider_sums
from headgate.storage.rollups import add_rollups
from headgate.storage.schema import attempts, journal_positions, requests
from headgate.storage.spending import add_spending

Row = dict[str, Any]


@dataclass(slots=True)
class Rows:
    """Rows by table, every column present in each."""

    requests: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    health: list[Row] = field(default_factory=list)
    objects: list[Row] = field(default_factory=list)
    fetched: list[Fetched] = field(default_factory=list)
    """Results of batches among the requests: what they used is counted once."""
    prices: PriceTable = field(default_factory=shipped_table)
    """By which the requests were priced."""


@dataclass(frozen=True, slots=True)
class Step:
    """The part of a segment that a batch stands for: bytes `start` to `end` of `segment`."""

    journal: str
    segment: str
    start: int
    end: int


class PositionMoved(Exception):
    """Somebody else has replayed from `start`. Nothing was written."""


class RowsRefused(Exception):
    """The database refuses a value and always will; trying again is of no use. Nothing was written."""


async def read_positions(database: Database) -> dict[tuple[str, str], int]:
    """How far each segment was replayed: byte offset by (journal, segment)."""
    async with database.read() as connection:
        found = await connection.execute(sa.select(journal_positions))
        return {(row.journal, row.segment): row.byte_offset for row in found}


async def forget_position(database: Database, journal: str, segment: str) -> None:
    """For a segment whose file is gone."""
    this = (journal_positions.c.journal == journal) & (journal_positions.c.segment == segment)
    async with database.write() as connection:
        await connection.execute(sa.delete(journal_positions).where(this))


Also = Callable[[AsyncConnection], Awaitable[None]]


async def write_batch(database: Database, step: Step, rows: Rows, also: Also | None = None) -> None:
    """Write `rows`, then what `also` writes, and move the position, all or nothing.

    PositionMoved and RowsRefused as above; StorageError when the database is away, which may be
    tried again.
    """
    try:
        async with database.write() as connection:
            await make_months(connection, [row["timestamp"] for row in rows.requests])
            await _move_position(connection, step)
            await _insert_rows(connection, rows)
            if also is not None:
                await also(connection)
    except StorageError as error:
        if _is_about_a_value(error.__cause__):
            raise RowsRefused(error.message) from error
        raise
    except OverflowError as error:  # sqlite3 raises it bare for an integer over 64 bits
        raise RowsRefused(str(error)) from error


async def _move_position(connection: AsyncConnection, step: Step) -> None:
    place = {"journal": step.journal, "segment": step.segment}
    await connection.execute(
        insert(connection, journal_positions).on_conflict_do_nothing(), [{**place, "byte_offset": 0}]
    )
    moved = await connection.execute(
        sa.update(journal_positions)
        .where(
            journal_positions.c.journal == step.journal,
            journal_positions.c.segment == step.segment,
            journal_positions.c.byte_offset == step.start,
        )
        .values(byte_offset=step.end)
    )
    if moved.rowcount != 1:
        raise PositionMoved


async def _insert_rows(connection: AsyncConnection, rows: Rows) -> None:
    await add_counts(connection, rows.requests, rows.attempts)  # first, for the order of the locks
    await add_objects(connection, rows.objects, rows.fetched)
    if rows.fetched:
        rows.requests += await count_results(connection, rows.fetched, rows.prices)
    tries = dated(connection, rows.attempts, rows.requests)
    await insert_new(connection, requests, rows.requests)
    await insert_new(connection, attempts, tries)
    await add_spending(connection, rows.requests, rows.prices)
    await add_provider_sums(connection, rows.requests, rows.attempts)
    await add_rollups(connection, rows.requests)
    if rows.health:
        await save_health(connection, rows.health)


def _is_about_a_value(error: BaseException | None) -> bool:
    """Told from a database that is away, full or read-only: those get better."""
    if not isinstance(error, driver_errors()):
        return False
    if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError):
        return True
    # PostgreSQL's classes 22 (data exception) and 23 (integrity); asyncpg's own checks of a value,
    # made before anything is sent, carry no code and are found by their name.
    original = getattr(error, "orig", None)
    if is_without_place(original):
        return False
    state = getattr(original, "sqlstate", None) or ""
    return state[:2] in ("22", "23") or "DataError" in str(original)
