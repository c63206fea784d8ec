"""How often each account was tried: counted with the history, outlives it and every restart."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.changes import Change
from headgate.storage.database import Database
from headgate.storage.locks import Lock, lock_accounts
from headgate.storage.schema import accounts

Row = dict[str, Any]


@dataclass(slots=True)
class Counts:
    requests: int = 0
    errors: int = 0
    last_used_ms: int | None = None


class CounterStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[int, Counts]:
        """By account id."""
        columns = (accounts.c.id, accounts.c.request_count, accounts.c.error_count, accounts.c.last_used_at)
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(*columns))
            return {row.id: Counts(row.request_count, row.error_count, row.last_used_at) for row in rows}

    async def reset(self, *, change: Change | None = None) -> int:
        """To zero; of how many accounts. When it was used last is no count and stays."""
        async with self._database.write(durable=True, change=change) as connection:
            await lock_accounts(connection, Lock.CHANGE)
            zeroed = await connection.execute(sa.update(accounts).values(request_count=0, error_count=0))
            if change is not None:
                change.after = {"accounts": zeroed.rowcount}
            return zeroed.rowcount


async def add_counts(connection: AsyncConnection, requests: Iterable[Row], attempts: Iterable[Row]) -> None:
    """What a batch adds. A removed account has no row, and then no count."""
    began = {row["id"]: row["timestamp"] for row in requests}
    found: dict[int, Counts] = {}
    for attempt in attempts:
        counts = found.setdefault(attempt["account_id"], Counts())
        counts.requests += 1
        counts.errors += attempt["error"] is not None
        at_ms = began.get(attempt["request_id"], 0) + round(attempt["started_ms"])
        counts.last_used_ms = max(at_ms, counts.last_used_ms or 0)
    for account_id, counts in sorted(found.items()):  # in one order: two recorders must not wait in a ring
        await connection.execute(_addition(account_id, counts))


def _addition(account_id: int, counts: Counts) -> sa.Update:
    last = accounts.c.last_used_at
    is_newer = sa.or_(last.is_(None), last < counts.last_used_ms)
    return (
        sa.update(accounts)
        .where(accounts.c.id == account_id)
        .values(
            request_count=accounts.c.request_count + counts.requests,
            error_count=accounts.c.error_count + counts.errors,
            last_used_at=sa.case((is_newer, counts.last_used_ms), else_=last),
        )
    )
