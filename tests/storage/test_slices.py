"""Parts of limits in the database: one row per gateway, one round at a time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from headgate.access.slices import Demand, Pot, Slices
from headgate.storage.database import Database, open_database
from headgate.storage.schema import gateways, key_slices
from headgate.storage.slices import SliceStore

POT: Pot = (1, "requests")
ALL = {POT: Demand(60, 60)}
NOTHING: dict[Pot, Demand] = {}


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgres_url)
    await opened.upgrade()
    yield opened
    await opened.close()


def parts(*slices: Slices) -> list[int | None]:
    return [one.part(1, "requests", 60) for one in slices]


async def test_one_alone_holds_all_and_two_hold_equal_parts(shared: Database) -> None:
    """As long as nobody asks for more nothing is written."""
    one, other = SliceStore(shared, "one"), SliceStore(shared, "other")
    assert parts(await one.round(ALL)) == [60]
    joined = await other.round(NOTHING)
    assert parts(await one.round({POT: Demand(60, 20)}), joined) == [30, 30]
    async with shared.read() as connection:
        assert (await connection.execute(sa.select(key_slices))).all() == []


async def test_demand_moves_parts_and_a_pause_gives_them_back(shared: Database) -> None:
    one, other = SliceStore(shared, "one"), SliceStore(shared, "other")
    await other.round(NOTHING)
    assert parts(await one.round(ALL)) == [30]
    kept = await other.round(NOTHING)
    taken = await one.round(ALL)
    assert parts(taken, kept) == [57, 3]
    await other.round(ALL)
    left = await one.round(ALL)
    assert parts(left, await other.round(ALL)) == [30, 30]


async def test_what_the_dead_held_is_free(shared: Database) -> None:
    """Once its time has ended; and at once after an end in order."""
    one, other, third = (SliceStore(shared, name) for name in ("one", "other", "third"))
    for store in (third, other, one, other, third, one):
        await store.round(ALL if store is one else NOTHING)
    async with shared.write() as connection:
        await connection.execute(sa.update(gateways).where(gateways.c.holder == "other").values(ends_at=1))
    slices = await one.round(ALL)
    assert slices.count == 2
    assert parts(slices) == [57]
    await third.leave()
    slices = await one.round(ALL)
    assert (slices.count, parts(slices)) == (1, [60])
    async with shared.read() as connection:
        assert (await connection.execute(sa.select(key_slices))).all() == []


async def test_who_joins_where_all_is_held_takes_none_before_it_is_given(shared: Database) -> None:
    one, other, third = (SliceStore(shared, name) for name in ("one", "other", "third"))
    for store in (other, one, other, one):
        await store.round(ALL if store is one else NOTHING)
    assert parts(await third.round(ALL)) == [0]
    kept = [await one.round(ALL), await other.round(NOTHING)]
    assert sum(part or 0 for part in parts(*kept, await third.round(ALL))) <= 60


async def test_rounds_at_the_same_time_never_hold_more_than_a_limit(shared: Database) -> None:
    stores = [SliceStore(shared, f"gateway-{number}") for number in range(4)]
    for store in stores:
        await store.round(NOTHING)

    async def ask(store: SliceStore, rank: int) -> None:
        for turn in range(10):
            await store.round({POT: Demand(60, (turn * 17 + rank * 23) % 61)})

    await asyncio.gather(*(ask(store, rank) for rank, store in enumerate(stores)))
    async with shared.read() as connection:
        held = (await connection.execute(sa.select(sa.func.sum(key_slices.c.granted)))).scalar_one()
    assert held <= 60
