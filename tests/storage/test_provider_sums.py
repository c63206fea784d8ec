"""What providers were asked in all: added up with the records, once."""

import asyncio

import pytest

from headgate.dialects.usage import Usage
from headgate.storage.batch import PositionMoved, Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.provider_sums import TIMED_REQUESTS, ProviderSum, ProviderSums
from headgate.storage.rollup_tables import MOST_OF_ONE
from tests.pricing.costs import cost_of
from tests.storage.rows import attempt_row, request_row, rows_of

MODEL = "claude-sonnet-4-5"
ONE = cost_of(MODEL, Usage(1, 2, 3, 4, None))


def asked(*requests: dict[str, object]) -> Rows:
    """Each with one attempt."""
    rows = rows_of(*requests)
    rows.attempts = [attempt_row(str(one["id"]), 0) for one in requests]
    return rows


async def test_sums_are_kept_by_provider_key_and_status(database: Database) -> None:
    rows = asked(
        request_row("a", key_id=7),
        request_row("b", key_id=7),
        request_row("c", key_id=7, error="api_error"),  # went wrong after its first byte
        request_row("d", status=429, error="rate_limit_error"),
        request_row("e", provider="openai"),
    )
    await write_batch(database, Step("j", "s", 0, 1), rows)
    sums, _ = await ProviderSums(database).load()
    found = {(one.provider, one.key_id, one.status): one for one in sums}
    assert set(found) == {("anthropic", 7, 200), ("anthropic", 0, 429), ("openai", 0, 200)}
    assert found["anthropic", 7, 200] == ProviderSum(
        "anthropic", 7, 200, 3, 1, 3, 6, 9, 12, nano_usd=3 * ONE, unpriced=0
    )
    assert found["anthropic", 0, 429].failures == 1


async def test_what_was_refused_at_the_door_says_nothing_of_a_provider(database: Database) -> None:
    """A wrong key, a used up budget. But where no account could be asked, the provider's limits are why."""
    no_account = {"accounts": [{"account": "work", "reason": "rate limited"}], "more": 0}
    rows = rows_of(
        request_row("a", status=401, error="invalid_client_key"),
        request_row("b", status=429, error="all_accounts_limited", skipped=no_account),
    )
    await write_batch(database, Step("j", "s", 0, 1), rows)
    sums, _ = await ProviderSums(database).load()
    assert [(one.status, one.requests, one.failures) for one in sums] == [(429, 1, 1)]


async def test_what_was_replayed_before_adds_nothing(database: Database) -> None:
    await write_batch(database, Step("j", "s", 0, 1), asked(request_row("a")))
    with pytest.raises(PositionMoved):
        await write_batch(database, Step("j", "s", 0, 1), asked(request_row("a")))
    sums, _ = await ProviderSums(database).load()
    assert [one.requests for one in sums] == [1]


async def test_recorders_add_up_beside_each_other(database: Database) -> None:
    """Of several gateways: no sum is lost, and none waits for another in a ring."""

    async def record(journal: str) -> None:
        for step in range(10):
            rows = [request_row(f"{journal}-{step}-{key}", key_id=key) for key in (1, 2, 3)]
            rows = rows if journal == "a" else rows[::-1]
            await write_batch(database, Step(journal, "s", step, step + 1), asked(*rows))

    await asyncio.gather(*(record(journal) for journal in "abc"))
    sums, _ = await ProviderSums(database).load()
    assert {one.key_id: one.requests for one in sums} == dict.fromkeys((1, 2, 3), 30)


async def test_nonsense_of_a_provider_stops_no_batch(database: Database) -> None:
    for step in range(3):
        row = request_row(f"r{step}", output_tokens=2**63 - 1)
        await write_batch(database, Step("j", "s", step, step + 1), asked(row))
    sums, _ = await ProviderSums(database).load()
    assert sums[0].requests == 3
    assert sums[0].output_tokens == 3 * MOST_OF_ONE


async def test_times_are_those_of_the_newest_that_went_well(database: Database) -> None:
    newest = [request_row(f"n{n}", timestamp=2_000 + n, duration_ms=5.0) for n in range(TIMED_REQUESTS - 1)]
    rows = asked(
        request_row("old", timestamp=1_000, duration_ms=9_999.0),
        request_row("bad", timestamp=5_000, duration_ms=1.0, status=500),
        *newest,
    )
    await write_batch(database, Step("j", "s", 0, 1), rows)
    _, timings = await ProviderSums(database).load()
    assert {one.duration_ms for one in timings} == {5.0}
    assert len(timings) == TIMED_REQUESTS - 1


async def test_an_unknown_models_cost_is_not_in_the_sum(database: Database) -> None:
    """But counted: whoever reads the sum is told what it lacks."""
    rows = asked(request_row("a", model="gpt-unheard-of"), request_row("b"))
    await write_batch(database, Step("j", "s", 0, 1), rows)
    sums, _ = await ProviderSums(database).load()
    assert [(one.requests, one.nano_usd, one.unpriced) for one in sums] == [(2, ONE, 1)]
