"""The audit record read: what the owner changed, newest first. Nothing here changes or clears it."""

from typing import Any

import sqlalchemy as sa

from headgate.errors import InvalidRequest
from headgate.storage.changes import Change
from headgate.storage.database import Database
from headgate.storage.schema import audit

Row = dict[str, Any]

_MOST_DIGITS = 18
"""Of a cursor: below 2**63."""


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, change: Change) -> None:
        """A change that was made elsewhere than in the database."""
        async with self._database.write(durable=True, change=change):
            pass

    async def page(
        self, *, limit: int = 50, cursor: str | None = None, action: str | None = None, of: str | None = None
    ) -> tuple[list[Row], str | None]:
        """Newest first; the second value continues behind the last row, None: there are no more."""
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(audit.c.id < _read_cursor(cursor))
        if action is not None:
            query = query.where(audit.c.action == action)
        if of is not None:
            query = query.where(audit.c.object == of)
        async with self._database.read() as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        return (rows, None) if len(rows) <= limit else (rows[:limit], str(rows[limit - 1]["id"]))


def _read_cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MOST_DIGITS):
        raise InvalidRequest(
            "Invalid cursor.", hint="Use `next_cursor` of an earlier answer as it is, or leave it out."
        )
    return int(cursor)
