"""Guide row C7 with two gateways on one PostgreSQL: together they let in what one would."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import PATIENCE_SECONDS, Gateway, until, wait_until
from tests.guides.test_c_keys import OPEN, made
from tests.testing.wire import ask

BODY = json.dumps(ask("hello")).encode()
_SOON_SECONDS = 5.0
"""A second or two, on a machine that does other things as well."""
KEY = {"HEADGATE_SECRET_KEY": "k" * 43 + "="}


@pytest.fixture
def two(tmp_path: Path, provider: SimulatedProvider, postgres_url: str) -> Iterator[tuple[Gateway, Gateway]]:
    made_at = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        settings = {**OPEN, "server": {"request_timeout_ms": 60_000}}
        made_at.append(
            Gateway(
                tmp_path / name,
                provider=provider.url,
                accounts=("one",),
                settings=settings,
                database=postgres_url,
                environment=KEY,
            )
        )
    one, other = made_at
    with one, other:
        yield one, other


def made_on_both(one: Gateway, other: Gateway, *options: str) -> str:
    """A key that the other gateway knows by now as well."""
    key = made(one, "laptop", *options)
    wait_until(lambda: other.admin("/api/keys")["keys"], what="the key on the other gateway")
    return key


async def statuses(gateway: Gateway, key: str, count: int) -> list[int]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
        sent = (client.post("/v1/messages", content=BODY, headers={"x-api-key": key}) for _ in range(count))
        return [answer.status_code for answer in await asyncio.gather(*sent)]


async def run(gateways: Iterable[Gateway], count: int, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until just so many requests of the key run on them, and never see more."""

    async def is_so() -> bool:
        used = [await asyncio.to_thread(gateway.admin, "/api/keys/laptop") for gateway in gateways]
        running = sum(one["used"]["running"] for one in used)
        assert running <= count
        return running >= count

    await until(is_so, what=f"{count} running requests", seconds=seconds)


@asynccontextmanager
async def asking(gateway: Gateway, key: str, clients: int) -> AsyncIterator[None]:
    """So many clients who ask again when they are refused, and whose requests hang."""

    async def one(client: httpx.AsyncClient) -> None:
        while True:
            answer = await client.post("/v1/messages", content=BODY, headers={"x-api-key": key})
            assert answer.status_code == 429

    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
        tasks = [asyncio.ensure_future(one(client)) for _ in range(clients)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def test_c7_a_burst_at_both_gateways_passes_once(two: tuple[Gateway, Gateway]) -> None:
    """A minute at once, and then what comes back: as if there were one gateway."""
    one, other = two
    key = made_on_both(one, other, "--rpm", "40")

    async def burst() -> list[int]:
        halves = await asyncio.gather(statuses(one, key, 60), statuses(other, key, 60))
        return halves[0] + halves[1]

    began = time.monotonic()
    let_in = asyncio.run(burst()).count(200)
    assert 40 <= let_in <= 41 + (time.monotonic() - began) * 40 / 60


def test_c7_parts_follow_demand_and_the_limit(
    two: tuple[Gateway, Gateway], provider: SimulatedProvider
) -> None:
    """Nearly all where all is asked for, within a second or two, and what is asked for no more moves on in
    ten; another limit counts at once."""
    one, other = two
    provider.script("*", rules=[{"fault": "hang"}])
    key = made_on_both(one, other, "--concurrency", "8")

    async def skewed() -> None:
        async with asking(one, key, 10):
            await run([one], 7, seconds=_SOON_SECONDS)
            async with asking(other, key, 3):
                await run(two, 8)
                await asyncio.to_thread(one.command, "key", "set", "laptop", "--concurrency", "12")
                await run(two, 12)
        async with asking(other, key, 12):
            await run([other], 11)

    asyncio.run(skewed())


def test_c7_what_a_dead_gateway_held_is_free(
    two: tuple[Gateway, Gateway], provider: SimulatedProvider
) -> None:
    """After six seconds, in which nobody knows that it is dead."""
    one, other = two
    provider.script("*", rules=[{"fault": "hang"}])
    key = made_on_both(one, other, "--concurrency", "8")

    async def die() -> None:
        async with asking(other, key, 9):
            await run([other], 7, seconds=_SOON_SECONDS)
            one.kill()
            await run([other], 8)

    asyncio.run(die())


def test_c7_after_a_kill_its_next_life_lets_in_at_once(two: tuple[Gateway, Gateway]) -> None:
    """Keys with limits too: who has the folder knows that the one before is dead."""
    one, other = two
    key = made_on_both(one, other, "--concurrency", "8", "--rpm", "1000")
    other.stop()
    one.kill()
    one.start()
    assert asyncio.run(statuses(one, key, 1)) == [200]
