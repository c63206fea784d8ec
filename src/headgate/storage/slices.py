"""Limits of client keys, divided among the gateways on one database (PostgreSQL).

Who lives has a row that it renews; when that has ended, what it held is free. One round at a time changes
what is held, and takes only what nobody else holds: `access.rounds` says how.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.rounds import Known, Round, play_round
from headgate.access.slices import Claim, Demand, Living, Pot, Slices
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

    def __init__(self, database: Database, holder: str, predecessor: str | None = None) -> None:
        """`predecessor`: one that is known to be dead, and need not be waited for."""
        self._database = database
        self._holder = holder
        self._predecessor = predecessor

    async def round(self, demands: Mapping[Pot, Demand], applied: Slices) -> Round:
        """We live; who does not any more is struck out; what we hold follows what everybody wants. `applied`:
        what the gate lets in by, when it had these demands."""
        async with self._database.write() as connection:
            lives, is_other, now = await self._look_round(connection)
            known = Known(lives, await _read(connection, sorted(lives)))
            found = play_round(self._holder, known, demands, applied, turn=now // _TURN_MS)
            await self._renew(connection, found.known, ends_at=now + round(LEASE_SECONDS * 1000))
            await self._write(connection, found.rows)
            if is_other or found.is_news:
                await tell(connection, "slices", [])
        return found

    async def leave(self) -> None:
        """What we hold is free at once."""
        async with self._database.write() as connection:
            for table in (key_slices, gateways):
                await connection.execute(sa.delete(table).where(table.c.holder == self._holder))
            await tell(connection, "slices", [])

    async def _look_round(self, connection: AsyncConnection) -> tuple[dict[str, Living], bool, int]:
        """Who lives and knows of whom, whether that are others than before, and the database's time."""
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        now = (await connection.execute(sa.select(_NOW_MS))).scalar_one()
        is_dead = sa.or_(gateways.c.ends_at <= now, gateways.c.holder == self._predecessor)
        dead = await connection.execute(sa.delete(gateways).where(is_dead))
        found = await connection.execute(sa.select(gateways.c.holder, gateways.c.knows))
        lives: dict[str, Living] = {row.holder: tuple(json.loads(row.knows)) for row in found}
        is_other = bool(dead.rowcount) or self._holder not in lives
        lives.setdefault(self._holder, ())
        return lives, is_other, now

    async def _renew(self, connection: AsyncConnection, known: Living, *, ends_at: int) -> None:
        ours = insert(connection, gateways).values(
            holder=self._holder, ends_at=ends_at, knows=json.dumps(known)
        )
        new = {name: ours.excluded[name] for name in ("ends_at", "knows")}
        await connection.execute(ours.on_conflict_do_update(index_elements=["holder"], set_=new))

    async def _write(self, connection: AsyncConnection, rows: Mapping[Pot, Claim]) -> None:
        values: list[dict[str, Any]] = [
            {"key_id": key_id, "what": what, "holder": self._holder, **asdict(claim)}
            for (key_id, what), claim in rows.items()
        ]
        if not values:
            return
        adding = insert(connection, key_slices)
        new = {name: adding.excluded[name] for name in ("granted", "whole", "wanted")}
        adding = adding.on_conflict_do_update(index_elements=["key_id", "what", "holder"], set_=new)
        await connection.execute(adding, values)


async def _read(connection: AsyncConnection, holders: Sequence[str]) -> _Held:
    await connection.execute(sa.delete(key_slices).where(key_slices.c.holder.not_in(holders)))
    if len(holders) == 1:  # then all is ours anyway
        await connection.execute(sa.delete(key_slices))
        return {}
    found: defaultdict[Pot, dict[str, Claim]] = defaultdict(dict)
    for row in await connection.execute(sa.select(key_slices)):
        found[row.key_id, row.what][row.holder] = Claim(row.granted, row.whole, row.wanted)
    return found
