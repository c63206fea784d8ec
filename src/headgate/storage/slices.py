"""Limits of client keys, divided among the gateways on one database (PostgreSQL).

Who lives has a row that it renews; when that has ended, what it held is free. One round at a time changes
what is held, and takes only what nobody else holds: the parts never sum up to more than a limit.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.slices import Claim, Demand, Pot, Settled, Slices, settle
from headgate.storage.database import Database, insert
from headgate.storage.news import tell
from headgate.storage.schema import gateways, key_slices

LEASE_SECONDS = 6.0
"""How long a gateway that says nothing keeps what it holds."""

_TURN_MS = 4000
"""For so long a place is with one gateway, where there are fewer than gateways that want one: several have a
turn while a request waits in a queue. A shorter one would be lost on the way."""

_ADVISORY_LOCK = 0x48454153
"""Any number, the same for all."""

_NOW_MS = sa.func.cast(sa.func.floor(sa.extract("epoch", sa.func.clock_timestamp()) * 1000), sa.BigInteger)
_Held = dict[Pot, dict[str, Claim]]


class SliceStore:
    """For one gateway, which is called `holder`."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def round(self, demands: Mapping[Pot, Demand]) -> Slices:
        """We live; who does not any more is struck out; what we hold follows what everybody wants."""
        async with self._database.write() as connection:
            holders, is_other, now = await self._renew(connection)
            claims = await _read(connection, holders)
            settled = {}
            if len(holders) > 1:
                settled = _settled(demands, self._holder, holders, claims, turn=now // _TURN_MS)
            await _write(connection, settled)
            if is_other or any(one.is_news for one in settled.values()):
                await tell(connection, "slices", [])
        held = {pot: one.lets_in for pot, one in settled.items() if one.lets_in is not None}
        return Slices(holders.index(self._holder), len(holders), held)

    async def leave(self) -> None:
        """What we hold is free at once."""
        async with self._database.write() as connection:
            for table in (key_slices, gateways):
                await connection.execute(sa.delete(table).where(table.c.holder == self._holder))
            await tell(connection, "slices", [])

    async def _renew(self, connection: AsyncConnection) -> tuple[list[str], bool, int]:
        """Who lives, in order, whether that are others than before, and the database's time."""
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        now = (await connection.execute(sa.select(_NOW_MS))).scalar_one()
        dead = await connection.execute(sa.delete(gateways).where(gateways.c.ends_at <= now))
        before = (await connection.execute(sa.select(gateways.c.holder))).scalars().all()
        ours = insert(connection, gateways).values(
            holder=self._holder, ends_at=now + round(LEASE_SECONDS * 1000)
        )
        await connection.execute(
            ours.on_conflict_do_update(index_elements=["holder"], set_={"ends_at": ours.excluded.ends_at})
        )
        holders = sorted({*before, self._holder})
        return holders, bool(dead.rowcount) or self._holder not in before, now


async def _read(connection: AsyncConnection, holders: Sequence[str]) -> _Held:
    await connection.execute(sa.delete(key_slices).where(key_slices.c.holder.not_in(holders)))
    if len(holders) == 1:  # then all is ours anyway
        await connection.execute(sa.delete(key_slices))
        return {}
    found: defaultdict[Pot, dict[str, Claim]] = defaultdict(dict)
    for row in await connection.execute(sa.select(key_slices)):
        found[row.key_id, row.what][row.holder] = Claim(row.granted, row.whole, row.wanted)
    return found


def _settled(
    demands: Mapping[Pot, Demand], own: str, holders: Sequence[str], claims: _Held, *, turn: int
) -> dict[Pot, Settled]:
    """Of every pot that has rows here or is asked for. Parts of a minute do not go round: they come used."""
    found = {}
    for pot in {**claims, **demands}:
        rows = claims.get(pot, {})
        # Nobody has asked here since the start: what we hold is there for who would like to have it.
        demand = demands.get(pot) or Demand(next(iter(rows.values())).whole, 0)
        found[pot] = settle(demand, own, holders, rows, turn if pot[1] == "running" else 0)
    return found


async def _write(connection: AsyncConnection, found: Mapping[Pot, Settled]) -> None:
    values: list[dict[str, Any]] = [
        {"key_id": key_id, "what": what, "holder": holder, **asdict(claim)}
        for (key_id, what), settled in found.items()
        for holder, claim in settled.rows.items()
    ]
    if not values:
        return
    adding = insert(connection, key_slices)
    new = {name: adding.excluded[name] for name in ("granted", "whole", "wanted")}
    adding = adding.on_conflict_do_update(index_elements=["key_id", "what", "holder"], set_=new)
    await connection.execute(adding, values)
