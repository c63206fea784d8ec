"""All that one database holds, into another: SQLite into PostgreSQL, and back.

One transaction reads, at one moment; one writes: a copy that is interrupted has brought nothing. Tables go in
the order of their references, a few thousand rows at a time. PostgreSQL takes them by its COPY, which wants
each value as the column has it (`carrying.py`).
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import Conflict, StorageError
from headgate.storage.carrying import DECODING, Carrier
from headgate.storage.database import Database
from headgate.storage.migrations.revision import revisions
from headgate.storage.partitions import make_months
from headgate.storage.schema import attempts, bodies, body_parts, gateways, metadata, requests, schema_history

PIECE: Final = 5_000
"""Rows in memory at a time: some megabytes."""

FEW: Final = 20
"""The same of what was said: up to 16 MiB a row."""

OWN: Final = (schema_history,)
"""What each database has of its own: how its schema came to be."""

_TIMESTAMP = list(requests.columns).index(requests.c.timestamp)
_REQUEST_AT = {
    "postgresql": "COALESCE(requests.timestamp, attempts.request_at, 0)",
    "sqlite": "CASE WHEN attempts.request_failed IS NULL THEN NULL ELSE attempts.request_at END",
}
"""Each attempt on PostgreSQL has it, and lies with its request; on SQLite those alone that did not serve."""

Progress = Callable[[str, int, int], None]
"""Told the table, how many rows of all are there, and how many there will be."""


@dataclass(slots=True)
class Transferred:
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    changed: dict[str, int] = field(default_factory=dict)
    """How many values could not be as they were, by `table.column`."""


def tables() -> list[sa.Table]:
    """What is referred to comes first."""
    return [table for table in metadata.sorted_tables if table not in OWN]


async def transfer(
    source: Database, target: Database, *, replace: bool, now_ms: int, progress: Progress
) -> Transferred:
    """Both at the newest schema. Conflict where the target holds something already, unless it is to be
    replaced, and where a gateway lives on either."""
    changed: Counter[str] = Counter()
    done = Transferred()
    async with _snapshot(source) as reading, target.write(durable=True) as writing:
        for database, connection in ((source, reading), (target, writing)):
            await _refuse_other_schema(database, connection)
        await _keep_others_out(writing)
        for database, connection in ((source, reading), (target, writing)):
            await _refuse_living(database, connection, now_ms)
        await _make_room(target, writing, replace=replace)
        expected = {table.name: await _count(reading, table) for table in tables()}
        for table in tables():
            before = sum(done.rows.values())
            copied = 0
            carrier = Carrier(table, target.dialect, changed)
            async for rows in _pieces(reading, table, target.dialect):
                fitted = carrier.fit(rows)
                if table is requests:
                    await make_months(writing, map(itemgetter(_TIMESTAMP), fitted))
                await _put(writing, table, fitted)
                copied += len(rows)
                progress(table.name, before + copied, sum(expected.values()))
            done.rows[table.name] = copied
            await _compare(writing, table, expected[table.name])
            await _go_on_numbering(reading, writing, table)
    done.changed = dict(changed)
    await _analyze(target)
    return done


async def _refuse_other_schema(database: Database, connection: AsyncConnection) -> None:
    current, newest = await connection.run_sync(revisions)
    if current != newest:
        raise StorageError(
            f"{database.location} has schema {current or 'none'}, this program has {newest}",
            hint="headgate db upgrade brings it to the newest one.",
        )


async def _refuse_living(database: Database, connection: AsyncConnection, now_ms: int) -> None:
    living = await connection.execute(sa.select(gateways.c.holder).where(gateways.c.ends_at > now_ms))
    if names := ", ".join(living.scalars()):
        raise Conflict(
            f"A gateway runs on {database.location}: {names}",
            hint="Stop it first; one that was killed is forgotten after some seconds.",
        )


async def _keep_others_out(connection: AsyncConnection) -> None:
    """Nobody else writes from here on; the writer of a SQLite file is alone anyway."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"LOCK TABLE {_names()} IN SHARE ROW EXCLUSIVE MODE")


def _names() -> str:
    return ", ".join(f'"{table.name}"' for table in tables())


