"""A gateway's part of the limits, while its database is there and while it is not."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.limits import Limits
from headgate.access.ring import KeyRing
from headgate.assembly.sharing import SharedLimits
from headgate.clock import SystemClock
from headgate.errors import RateLimited
from headgate.storage.database import open_database
from headgate.storage.slices import SliceStore
from headgate.tasks import TaskGroup
from tests.gateway import until
from tests.guides.forwarder import Forwarder

KEY = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(concurrency=16))


@asynccontextmanager
async def sharing(url: str, holder: str, predecessor: str | None = None) -> AsyncIterator[Gate]:
    """The gate of one gateway, and what keeps it in step."""
    clock, ring, tasks = SystemClock(), KeyRing(), TaskGroup()
    ring.replace([KEY])
    gate, database = Gate(clock), await open_database(url)
    await database.upgrade()
    store = SliceStore(database, holder, predecessor)
    shared = SharedLimits(store, gate, ring, clock, on_change=lambda: None)
    await shared.join()
    tasks.spawn(shared.run(), name="shared limits")
    try:
        yield gate
    finally:
        await shared.leave()
        await tasks.cancel()
        await database.close()


def part(gate: Gate) -> int | None:
    return gate.slices.part(1, "running", 16)


def lets_all_in(gate: Gate) -> int:
    count = 0
    while True:
        try:
            gate.enter(KEY, 0)
        except RateLimited:
            return count
        count += 1


async def test_without_the_database_a_gateway_has_an_equal_part_after_a_while(postgres_url: str) -> None:
    """What it held is somebody else's then; when the database is back it is as before."""
    with Forwarder.to_postgres(postgres_url) as line:
        async with sharing(line.url, "one") as one, sharing(postgres_url, "other") as other:
            await until(lambda: part(one) == part(other) == 8, what="equal parts")
            assert lets_all_in(one) == 8
            await until(lambda: lets_all_in(one) or part(one) == 15, what="nearly all of it")
            line.cut()
            await until(lambda: part(one) == 8, what="an equal part again")
            await until(lambda: other.slices.count == 1, what="the other one alone")
            assert part(other) == 16
            line.mend()
            await until(lambda: one.slices.held and other.slices.count == 2, what="both of them")
            await until(lambda: (part(one) or 0) + (part(other) or 0) <= 16, what="no more than the limit")


async def test_who_starts_has_nothing_while_all_of_it_runs_elsewhere(postgres_url: str) -> None:
    """Then what has ended there, up to an equal part. Its start does not wait for that."""
    async with sharing(postgres_url, "one") as one:
        running = [one.enter(KEY, 0) for _ in range(16)]
        async with sharing(postgres_url, "other") as other:
            assert lets_all_in(other) == 0
            await until(lambda: part(one) == 8, what="an equal part")
            assert lets_all_in(other) == 0
            for reservation in running[:4]:
                reservation.settle(None, None)
            let_in = 0

            def fills_up() -> bool:
                nonlocal let_in
                let_in += lets_all_in(other)
                return let_in >= 4

            await until(fills_up, what="what has ended")
            assert let_in == 4


async def test_an_end_in_order_leaves_all_to_the_others_at_once(postgres_url: str) -> None:
    """In one of three: who asks for its part at that very moment is known to be gone by its lease only."""
    at_once_seconds = 4.0  # a lease lasts half as long again
    took: list[float] = []
    async with sharing(postgres_url, "one") as one:
        for _ in range(3):
            async with sharing(postgres_url, "other"):
                await until(lambda: part(one) == 8, what="equal parts")
            left = time.monotonic()
            await until(lambda: part(one) == 16, what="the whole limit")
            took.append(time.monotonic() - left)
            if took[-1] < at_once_seconds:
                break
    assert min(took) < at_once_seconds


async def test_who_follows_one_that_was_killed_has_all_of_it_at_once(postgres_url: str) -> None:
    """The dead one's lease would last for seconds, in which whoever comes after it has nothing."""
    database = await open_database(postgres_url)
    await SliceStore(database, "killed").round({}, Gate(SystemClock()).slices)
    await database.close()
    async with sharing(postgres_url, "stranger") as stranger:
        assert part(stranger) == 0
    async with sharing(postgres_url, "next", "killed") as heir:
        assert part(heir) == 16
