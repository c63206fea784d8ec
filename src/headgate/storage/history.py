"""The past taken away, a piece at a time, so that nobody who writes waits long."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.bodies import drop_bodies
from headgate.storage.database import Database
from headgate.storage.locks import lock_conversations
from headgate.storage.partitions import drop_months
from headgate.storage.rollup_rebuild import lock_rollups, rebuild
from headgate.storage.rollup_tables import DAY, FAMILIES, OVER_KEYS, RESOLUTIONS
from headgate.storage.schema import (
    attempts,
    bodies,
    conversations,
    request_links,
    requests,
    rollup_failures,
    rollup_times,
    rollups,
)

PIECE = 2_000
"""Requests deleted in one transaction: some tens of milliseconds."""
BODIES = 200
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

    Accounts, their counters, their health and their objects stay, and what was summed up. On PostgreSQL
    whole months go first, which are not counted towards `most`.
    """
    dropped = await drop_months(database, before_ms, _drop_bodies_of)
    deleted = 0
    while deleted < most:
        async with database.write() as connection:
            piece = await _delete_piece(connection, before_ms)
        deleted += piece
        if piece < PIECE:
            break
    if deleted < most:
        await _clear_conversations(database, before_ms)
        if dropped:
            await _clear_links(database, before_ms)
    return dropped + deleted


async def _drop_bodies_of(database: Database, partition: str) -> None:
    """Of all requests in it, a piece at a time."""
    its = sa.table(partition, sa.column("seq"))
    query = sa.select(bodies.c.seq).join(its, its.c.seq == bodies.c.seq).order_by(bodies.c.seq).limit(BODIES)
    while True:
        async with database.write() as connection:
            seqs = (await connection.execute(query)).scalars().all()
            await drop_bodies(connection, sorted(set(seqs)))
        if len(seqs) < BODIES:
            return


async def _delete_piece(connection: AsyncConnection, before_ms: int) -> int:
    oldest = (
        sa.select(requests.c.seq)
        .where(requests.c.timestamp < before_ms)
        .order_by(requests.c.timestamp, requests.c.id)
        .limit(PIECE)
    )
    await lock_conversations(connection)  # with a request goes its link
    seqs = (await connection.execute(oldest)).scalars().all()
    await drop_bodies(connection, seqs)
    if connection.dialect.name == "sqlite":
        return (await connection.execute(sa.delete(requests).where(requests.c.seq.in_(seqs)))).rowcount
    # Where there are months no reference takes along what belongs to a request.
    its = requests.c.seq == sa.any_(sa.literal(list(seqs), sa.ARRAY(sa.BigInteger)))
    gone = (
        sa.delete(requests).where(its, requests.c.timestamp < before_ms).returning(requests.c.id).cte("gone")
    )
    ids = sa.select(gone.c.id)
    tries = sa.delete(attempts).where(attempts.c.request_id.in_(ids), attempts.c.request_at < before_ms)
    links = sa.delete(request_links).where(request_links.c.request_id.in_(ids))
    counting = sa.select(sa.func.count()).select_from(gone).add_cte(tries.cte("tries"), links.cte("links"))
    return (await connection.execute(counting)).scalar_one()


async def _clear_links(database: Database, before_ms: int) -> None:
    """Of requests that went with their month, in conversations that go on."""
    goes_on = (conversations.c.started_at < before_ms) & (conversations.c.last_at >= before_ms)
    of_none = (
        sa.select(request_links.c.request_id)
        .join(conversations, conversations.c.id == request_links.c.conversation_id)
        .where(goes_on, ~sa.exists().where(requests.c.id == request_links.c.request_id))
        .limit(PIECE)
    )
    while True:
        async with database.write() as connection:
            await lock_conversations(connection)
            piece = await connection.execute(
                sa.delete(request_links).where(request_links.c.request_id.in_(of_none))
            )
        if piece.rowcount < PIECE:
            return


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
        its = (rollups.c.resolution == resolution) & (rollups.c.by_key == OVER_KEYS)
        last = before_ms - before_ms % (resolution * 1000)
        while True:
            async with database.write() as connection:
                oldest = (await connection.execute(sa.select(sa.func.min(rollups.c.at)).where(its))).scalar()
                if oldest is None or oldest >= last:
                    break
                for table in (rollups, rollup_failures, rollup_times):
                    its_rows = (table.c.resolution == resolution) & table.c.by_key.in_(FAMILIES)
                    piece = its_rows & (table.c.at < min(last, oldest + DAY * 1000))
                    await connection.execute(sa.delete(table).where(piece))
    async with database.write() as connection:
        await lock_rollups(connection)
        await rebuild(connection, before_ms)
