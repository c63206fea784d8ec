"""How a SQLite file is opened and asked, how a transaction begins, and what a cancelled task leaves behind.

SQLite runs in WAL mode with explicit BEGINs: a writer takes its lock at once (BEGIN IMMEDIATE), so
that it waits for another writer and never fails half-way, and DDL is rolled back with the rest.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite
import sqlalchemy as sa
from aiosqlite.context import contextmanager
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

BUSY_TIMEOUT_MS = 10_000
"""A writer waits this long for another: longer than any transaction of ours takes but an upgrade or a
vacuum; the recorder then tries again, everybody else is told who holds the file."""

_FETCHED_AT_ONCE = 16
"""Rows that come along with a statement's answer: fewer than who streams large ones takes at a time."""

KIND = "headgate_begin"
"""The execution option that says how a transaction begins: a key of `_BEGIN`."""

_BEGIN = {
    "read": ("BEGIN",),
    "write": ("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"),
    "durable": ("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"),
}


def sqlite_engine(url: sa.URL, path: Path) -> AsyncEngine:
    """For the file at `path`, which exists; `url` names the driver."""

    async def connect() -> aiosqlite.Connection:
        return await _Connection(lambda: sqlite3.connect(path, check_same_thread=False), iter_chunk_size=64)

    engine = create_async_engine(url, hide_parameters=True, async_creator=connect)
    sa.event.listen(engine.sync_engine, "connect", _prepare)
    sa.event.listen(engine.sync_engine, "begin", _begin)
    sa.event.listen(engine.sync_engine, "invalidate", _let_go_of_locks)
    return engine


class _Cursor(aiosqlite.Cursor):
    """One that goes to the connection's thread once for a statement with few rows.

    Each time there and back takes longer than most statements do; SQLAlchemy asks for a cursor, to execute,
    for all rows and to close, one after the other.
    """

    def __init__(self, connection: aiosqlite.Connection, cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._fetched: list[Any] = []
        """Rows that nobody took yet: they come before those that the statement still has."""
        self._is_done = False
        """SQLite has given its last row and let go of the statement: nothing is left to be closed."""

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Self:
        await self._in_thread(self._execute_now, self._cursor.execute, sql, parameters or ())
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        await self._in_thread(self._execute_now, self._cursor.executemany, sql, parameters)
        return self

    def _execute_now(self, execute: Callable[[str, Any], Any], sql: str, parameters: Any) -> None:
        """In the thread."""
        self._is_done = False
        execute(sql, parameters)
        has_rows = self._cursor.description is not None
        self._fetched = self._cursor.fetchmany(_FETCHED_AT_ONCE) if has_rows else []
        self._is_done = len(self._fetched) < _FETCHED_AT_ONCE

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = size or self.arraysize
        found, self._fetched = self._fetched[:wanted], self._fetched[wanted:]
        if len(found) < wanted and not self._is_done:
            found += await self._in_thread(self._cursor.fetchmany, wanted - len(found))
        return found

    async def fetchall(self) -> list[Any]:
        found, self._fetched = self._fetched, []
        if not self._is_done:
            found += await self._in_thread(self._cursor.fetchall)
        return found

    async def fetchone(self) -> Any:
        return next(iter(await self.fetchmany(1)), None)

    async def close(self) -> None:
        if not self._is_done:
            await self._in_thread(self._cursor.close)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await self._execute(call, *arguments)  # type: ignore[no-untyped-call]


class _Connection(aiosqlite.Connection):
    """One whose end may be asked for twice, as SQLAlchemy does when a task is cancelled while it closes one.

    aiosqlite (0.22, `Connection.close`) waits for the answer to each time, but its thread answers the first
    and is gone: the second would wait for ever, and the end of the event loop for it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._thread.daemon = True  # as SQLAlchemy has it where it makes the connection itself
        self._is_ending = False
        self._end: asyncio.Future[None] | None = None

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return _Cursor(self, self._conn.cursor())  # which asks SQLite nothing

    def stop(self) -> "asyncio.Future[None] | None":
        if not self._is_ending:
            self._is_ending = True
            self._end = super().stop()
        return self._end


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver's own leaves DDL outside transactions
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _let_go_of_locks(connection: Any, *_: Any) -> None:
    """Before a connection is thrown away, as one is in whose middle the task was cancelled.

    SQLite closes it when its last statement is gone (sqlite3_close_v2), and a cancelled statement lives on in
    the traceback until the next search for garbage. Until then nobody else could write.
    """
    if in_greenlet():  # else it is the search for garbage that throws it away
        with suppress(sqlite3.Error, ValueError):  # a closed one holds no lock
            await_only(asyncio.shield(connection.driver_connection.rollback()))


def _begin(connection: sa.Connection) -> None:
    for statement in _BEGIN[connection.get_execution_options().get(KIND, "write")]:
        connection.exec_driver_sql(statement)
