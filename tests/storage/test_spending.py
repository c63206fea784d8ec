"""What keys have used: added up with the records, once, by days, weeks and five hours."""

import asyncio

import pytest

from headgate.access.limits import DAY_SECONDS, WINDOW_SECONDS, week_begin
from headgate.dialects.usage import Usage
from headgate.storage.batch import PositionMoved, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.spending import SpendingStore
from tests.pricing.costs import cost_of
from tests.storage.rows import request_row, rows_of

THURSDAY = 20_503 * DAY_SECONDS + 3600.0
"""Of 2026, UTC."""
MODEL = "claude-haiku-4-5"
ONE = cost_of(MODEL, Usage(100, 10))


def used(request_id: str, key_id: int | None, at: float) -> dict[str, object]:
    return request_row(
        request_id,
        key_id=key_id,
        timestamp=int(at * 1000),
        model=MODEL,
        input_tokens=100,
        output_tokens=10,
        cache_read_tokens=None,
        cache_write_5m_tokens=None,
        cache_write_1h_tokens=None,
    )


async def test_days_weeks_and_all_are_told_apart(database: Database) -> None:
    day = int(THURSDAY // DAY_SECONDS)
    monday = week_begin(day) * DAY_SECONDS
    moments = [THURSDAY, THURSDAY + 60, monday + 1.0, monday - 1.0, monday - 40 * DAY_SECONDS]
    rows = [used(f"r{n}", 1, at) for n, at in enumerate(moments)]
    others = [used("x", 2, THURSDAY), used("y", None, 1)]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*rows, *others))
    found = await SpendingStore(database).load(THURSDAY + 100)
    assert set(found) == {1, 2}
    one = found[1]
    assert (one.day_nano, one.week_nano, one.total) == (2 * ONE, 3 * ONE, 5 * ONE)
    assert found[2].day_nano == ONE
    tomorrow = (await SpendingStore(database).load(THURSDAY + DAY_SECONDS, [1]))[1]
    assert (tomorrow.day_nano, tomorrow.week_nano, tomorrow.total) == (0, 3 * ONE, 5 * ONE)


async def test_what_one_request_costs_is_the_mean_of_a_week(database: Database) -> None:
    days = (0, 1, 6, 7, 100)
    rows = [used(f"r{n}", 1, THURSDAY - n * DAY_SECONDS) for n in days]
    nothing = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    free = request_row(
        "free",
        key_id=1,
        timestamp=int(THURSDAY * 1000),
        model=MODEL,
        **{f"{kind}_tokens": 0 for kind in nothing},
    )
    told_nothing = {"input_tokens": None, "output_tokens": None, "nano_usd": None}
    refused = used("refused", 1, THURSDAY) | told_nothing
    old = used("old", 2, THURSDAY - 30 * DAY_SECONDS)
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*rows, free, refused, old))
    assert await SpendingStore(database).means(THURSDAY) == {1: 3 * ONE // 4}


async def test_five_hours_begin_with_a_first_request(database: Database) -> None:
    store = SpendingStore(database)
    moments = [THURSDAY, THURSDAY + 60, THURSDAY + WINDOW_SECONDS - 1]
    await write_batch(
        database, Step("j", "s", 0, 1), rows_of(*(used(f"a{n}", 1, at) for n, at in enumerate(moments)))
    )
    one = (await store.load(THURSDAY))[1]
    assert (one.window_at, one.window_tokens) == (THURSDAY, 330)
    await write_batch(database, Step("j", "s", 1, 2), rows_of(used("b", 1, THURSDAY + WINDOW_SECONDS)))
    one = (await store.load(THURSDAY))[1]
    assert (one.window_at, one.window_tokens) == (THURSDAY + WINDOW_SECONDS, 110)


async def test_a_batch_goes_on_where_the_last_one_ended_key_by_key(database: Database) -> None:
    """Requests of three keys, one of them new, in two batches; two begin other five hours in the second."""
    end = THURSDAY + WINDOW_SECONDS
    first = [used("a", 1, THURSDAY), used("b", 2, THURSDAY + 60)]
    moments = [
        (1, end - 1),
        (2, end),
        (1, end),
        (3, end),
        (1, end - 2),
        (2, end + 59),
        (2, end + 60),
        (3, end + 1),
    ]
    second = [used(f"c{n}", key_id, at) for n, (key_id, at) in enumerate(moments)]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*first))
    await write_batch(database, Step("j", "s", 1, 2), rows_of(*second))
    found = await SpendingStore(database).load(end)
    assert {key_id: (one.window_at, one.window_tokens) for key_id, one in found.items()} == {
        1: (end, 220),
        2: (end + 60, 110),
        3: (end, 220),
    }


async def test_what_was_replayed_before_adds_nothing(database: Database) -> None:
    """The sums are in the transaction that moves the position."""
    rows = rows_of(used("r", 1, THURSDAY))
    await write_batch(database, Step("j", "s", 0, 1), rows)
    with pytest.raises(PositionMoved):
        await write_batch(database, Step("j", "s", 0, 1), rows)
    assert (await SpendingStore(database).load(THURSDAY))[1].total == ONE


async def test_recorders_add_up_beside_each_other(database: Database) -> None:
    """Of several gateways: no sum is lost, and none waits for another in a ring."""

    async def record(journal: str) -> None:
        for step in range(10):
            rows = [used(f"{journal}-{step}-{key}", key, THURSDAY) for key in (1, 2, 3)]
            rows = rows if journal == "a" else rows[::-1]
            await write_batch(database, Step(journal, "s", step, step + 1), rows_of(*rows))

    await asyncio.gather(*(record(journal) for journal in "abc"))
    found = await SpendingStore(database).load(THURSDAY)
    assert {key: one.total for key, one in found.items()} == dict.fromkeys((1, 2, 3), 30 * ONE)
    assert {one.window_tokens for one in found.values()} == {30 * 110}


async def test_nonsense_of_a_provider_stops_no_batch(database: Database) -> None:
    row = {**used("r", 1, THURSDAY), "input_tokens": 2**63 - 1}
    await write_batch(database, Step("j", "s", 0, 1), rows_of(row))
    await write_batch(database, Step("j", "s", 1, 2), rows_of({**row, "id": "again"}))
    assert (await SpendingStore(database).load(THURSDAY))[1].total > 0


async def test_a_provider_s_nonsense_on_many_days_makes_no_sum_overflow(database: Database) -> None:
    """Or no gateway would start any more."""
    days = range(6)
    rows = [
        {**used(f"r{n}", 1, THURSDAY - n * DAY_SECONDS), "model": "nobody-s", "input_tokens": 2**62}
        for n in days
    ]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*[{**row, "nano_usd": None} for row in rows]))
    found = (await SpendingStore(database).load(THURSDAY + 100))[1]
    assert found.total == 6 * found.day_nano > 10**15
