"""Which account an object lives in: a file, a batch, a container."""

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.schema import accounts, objects


class ObjectStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, limit: int) -> dict[str, int]:
        """The newest `limit` objects of accounts that still exist, oldest first: object id, account id."""
        query = (
            sa.select(objects.c.object_id, objects.c.account_id)
            .join(accounts, accounts.c.id == objects.c.account_id)
            .order_by(objects.c.at_ms.desc(), objects.c.object_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.object_id: row.account_id for row in reversed(rows)}

    async def find(self, object_id: str) -> int | None:
        query = (
            sa.select(objects.c.account_id)
            .join(accounts, accounts.c.id == objects.c.account_id)
            .where(objects.c.object_id == object_id)
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar()
