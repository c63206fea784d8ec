"""The past taken away, a piece at a time, so that nobody who writes waits long."""

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.schema import requests

PIECE = 2_000
"""Requests deleted in one transaction: some tens of milliseconds."""


async def clear_before(database: Database, before_ms: int, *, most: int) -> int:
    """Delete up to about `most` requests that began earlier, with their attempts; how many there were.

    Accounts, their counters, their health and their objects stay. Fewer than `most`: there are no more.
    """
    oldest = (
        sa.select(requests.c.seq)
        .where(requests.c.timestamp < before_ms)
        .order_by(requests.c.timestamp, requests.c.id)
        .limit(PIECE)
    )
    deleted = 0
    while deleted < most:
        async with database.write() as connection:
            piece = await connection.execute(sa.delete(requests).where(requests.c.seq.in_(oldest)))
        deleted += piece.rowcount
        if piece.rowcount < PIECE:
            break
    return deleted
