"""What the owner does with the database itself: look, check, tidy up."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import StorageError
from headgate.storage.damage import explain
from headgate.storage.database import Database
from headgate.storage.migrations.revision import revisions
from headgate.storage.partitions import FIRST_MS, LAST_MS, Partition, partitions
from headgate.storage.rollup_check import differing_days
from headgate.storage.schema import attempts, bodies, body_sums, metadata, requests

_MOST_PROBLEMS = 20
_VACUUM_WAIT_SECONDS = 60.0
_SPARE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A month of the history."""

    table: str
    """requests or attempts"""
    name: str
    since_ms: int | None
    """None: all that is older."""
    until_ms: int | None
    """The first moment that is not in it; None: all that is newer."""
    size_bytes: int
    """With its indexes."""


@dataclass(frozen=True, slots=True)
class Info:
    kind: str
    """sqlite or postgresql"""
    location: str
    revision: str | None
    """None: there is no schema yet."""
    newest_revision: str
    """That this program knows."""
    size_bytes: int
    rows: dict[str, int]
    oldest_request_at: int | None
    newest_request_at: int | None
    bodies_bytes: int
    """Of what was said, as far as it is kept."""
    partitions: list[Part]
    """Of PostgreSQL: the months of the history."""


@dataclass(slots=True)
class Check:
    problems: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return not self.problems


async def info(database: Database) -> Info:
    async with database.read() as connection:
        current, newest = await connection.run_sync(revisions)
        made = await connection.run_sync(lambda sync: set(sa.inspect(sync).get_table_names()))
        rows = {table.name: await _count(connection, table) for table in _tables() if table.name in made}
        span = sa.select(sa.func.min(requests.c.timestamp), sa.func.max(requests.c.timestamp))
        oldest, newest_at = (await connection.execute(span)).one() if "requests" in made else (None, None)
        size = await _size(database, connection)
        kept = await connection.execute(sa.select(body_sums.c.bytes)) if "body_sums" in made else None
        bodies = kept.scalar() if kept is not None else None
        months = [_part(one) for one in await partitions(connection, sized=True)]
    rest = (oldest, newest_at, bodies or 0, months)
    return Info(database.dialect, database.location, current, newest, size, rows, *rest)


def _part(one: Partition) -> Part:
    since = None if one.since_ms == FIRST_MS else one.since_ms
    until = None if one.until_ms == LAST_MS else one.until_ms
    return Part(one.table, one.name, since, until, one.size_bytes)


async def check(database: Database) -> Check:
    """Everything that can be asked of it; what is wrong, in words. Reads all of a SQLite file."""
    result = Check()
    try:
        async with database.read() as connection:
            if database.path is not None:
                await _check_file(connection, result)
            await _check_schema(connection, result)
            if result.is_ok:
                await _check_orphans(connection, result)
                result.problems += await differing_days(connection)
                result.checked.append("roll-ups")
                await _check_bodies(connection, result)
    except StorageError as error:
        result.problems.append(error.message)
    return result


async def vacuum(database: Database) -> tuple[int, int]:
    """Give the room of deleted rows back to the disk; bytes before and after."""
    async with database.read() as connection:
        before = await _size(database, connection)
    if database.path is not None:
        await asyncio.to_thread(_vacuum_file, database.path)
    else:
        async with database.engine.connect() as plain:
            alone = await plain.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(sa.text("VACUUM ANALYZE"))
    async with database.read() as connection:
        return before, await _size(database, connection)


def _vacuum_file(path: Path) -> None:
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < 2 * size + _SPARE_BYTES:
        raise StorageError(
            f"There is no room for a vacuum: {path} has {size >> 20} MiB, twice that is wanted beside it, "
            f"{free >> 20} MiB are free",
            hint=f"Make room on the disk of {path.parent}; headgate history clear alone needs little.",
        )
    try:
        with closing(sqlite3.connect(path, timeout=_VACUUM_WAIT_SECONDS, isolation_level=None)) as alone:
            alone.execute("VACUUM")
            alone.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        told = explain(path, str(error))
        raise told or StorageError(f"Database error: {path}: {error}") from error


def _tables() -> list[sa.Table]:
    return sorted(metadata.tables.values(), key=lambda table: table.name)


async def _count(connection: AsyncConnection, table: sa.Table) -> int:
    return (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()


async def _size(database: Database, connection: AsyncConnection) -> int:
    if database.path is None:
        query = sa.text("SELECT pg_database_size(current_database())")
        return int((await connection.execute(query)).scalar_one())
    files = (database.path, Path(f"{database.path}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


async def _check_file(connection: AsyncConnection, result: Check) -> None:
    query = sa.text(f"PRAGMA integrity_check({_MOST_PROBLEMS})")
    said = [row[0] for row in await connection.execute(query)]
    result.problems += [f"integrity: {line}" for line in said if line != "ok"]
    result.checked.append("integrity")
    broken = (await connection.execute(sa.text("PRAGMA foreign_key_check"))).fetchall()
    if broken:
        result.problems.append(f"foreign keys: {len(broken)} rows refer to rows that are not there")
    result.checked.append("foreign keys")


async def _check_schema(connection: AsyncConnection, result: Check) -> None:
    current, newest = await connection.run_sync(revisions)
    if current != newest:
        result.problems.append(f"schema: revision {current or 'none'}, this program has {newest}")
    else:
        result.problems += await connection.run_sync(_missing_parts)
    result.checked.append("schema")


def _missing_parts(connection: sa.Connection) -> list[str]:
    found = sa.inspect(connection)
    problems = []
    for table in _tables():
        if not found.has_table(table.name):
            problems.append(f"schema: the table {table.name} is missing")
            continue
        known = {column["name"] for column in found.get_columns(table.name)}
        missing = [column.name for column in table.columns if column.name not in known]
        problems += [f"schema: the column {table.name}.{name} is missing" for name in missing]
    return problems


async def _check_orphans(connection: AsyncConnection, result: Check) -> None:
    query = (
        sa.select(sa.func.count())
        .select_from(attempts.outerjoin(requests, requests.c.id == attempts.c.request_id))
        .where(requests.c.id.is_(None))
    )
    if count := (await connection.execute(query)).scalar_one():
        result.problems.append(f"orphans: {count} attempts belong to no request")
    result.checked.append("orphans")


async def _check_bodies(connection: AsyncConnection, result: Check) -> None:
    """How much is kept, as it is told and as it is."""
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(bodies.c.stored), 0))
    count, size = (await connection.execute(counted)).one()
    told = (await connection.execute(sa.select(body_sums.c.bodies, body_sums.c.bytes))).one_or_none()
    if (count, int(size)) != (tuple(told) if told is not None else (0, 0)):
        result.problems.append(
            f"bodies: there are {count} of {size} bytes, and {told} is what their sum says"
        )
    result.checked.append("bodies")
