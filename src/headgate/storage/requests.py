"""The history of requests, as pages, as one with its attempts, and as it grows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import InvalidRequest
from headgate.storage.database import Database
from headgate.storage.schema import FAILED, attempts, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """What a page shows. All conditions hold together; None does not restrict."""

    status: str | int | None = None
    """`error`, `success`, or an HTTP status."""
    account: str | None = None
    account_id: int | None = None
    """With `former_names`: also what this account did under those."""
    former_names: tuple[str, ...] = ()
    model: str | None = None
    caller: str | None = None
    since_ms: int | None = None


Row = dict[str, Any]
"""The columns of `requests` or `attempts` by name."""

_EVERYTHING = RequestFilter()


class RequestStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: RequestFilter = _EVERYTHING, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Row], str | None]:
        """Newest first. The second value continues after the last row; None: there are no more.

        A page never repeats or skips a row because newer ones arrived: the cursor names a place in
        the order (time, id), not a count.
        """
        query = sa.select(requests).where(*conditions(wanted))
        if cursor is not None:
            place = sa.tuple_(requests.c.timestamp, requests.c.id)
            query = query.where(place < sa.tuple_(*map(sa.literal, _read_cursor(cursor))))
        query = query.order_by(requests.c.timestamp.desc(), requests.c.id.desc()).limit(limit + 1)
        async with self._database.read() as connection:
            rows = _dicts((await connection.execute(query)).mappings())
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], f"{last['timestamp']}.{last['id']}"

    async def get(self, request_id: str) -> Row | None:
        """One request with its `attempts`, in order."""
        query = sa.select(requests).where(requests.c.id == request_id)
        of_it = sa.select(attempts).where(attempts.c.request_id == request_id).order_by(attempts.c.position)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                return None
            return {**row, "attempts": _dicts((await connection.execute(of_it)).mappings())}

    async def former_names(self, account_id: int, *, but: str) -> tuple[str, ...]:
        """The other names under which an account has a history: a name is its own when the first or the
        last request under it was. Asks the index for a few rows per name, however long the history."""
        async with self._database.read() as connection:
            found, name = [], await _name_after(connection, None)
            while name is not None:
                if name != but and account_id in await _first_and_last(connection, name):
                    found.append(name)
                name = await _name_after(connection, name)
        return tuple(found)

    async def had_name(self, name: str) -> set[int]:
        """Ids of the accounts that had the name at an end of its history."""
        async with self._database.read() as connection:
            return {one for one in await _first_and_last(connection, name) if one is not None}

    async def last_seq(self) -> int:
        """Where a live view begins; 0 for an empty history, less for one that was imported whole."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.max(requests.c.seq)))).scalar() or 0

    async def after(self, seq: int, *, limit: int = 500) -> list[Row]:
        """What was recorded since, in that order: each row's `seq` is the next place."""
        query = sa.select(requests).where(requests.c.seq > seq).order_by(requests.c.seq).limit(limit)
        async with self._database.read() as connection:
            return _dicts((await connection.execute(query)).mappings())


async def _name_after(connection: AsyncConnection, name: str | None) -> str | None:
    """The next name in the history, in the order of the index `requests_account`."""
    next_one = sa.select(sa.func.min(requests.c.account))
    if name is not None:
        next_one = next_one.where(requests.c.account > name)
    found: str | None = (await connection.execute(next_one)).scalar()
    return found


async def _first_and_last(connection: AsyncConnection, name: str) -> set[int | None]:
    """Ids of the accounts that had the name at both ends of its history."""
    of_name = sa.select(requests.c.account_id).where(requests.c.account == name).limit(1)
    first = await connection.execute(of_name.order_by(requests.c.timestamp))
    last = await connection.execute(of_name.order_by(requests.c.timestamp.desc()))
    return {first.scalar(), last.scalar()}


def _dicts(rows: Iterable[sa.RowMapping]) -> list[Row]:
    return [dict(row) for row in rows]


def conditions(wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(_status_condition(str(wanted.status)))
    if wanted.account is not None:
        found.append(_account_condition(wanted))
    if wanted.model is not None:
        found.append(requests.c.model == wanted.model)
    if wanted.caller is not None:
        found.append(requests.c.caller == wanted.caller)
    if wanted.since_ms is not None:
        found.append(requests.c.timestamp >= wanted.since_ms)
    return found


def _account_condition(wanted: RequestFilter) -> sa.ColumnElement[bool]:
    by_name = requests.c.account == wanted.account
    if not wanted.former_names:
        return by_name
    earlier = requests.c.account.in_(wanted.former_names) & (requests.c.account_id == wanted.account_id)
    return sa.or_(by_name, earlier)


def _status_condition(status: str) -> sa.ColumnElement[bool]:
    if status == "error":
        return FAILED
    if status == "success":
        return sa.not_(FAILED)
    if status.isascii() and status.isdigit() and len(status) == 3:
        return requests.c.status == int(status)
    raise InvalidRequest(
        f"Invalid status: {status}", hint="Valid are `error`, `success` and a number such as 429."
    )


def _read_cursor(cursor: str) -> tuple[int, str]:
    timestamp, dot, request_id = cursor.partition(".")
    # 15 digits of milliseconds reach past the year 30000 and stay inside a 64-bit column.
    if not (dot and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise InvalidRequest(
            "Invalid cursor.", hint="Use `next_cursor` of an earlier answer as it is, or leave it out."
        )
    return int(timestamp), request_id
