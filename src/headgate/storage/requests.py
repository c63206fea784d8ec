"""The history of requests, as pages, as one with its attempts, and as it grows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.errors import InvalidRequest
from headgate.storage.database import Database
from headgate.storage.schema import FAILED, attempts, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """What a page shows. All conditions hold together; None does not restrict."""

    status: str | int | None = None
    """`error`, `success`, or an HTTP status."""
    account: str | None = None
    model: str | None = None
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
        query = sa.select(requests).where(*_conditions(wanted))
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

    async def last_seq(self) -> int:
        """Where a live view begins; 0 for an empty history."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(sa.func.max(requests.c.seq)))).scalar() or 0

    async def after(self, seq: int, *, limit: int = 500) -> list[Row]:
        """What was recorded since, in that order: each row's `seq` is the next place."""
        query = sa.select(requests).where(requests.c.seq > seq).order_by(requests.c.seq).limit(limit)
        async with self._database.read() as connection:
            return _dicts((await connection.execute(query)).mappings())


def _dicts(rows: Iterable[sa.RowMapping]) -> list[Row]:
    return [dict(row) for row in rows]


def _conditions(wanted: RequestFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.status is not None:
        conditions.append(_status_condition(str(wanted.status)))
    if wanted.account is not None:
        conditions.append(requests.c.account == wanted.account)
    if wanted.model is not None:
        conditions.append(requests.c.model == wanted.model)
    if wanted.since_ms is not None:
        conditions.append(requests.c.timestamp >= wanted.since_ms)
    return conditions


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
