"""One open database, SQLite or PostgreSQL, and its transactions."""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from headgate.clock import SystemClock
from headgate.errors import StorageError
from headgate.storage.changes import Change, keep
from headgate.storage.copies import copy_before
from headgate.storage.damage import explain, refuse_broken
from headgate.storage.location import Location, locate, prepare_file
from headgate.storage.migrations.revision import make_new, revisions
from headgate.storage.sqlite_engine import KIND, sqlite_engine
from headgate.storage.statements import log_statements

CONNECT_TIMEOUT_SECONDS = 10
COMMAND_TIMEOUT_SECONDS = 60

_log = logging.getLogger("headgate.storage")


def driver_errors() -> tuple[type[Exception], ...]:
    """SQLAlchemy wraps what happens in a statement; what happens while connecting arrives as it is.

    PostgreSQL's driver is loaded when such a database is opened, and costs those on SQLite nothing.
    """
    common = (sa.exc.SQLAlchemyError, OSError, sqlite3.Error)
    if "asyncpg" not in sys.modules:
        return common
    import asyncpg

    return (*common, asyncpg.PostgresError, asyncpg.InterfaceError)


class Database:
    """Hands out transactions. Foreign exceptions leave as StorageError."""

    def __init__(self, engine: AsyncEngine, location: Location, warnings: list[str]) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self.location = location.shown
        self.path = location.path
        self.copied_to: Path | None = None
        """The copy that the last upgrade made before it began."""
        self.warnings = warnings
        """For the owner: what was found in order to be mended, such as a file that others may read."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._transaction("read") as connection:
            yield connection

    @asynccontextmanager
    async def write(
        self, *, durable: bool = False, change: Change | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Commits at the end, rolls back on an exception.

        `durable`: survives a power cut as well (SQLite syncs at this commit; PostgreSQL always does).
        `change`: what the owner changes by it; kept in the same transaction, told in the log behind it.
        """
        async with self._transaction("durable" if durable else "write") as connection:
            yield connection
            if change is not None:
                await keep(connection, change)
        if change is not None:
            change.tell()

    @asynccontextmanager
    async def _transaction(self, kind: str) -> AsyncIterator[AsyncConnection]:
        engine = self.engine.execution_options(**{KIND: kind})
        try:
            async with engine.begin() as connection:
                yield connection
        except driver_errors() as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> StorageError:
        cause = getattr(error, "orig", None) or error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        if self.path is not None and (told := explain(self.path, reason)) is not None:
            return told
        return StorageError(
            f"Database error: {self.location}: {reason}",
            hint="See that the database can be reached and has room, then try again.",
        )

    async def upgrade(self, *, with_copy: bool = True) -> list[str]:
        """Bring the schema to the newest revision, all or nothing; the revisions that were run.

        Of a SQLite file that holds something a copy is made first (`copied_to`), with what the upgrade will
        find: nobody else writes in between.
        """

        def before_change(revision: str) -> None:
            if self.path is None:
                _log.info("PostgreSQL is upgraded without a copy: make one yourself with pg_dump")
            elif with_copy:
                # This runs in a greenlet of the event loop, which has other things to do.
                self.copied_to = await_only(asyncio.to_thread(copy_before, self.path, revision))

        async with self.read() as connection:
            current, newest = await connection.run_sync(revisions)
        if current == newest:
            return []
        now_ms = int(SystemClock().now() * 1000)
        if current is None and self.path is not None:
            async with self.write(durable=True) as connection:
                if made := await connection.run_sync(make_new, now_ms=now_ms):
                    return made
        # Not at the top: see `migrations/revision.py`. It hides no circle.
        from headgate.storage.migrations.upgrade import upgrade

        async with self.write(durable=True) as connection:
            return await connection.run_sync(upgrade, now_ms=now_ms, before_change=before_change)

    async def check(self) -> None:
        """StorageError when the database does not answer."""
        async with self.read() as connection:
            await connection.execute(sa.select(1))

    async def close(self) -> None:
        await self.engine.dispose()


async def open_database(
    url: str | Path | None, folder: Path | None = None, *, create: bool = True
) -> Database:
    """Open and see that it answers; the schema is left as it is (`upgrade`).

    `url`: the setting `storage.url`; None is `headgate.db` in `folder`. Without `create` a missing
    file is an error and none is made.
    """
    location = locate(url, folder)
    warnings = prepare_file(location, create=create)
    if location.path is not None:
        refuse_broken(location.path)
    engine = _engine(location)
    log_statements(engine)
    database = Database(engine, location, warnings)
    try:
        await database.check()
    except BaseException:
        await database.close()
        raise
    return database


def insert(connection: AsyncConnection, table: sa.Table) -> Any:
    """An INSERT that takes `on_conflict_…`: both databases say it alike, SQLAlchemy has one for each."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # loads its driver, see `driver_errors`

        return postgresql.insert(table)
    return sqlite.insert(table)


def _engine(location: Location) -> AsyncEngine:
    if location.path is None:
        return create_async_engine(
            location.url,
            hide_parameters=True,  # no row of ours in a stack trace
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_TIMEOUT_SECONDS, "command_timeout": COMMAND_TIMEOUT_SECONDS},
        )
    return sqlite_engine(location.url, location.path)