async def _make_room(target: Database, connection: AsyncConnection, *, replace: bool) -> None:
    held = [table.name for table in tables() if await _has_rows(connection, table)]
    if held and not replace:
        raise Conflict(
            f"{target.location} is not empty: there are rows in {', '.join(held)}",
            hint="Name an empty database, or add --replace: what it holds is deleted then.",
        )
    if held and target.dialect == "postgresql":
        await connection.exec_driver_sql(f"TRUNCATE {_names()} RESTART IDENTITY")
    elif held:
        for table in reversed(tables()):
            await connection.execute(sa.delete(table))


async def _has_rows(connection: AsyncConnection, table: sa.Table) -> bool:
    return (
        await connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1))
    ).first() is not None


async def _count(connection: AsyncConnection, table: sa.Table) -> int:
    return (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()


# ---- reading -------------------------------------------------------------------------------------


@asynccontextmanager
async def _snapshot(source: Database) -> AsyncIterator[AsyncConnection]:
    """All that is read is of one moment, whoever writes meanwhile."""
    async with source.read() as connection:
        driver = await _driver(connection)
        if source.dialect == "postgresql":
            await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection
            return
        usual = driver.text_factory
        driver.text_factory = lambda found: found.decode("utf-8", DECODING)
        try:
            yield connection
        finally:
            driver.text_factory = usual


async def _pieces(
    connection: AsyncConnection, table: sa.Table, target: str
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Values as the database has them: what is JSON to us stays text."""
    names = [f'"{table.name}"."{column.name}"' for column in table.columns]
    joined = ""
    if table is attempts:
        joined = ' LEFT JOIN requests ON requests.id = "attempts"."request_id"'
        names = [_REQUEST_AT[target] if name == '"attempts"."request_at"' else name for name in names]
    query = sa.text(f'SELECT {", ".join(names)} FROM "{table.name}"{joined}')
    piece = FEW if table in (bodies, body_parts) else PIECE
    result = await connection.stream(query, execution_options={"yield_per": piece})
    async for rows in result.partitions(piece):
        yield rows


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


# ---- writing -------------------------------------------------------------------------------------


async def _put(connection: AsyncConnection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
    names = [column.name for column in table.columns]
    if connection.dialect.name == "postgresql":
        driver = await _driver(connection)
        await driver.copy_records_to_table(table.name, records=rows, columns=names)
        return
    columns, places = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    await connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({columns}) VALUES ({places})', rows)


async def _compare(connection: AsyncConnection, table: sa.Table, expected: int) -> None:
    if (found := await _count(connection, table)) != expected:
        raise StorageError(
            f"The copy of {table.name} has {found} rows of {expected}; nothing was kept of it",
            hint="Run it again; headgate db check tells whether the database is damaged.",
        )


async def _go_on_numbering(reading: AsyncConnection, writing: AsyncConnection, table: sa.Table) -> None:
    """Behind the last number that was ever given: an account's is never given twice."""
    for column in table.columns:
        if column.autoincrement is not True:
            continue
        last = (await reading.execute(sa.select(sa.func.max(column)))).scalar() or 0
        last = max(last, await _last_given(reading, table, column))
        if last and writing.dialect.name == "postgresql":
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            await writing.execute(sa.select(sa.func.setval(sequence, last)))
        elif last and _never_gives_twice(table):
            by_name = {"name": table.name, "last": last}
            await writing.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), by_name)
            await writing.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), by_name)


async def _last_given(connection: AsyncConnection, table: sa.Table, column: sa.Column[Any]) -> int:
    if connection.dialect.name == "postgresql":
        named = sa.cast(sa.func.pg_get_serial_sequence(table.name, column.name), sa.Text)
        query: sa.Executable = sa.select(sa.func.pg_sequence_last_value(sa.func.to_regclass(named)))
    elif _never_gives_twice(table):
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name").bindparams(name=table.name)
    else:
        return 0
    return (await connection.execute(query)).scalar() or 0


def _never_gives_twice(table: sa.Table) -> bool:
    return bool(table.dialect_options["sqlite"].get("autoincrement"))


async def _analyze(target: Database) -> None:
    """So that the first questions are answered by the right indexes."""
    async with target.write() as connection:
        await connection.exec_driver_sql("ANALYZE")
