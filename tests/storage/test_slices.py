"""Parts of limits in the database: one row per gateway, one round at a time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from headgate.access.slices import Pot, Slices
from headgate.storage.database import Database, open_database
from headgate.storage.schema import gateways, key_slices
from headgate.storage.slices import SliceStore
from tests.access.dividing import demand_of

POT: Pot = (1, "requests")


class Member:
    """A gateway that goes by what its rounds say."""

    def __init__(self, database: Database, name: str) -> None:
        self.store = SliceStore(database, name)
        self.slices = Slices()

    async def round(self, wanted: int = 0, in_use: int = 0) -> bool:
        """One transaction; whether the others wait for another one."""
        demands = {POT: demand_of(self.slices, POT, 60, wanted, in_use)} if wanted else {}
        found = await self.store.round(demands, self.slices)
        self.slices = found.slices
        return found.goes_on

    async def rounds(self, wanted: int = 0, in_use: int = 0) -> int | None:
        """As many as the others wait for; its part then."""
        while await self.round(wanted, in_use):
            pass
        return self.part

    @property
    def part(self) -> int | None:
        return self.slices.part(*POT, 60)


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgres_url)
    await opened.upgrade()
    yield opened
    await opened.close()


async def members(database: Database, *names: str) -> list[Member]:
    """All of them know of each other."""
    found = [Member(database, name) for name in names]
    for _ in range(2):
        for one in found:
            await one.rounds()
    return found


async def rows(database: Database) -> list[int]:
    """What each holds."""
    async with database.read() as connection:
        return list((await connection.execute(sa.select(key_slices.c.granted))).scalars())


async def test_one_alone_holds_all_and_two_hold_equal_parts(shared: Database) -> None:
    """As long as nobody asks for more nothing is written."""
    one, other = Member(shared, "one"), Member(shared, "other")
    assert await one.rounds(60) == 60
    assert await other.rounds(20) == 0  # the first one lets in all of it
    await one.rounds(20)
    await other.rounds(20)
    assert [await one.rounds(20), other.part] == [30, 30]
    assert await rows(shared) == []


async def test_demand_moves_parts_and_a_pause_gives_them_back(shared: Database) -> None:
    one, other = await members(shared, "one", "other")
    assert await one.rounds(60) == 30
    kept = await other.rounds()
    assert [await one.rounds(60), kept] == [57, 3]
    await other.rounds(60)
    assert [await one.rounds(60), await other.rounds(60)] == [30, 30]


async def test_a_row_goes_down_when_the_gate_has_let_in_by_less(shared: Database) -> None:
    """It had let in by the greater part until the answer came, which may be lost as well."""
    one, other = await members(shared, "one", "other")
    await one.rounds(60)
    for _ in range(3):
        before = other.slices
        await other.round()
        other.slices = before  # it never heard of it
        assert await one.rounds(60) == 30
    await other.rounds()
    assert await one.rounds(60) == 57


async def test_what_the_dead_held_is_free(shared: Database) -> None:
    """Once its time has ended; and at once after an end in order."""
    one, other, third = await members(shared, "one", "other", "third")
    for member in (one, third, other, one):
        await member.rounds(60 if member is one else 0)
    async with shared.write() as connection:
        await connection.execute(sa.update(gateways).where(gateways.c.holder == "other").values(ends_at=1))
    assert await one.rounds(60) == 57
    assert one.slices.count == 2
    await third.store.leave()
    assert await one.rounds(60) == 60
    assert one.slices.count == 1
    assert await rows(shared) == []


async def test_who_joins_where_all_is_held_takes_none_before_it_is_given(shared: Database) -> None:
    one, other = await members(shared, "one", "other")
    for member in (one, other, one):
        await member.rounds(60 if member is one else 0)
    third = Member(shared, "third")
    assert await third.rounds(60) == 0
    kept = [await one.rounds(60), await other.rounds()]
    taken = await third.rounds(60) or 0
    assert taken > 20
    assert sum(part or 0 for part in kept) + taken <= 60


async def test_rounds_at_the_same_time_never_hold_more_than_a_limit(shared: Database) -> None:
    all_of_them = await members(shared, *(f"gateway-{number}" for number in range(4)))

    async def ask(member: Member, rank: int) -> None:
        for turn in range(10):
            await member.rounds((turn * 17 + rank * 23) % 61)
            assert sum(one.part or 0 for one in all_of_them) <= 60

    await asyncio.gather(*(ask(member, rank) for rank, member in enumerate(all_of_them)))
    held = await rows(shared)
    assert len(held) == 4
    assert sum(held) <= 60
