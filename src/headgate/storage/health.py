"""The last known health of every account, as its owner in `pool/` wrote it."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import Database, insert
from headgate.storage.news import tell
from headgate.storage.schema import account_health, accounts


class HealthStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, ids: Iterable[int] | None = None) -> dict[int, dict[str, Any]]:
        """State by account id, of the accounts that still exist; of all, or of those in `ids`."""
        query = sa.select(account_health.c.account_id, account_health.c.state).join(
            accounts, accounts.c.id == account_health.c.account_id
        )
        if ids is not None:
            query = query.where(account_health.c.account_id.in_(list(ids)))
        async with self._database.read() as connection:
            return {row.account_id: row.state for row in await connection.execute(query)}

    async def save(self, states: Mapping[int, dict[str, Any]], *, at_ms: int) -> None:
        """For a command on a stopped gateway; a running one tells the recorder. The newest state wins."""
        rows = [{"account_id": key, "at_ms": at_ms, "state": state} for key, state in states.items()]
        if rows:
            async with self._database.write(durable=True) as connection:
                await save_health(connection, rows)


async def save_health(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Columns of `account_health`. An older state, from another worker's journal, changes nothing."""
    new = insert(connection, account_health)
    newest_wins = new.on_conflict_do_update(
        index_elements=["account_id"],
        set_={"at_ms": new.excluded.at_ms, "state": new.excluded.state},
        where=account_health.c.at_ms <= new.excluded.at_ms,
    )
    in_order = sorted(rows, key=itemgetter("account_id"))  # see storage/locks.py
    await connection.execute(newest_wins, in_order)
    await tell(connection, "health", sorted({row["account_id"] for row in rows}))
