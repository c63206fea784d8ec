"""What several gateways on one PostgreSQL lock, and in which order, so that none waits in a ring.

The table `accounts` comes first, before any of its rows and before every row that hangs on an account
(`account_health`, `objects`, `refreshes`); rows of one table go by their id. SQLite has one writer anyway.
"""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection


class Lock(StrEnum):
    """PostgreSQL's table locks (documentation, "Explicit Locking"); what each holds back is there."""

    ROWS = "ROW EXCLUSIVE"
    """Some rows will be changed: whoever has one of the others waits, and is waited for."""
    CHANGE = "SHARE ROW EXCLUSIVE"
    """What was checked holds until the commit: nobody else changes anything."""
    ALONE = "EXCLUSIVE"
    """The same, and no row can be locked either."""


async def lock_accounts(connection: AsyncConnection, lock: Lock) -> None:
    """Until the transaction ends; to be called before it locks anything else."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text(f"LOCK TABLE accounts IN {lock} MODE"))


async def lock_client_keys(connection: AsyncConnection) -> None:
    """Names and digests that were looked for stay free until the commit. Never before `lock_accounts`."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text(f"LOCK TABLE client_keys IN {Lock.CHANGE} MODE"))


CONVERSATIONS = 0x68676C6B
"""A number among PostgreSQL's advisory locks; migrations, months, imports and price lists have others."""


async def lock_conversations(connection: AsyncConnection) -> None:
    """What is read of conversations now holds until the commit: whoever links, links anew or deletes waits.

    A recorder comes with its requests and sums written, and touches conversations only afterwards; the others
    call it first of all.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CONVERSATIONS)))
