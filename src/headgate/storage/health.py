"""The last known health of every account, as its owner in `pool/` wrote it."""

from typing import Any

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.schema import account_health, accounts


class HealthStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[int, dict[str, Any]]:
        """State by account id, of the accounts that still exist."""
        query = sa.select(account_health.c.account_id, account_health.c.state).join(
            accounts, accounts.c.id == account_health.c.account_id
        )
        async with self._database.read() as connection:
            return {row.account_id: row.state for row in await connection.execute(query)}
