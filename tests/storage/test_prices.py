"""Prices with the time in which they hold, on both databases."""

import asyncio

import pytest

from headgate.dialects.usage import Usage
from headgate.pricing.prices import Listed, own_prices, shipped
from headgate.storage.database import Database
from headgate.storage.prices import PriceStore, Taken


class SetClock:
    seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def one(model: str, rate: float, source: str = "https://prices.example/p.json") -> Listed:
    return Listed("fetched", "anthropic", model, {"input": rate, "output": rate}, source)


async def test_a_refresh_ends_old_prices_and_begins_new_ones(database: Database, clock: SetClock) -> None:
    """What stays as it was keeps its beginning; what the list no longer has ends."""
    store = PriceStore(database, clock)
    assert await store.take("fetched", [one("a", 1), one("b", 2), one("c", 3)]) == Taken(3, 0)
    assert await store.take("fetched", [one("c", 3), one("b", 2), one("a", 1)]) == Taken(0, 0)
    clock.advance(60)
    assert await store.take("fetched", [one("a", 1), one("b", 5)]) == Taken(1, 2)
    found = {row.model: (row.rates["input"], row.valid_from_ms) for row in await store.in_force()}
    assert found == {"a": (1, 1_000_000), "b": (5, 1_060_000)}
    past = await store.past("b")
    assert [(row["rates"]["input"], row["valid_from"], row["valid_until"]) for row in past] == [
        (5, 1_060_000, None),
        (2, 1_000_000, 1_060_000),
    ]
    assert [row["valid_until"] for row in await store.past("c")] == [1_060_000]


async def test_the_shipped_list_is_kept_once(database: Database, clock: SetClock) -> None:
    store = PriceStore(database, clock)
    assert await store.take_shipped() == Taken(len(shipped()), 0)
    assert await store.take_shipped() == Taken(0, 0)
    await store.take("fetched", [one("a", 1)])
    await store.load()
    assert len(store.prices.table.listed) == len(shipped()) + 1


async def test_the_owners_prices_come_before_what_is_kept(database: Database, clock: SetClock) -> None:
    """And change without a look at the database."""
    store = PriceStore(database, clock)
    await store.take("fetched", [one("a", 1), one("b", 1)])
    await store.load()
    assert store.prices.table.known_cost_of("anthropic", "a", Usage(1000, 0)) == 1_000_000
    store.use_own(own_prices({"a": {"input": 2, "output": 2}}, {}))
    assert store.prices.table.known_cost_of("anthropic", "a", Usage(1000, 0)) == 2_000_000
    assert store.prices.table.known_cost_of("anthropic", "b", Usage(1000, 0)) == 1_000_000


async def test_only_one_gateway_fetches_at_a_time(database: Database, clock: SetClock) -> None:
    """The first that asks has the turn, until as long has passed as the others say."""
    stores = [PriceStore(database, clock) for _ in range(4)]
    now = 1_000_000
    turns = await asyncio.gather(*(store.claim("u", not_since_ms=now - 1) for store in stores))
    assert sorted(turns) == [False, False, False, True]
    assert not await stores[0].claim("u", not_since_ms=now - 1)
    clock.advance(60)
    turns = await asyncio.gather(*(store.claim("u", not_since_ms=now + 1) for store in stores))
    assert sorted(turns) == [False, False, False, True]
    assert await stores[0].claim("another", not_since_ms=0)


async def test_what_came_of_a_try_is_kept(database: Database, clock: SetClock) -> None:
    """A failure does not hide when the list was taken last."""
    store = PriceStore(database, clock)
    assert await store.fetched("u") is None
    await store.claim("u", not_since_ms=0)
    await store.note("u", models=7)
    clock.advance(60)
    await store.claim("u", not_since_ms=1_000_000)
    await store.note("u", failure="it is no JSON")
    assert await store.fetched("u") == {
        **{"url": "u", "tried_at": 1_060_000, "taken_at": 1_000_000, "models": 7},
        "failure": "it is no JSON",
    }


async def test_no_secret_of_an_address_is_kept(database: Database, clock: SetClock) -> None:
    """Another query is another list all the same."""
    store = PriceStore(database, clock)
    address = "https://prices.example/p.json"
    assert await store.claim(f"{address}?token=abc", not_since_ms=0)
    assert await store.claim(f"{address}?token=def", not_since_ms=0)
    assert not await store.claim(f"{address}?token=abc", not_since_ms=0)
    kept = await store.fetched(f"{address}?token=abc")
    assert kept is not None
    assert kept["url"].startswith(f"{address}?")
    assert "token" not in kept["url"]


async def test_two_that_take_lists_do_not_double_them(database: Database, clock: SetClock) -> None:
    stores = [PriceStore(database, clock) for _ in range(3)]
    await asyncio.gather(
        *(store.take("fetched", [one("a", rate), one("b", rate)]) for rate, store in enumerate(stores, 1))
    )
    assert sorted(row.model for row in await stores[0].in_force()) == ["a", "b"]
