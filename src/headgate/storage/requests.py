"""The history of requests, as pages, as one with its attempts, and as it grows."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import InvalidRequest
from headgate.storage.account_history import (
    Place,
    former_names,
    had_name,
    mark_failed,
    newest_first,
    page_of_account,
)
from headgate.storage.conversations import mark_conversations
from headgate.storage.database import Database
from headgate.storage.narrowing import is_narrowed, times_of, within_session
from headgate.storage.request_filter import RequestFilter, conditions
from headgate.storage.schema import attempts, requests

Row = dict[str, Any]
"""The columns of `requests` or `attempts` by name."""

_EVERYTHING = RequestFilter()


class RequestStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: RequestFilter = _EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Row], str | None]:
        """Newest first. The second value continues after the last row; None: there are no more. With an
        account, rows of requests in which it only failed have its name as `failed_account`.

        A page never repeats or skips a row because newer ones arrived: the cursor names a place in
        the order (time, id), not a count.
        """
        after = None if cursor is None else _read_cursor(cursor)
        async with self._database.read() as connection:
            wanted = await within_session(connection, wanted)
            if wanted.account is not None:
                rows = await page_of_account(connection, wanted, limit + 1, after)
            elif is_narrowed(wanted):
                rows = await _narrowed_page(connection, wanted, limit + 1, after)
            else:
                query = newest_first(sa.select(requests).where(*conditions(wanted)), after)
                rows = _dicts((await connection.execute(query.limit(limit + 1))).mappings())
            await mark_conversations(connection, rows)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], f"{last['timestamp']}.{last['id']}"

    async def get(self, request_id: str) -> Row | None:
        """One request with its `attempts`, in order, and its place in its conversation."""
        query = sa.select(requests).where(requests.c.id == request_id)
        of_it = sa.select(attempts).where(attempts.c.request_id == request_id).order_by(attempts.c.position)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                return None
            found = {**row, "attempts": _dicts((await connection.execute(of_it)).mappings())}
            await mark_conversations(connection, [found])
            return found

    async def former_names(self, account_id: int, *, but: str) -> tuple[str, ...]:
        """The other names under which an account has a history."""
        async with self._database.read() as connection:
            return await former_names(connection, account_id, but=but)

    async def had_name(self, name: str) -> set[int]:
        """Ids of the accounts that had the name at an end of its history."""
        async with self._database.read() as connection:
            return await had_name(connection, name)

    async def last_seq(self) -> int:
        """Where a live view begins; 0 for an empty history, less for one that was imported whole."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.max(requests.c.seq)))).scalar() or 0

    async def newest_ms(self) -> int:
        """When the newest began by its clock; 0: there is none."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.max(requests.c.timestamp)))).scalar() or 0

    async def after(self, seq: int, *, limit: int = 500, marking: RequestFilter = _EVERYTHING) -> list[Row]:
        """What was recorded since, in that order: each row's `seq` is the next place. With an account in
        `marking` each has `failed_account`: the name if it only failed there, else None."""
        query = sa.select(requests).where(requests.c.seq > seq).order_by(requests.c.seq).limit(limit)
        async with self._database.read() as connection:
            rows = _dicts((await connection.execute(query)).mappings())
            if marking.account is not None:
                await mark_failed(connection, rows, marking)
            await mark_conversations(connection, rows)
        return rows


async def _narrowed_page(
    connection: AsyncConnection, wanted: RequestFilter, limit: int, after: Place | None
) -> list[Row]:
    conditions(wanted)  # a filter that means nothing is refused, also where there is nothing
    rows: list[Row] = []
    async for since, until in times_of(connection, wanted, None if after is None else after[0]):
        within = (requests.c.timestamp >= since, requests.c.timestamp < until)
        query = newest_first(sa.select(requests).where(*conditions(wanted), *within), after)
        rows += _dicts((await connection.execute(query.limit(limit - len(rows)))).mappings())
        if len(rows) == limit:
            break
    return rows


def _dicts(rows: Iterable[sa.RowMapping]) -> list[Row]:
    return [dict(row) for row in rows]


def _read_cursor(cursor: str) -> Place:
    timestamp, dot, request_id = cursor.partition(".")
    # 15 digits of milliseconds reach past the year 30000 and stay inside a 64-bit column.
    if not (dot and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise InvalidRequest(
            "Invalid cursor.", hint="Use `next_cursor` of an earlier answer as it is, or leave it out."
        )
    return int(timestamp), request_id
