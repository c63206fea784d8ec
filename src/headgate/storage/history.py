"""The past taken away, a piece at a time, so that nobody who writes waits long."""

import sqlalchemy as sa

from headgate.storage.bodies import drop_bodies
from headgate.storage.database import Database
from headgate.storage.locks import lock_conversations
from headgate.storage.rollup_rebuild import lock_rollups, rebuild
from headgate.storage.rollup_tables import DAY, RESOLUTIONS
from headgate.storage.schema import conversations, requests, rollup_failures, rollup_times, rollups

PIECE = 2_000
"""Requests deleted in one transaction: some tens of milliseconds."""
CONVERSATIONS = 200
"""Deleted in one, with some hundred blocks each."""


def kept_since(retention_days: int, now: float) -> int:
    """Unix milliseconds: what began earlier is kept no longer; 0 where all is. `now` in Unix seconds."""
    return round((now - retention_days * DAY) * 1000) if retention_days else 0


async def clear_before(database: Database, before_ms: int, *, most: int) -> int:
    """`delete_before`; when there are no more, the roll-ups of that time go as well."""
    deleted = await delete_before(database, before_ms, most=most)
    if deleted < most:
        await _clear_rollups(database, before_ms)
    return deleted


async def delete_before(database: Database, before_ms: int, *, most: int) -> int:
    """Delete up to about `most` requests that began earlier, with their attempts; how many there were. Fewer
    than `most`: there are no more, and then the conversations of that time are gone as well.

    Accounts, their counters, their health and their objects stay, and what was summed up.
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
            await lock_conversations(connection)  # with a request goes its link
            seqs = (await connection.execute(oldest)).scalars().all()
            await drop_bodies(connection, seqs)
            piece = await connection.execute(sa.delete(requests).where(requests.c.seq.in_(seqs)))
        deleted += piece.rowcount
        if piece.rowcount < PIECE:
            break
    if deleted < most:
        await _clear_conversations(database, before_ms)
    return deleted


async def _clear_conversations(database: Database, before_ms: int) -> None:
    """Those whose last request began before, with their blocks; their requests are gone by now. One that goes
    on keeps its sums."""
    oldest = sa.select(conversations.c.id).where(conversations.c.last_at < before_ms)
    oldest = oldest.order_by(conversations.c.last_at).limit(CONVERSATIONS)
    while True:
        async with database.write() as connection:
            await lock_conversations(connection)
            piece = await connection.execute(sa.delete(conversations).where(conversations.c.id.in_(oldest)))
        if piece.rowcount < CONVERSATIONS:
            return


async def _clear_rollups(database: Database, before_ms: int) -> None:
    """Those that ended before, a day at a time; what holds the moment is made anew from what is left."""
    for resolution in RESOLUTIONS:
        its = (rollups.c.resolution == resolution) & (rollups.c.by_key == 0)
        last = before_ms - before_ms % (resolution * 1000)
        while True:
            async with database.write() as connection:
                oldest = (await connection.execute(sa.select(sa.func.min(rollups.c.at)).where(its))).scalar()
                if oldest is None or oldest >= last:
                    break
                for table in (rollups, rollup_failures, rollup_times):
                    its_rows = (table.c.resolution == resolution) & table.c.by_key.in_((0, 1))
                    piece = its_rows & (table.c.at < min(last, oldest + DAY * 1000))
                    await connection.execute(sa.delete(table).where(piece))
    async with database.write() as connection:
        await lock_rollups(connection)
        await rebuild(connection, before_ms)
