"""Sums over the history, on both databases."""

import random
from itertools import product
from typing import Any

import pytest

from headgate.dialects.usage import Usage
from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.rollups import forget_rollups
from headgate.storage.usage import Grouping, unpriced_models, usage
from tests.pricing.costs import known_cost_of
from tests.storage.rows import request_row, rows_of
from tests.storage.test_rollups import NOW, made_up, record

HOUR = 3_600_000
R3 = Usage(1, 2, 3, 4, 10)
NOTHING: dict[str, Any] = dict.fromkeys(
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
)


@pytest.fixture
async def filled(database: Database) -> Database:
    """Two accounts, one of them renamed, one request without account and without counts."""
    rows = [
        request_row("r1", timestamp=10 * HOUR, account="old", account_id=1, caller="key-1"),
        request_row("r2", timestamp=10 * HOUR + 5, account="new", account_id=1, status=500, model="big"),
        request_row("r3", timestamp=11 * HOUR, account="other", account_id=2, cache_write_1h_tokens=10),
        request_row("r4", timestamp=30 * HOUR, account="other", account_id=2, error="overloaded_error"),
        request_row("r5", timestamp=30 * HOUR, account=None, account_id=None, status=401, **NOTHING),
    ]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*rows))
    return database


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("account", {1: (2, 1), 2: (2, 1), None: (1, 1)}),
        ("model", {"claude-sonnet-4-5": (4, 2), "big": (1, 1)}),
        ("key", {"key-1": (1, 0), "anonymous": (4, 3)}),
        ("hour", {10 * HOUR: (2, 1), 11 * HOUR: (1, 0), 30 * HOUR: (2, 2)}),
        ("day", {0: (3, 1), 24 * HOUR: (2, 2)}),
    ],
)
async def test_every_request_is_in_one_group(filled: Database, by: Grouping, groups: dict[Any, Any]) -> None:
    """By the account's id, so that a new name makes no second group of it."""
    found = await usage(filled, RequestFilter(), by)
    assert {row["key"]: (row["requests"], row["errors"]) for row in found} == groups


async def test_tokens_are_summed_and_missing_counts_add_none(filled: Database) -> None:
    """Both kinds of cache writes are one number."""
    sums = {row["key"]: row for row in await usage(filled, RequestFilter(), "account")}
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    assert [sums[2][name] for name in names] == [2, 4, 6, 18]
    assert [sums[None][name] for name in names] == [0, 0, 0, 0]
    since = await usage(filled, RequestFilter(since_ms=11 * HOUR, account="other"), "account")
    assert [(row["key"], row["requests"]) for row in since] == [(2, 2)]


async def test_an_account_is_found_under_its_earlier_names(filled: Database) -> None:
    """Those of others are not among them."""
    store = RequestStore(filled)
    assert await store.former_names(1, but="new") == ("old",)
    assert await store.former_names(2, but="other") == ()
    wanted = RequestFilter(account="new", account_id=1, former_names=("old",))
    rows, _ = await store.page(wanted)
    assert [row["id"] for row in rows] == ["r2", "r1"]


async def test_a_time_is_found_by_its_index(database: Database) -> None:
    """However long the history is, only the time asked for is read."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL chooses by its statistics, which a small table does not have")
    async with database.read() as connection:
        plan = await connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT model, count(*) FROM requests WHERE timestamp >= 5 GROUP BY model"
        )
        assert "USING INDEX requests_newest (timestamp>?)" in " ".join(str(row) for row in plan.all())


async def test_costs_are_summed_and_what_has_no_price_is_counted(filled: Database) -> None:
    """A request without usage is neither; a sum is of the known costs."""
    found = {row["key"]: row for row in await usage(filled, RequestFilter(), "model")}
    priced = known_cost_of("claude-sonnet-4-5", Usage(1, 2, 3, 4)), known_cost_of("claude-sonnet-4-5", R3)
    assert None not in priced
    assert found["claude-sonnet-4-5"]["nano_usd"] == 2 * (priced[0] or 0) + (priced[1] or 0)
    assert found["claude-sonnet-4-5"]["unpriced_requests"] == 0
    assert (found["big"]["nano_usd"], found["big"]["unpriced_requests"]) == (0, 1)
    assert await unpriced_models(filled, RequestFilter()) == [("big", 1)]
    assert await unpriced_models(filled, RequestFilter(since_ms=11 * HOUR)) == []


async def test_sums_are_those_of_the_requests_at_any_moment(database: Database) -> None:
    """To the millisecond, whatever of the time is in which roll-ups, and whatever was forgotten of them."""
    rows = [
        *made_up(300, since=NOW - 2 * HOUR, until=NOW),
        *made_up(150, since=NOW - 110 * 24 * HOUR, until=NOW, seed=8),
    ]
    for row in rows:  # the requests' own sums know no bounds
        row["output_tokens"] = None if row["output_tokens"] is None else row["output_tokens"] % 1000
    await record(database, rows, 75)
    while await forget_rollups(database, NOW):
        pass
    chance = random.Random(4)
    times: list[tuple[int | None, int | None]] = [(None, None), (NOW - 105 * 24 * HOUR - 17, None)]
    times += [(NOW - 2 * HOUR + 1, NOW - HOUR - 1), (NOW - 90_000, NOW - 80_000)]
    times += [tuple(sorted(chance.sample(range(NOW - 110 * 24 * HOUR, NOW), 2))) for _ in range(3)]  # type: ignore[misc]
    groupings: tuple[Grouping, ...] = ("account", "model", "client", "project", "hour")
    for (since, until), status, by in product(times, (None, "error", "429"), groupings):
        wanted = RequestFilter(since_ms=since, until_ms=until, status=status)
        found = {row["key"]: row for row in await usage(database, wanted, by)}
        sums = {key: (row["requests"], row["output_tokens"]) for key, row in found.items()}
        assert sums == _counted(rows, wanted, by), (since, until, status, by)


def _counted(rows: list[dict[str, Any]], wanted: RequestFilter, by: Grouping) -> dict[Any, tuple[int, int]]:
    places = {"account": "account_id", "model": "model", "client": "client", "project": "project"}
    found: dict[Any, tuple[int, int]] = {}
    for row in rows:
        at, has_failed = row["timestamp"], row["status"] >= 400 or row["error"] is not None
        if not (wanted.since_ms or 0) <= at < (wanted.until_ms or NOW + 1):
            continue
        if (wanted.status == "error" and not has_failed) or (wanted.status == "429" and row["status"] != 429):
            continue
        key = at - at % {"hour": HOUR, "day": 24 * HOUR}[by] if by in ("hour", "day") else row[places[by]]
        key = key[:128] if by == "model" and key else key
        requests, tokens = found.get(key, (0, 0))
        found[key] = (requests + 1, tokens + (row["output_tokens"] or 0))
    return found


async def test_a_provider_s_nonsense_makes_no_sum_overflow(database: Database) -> None:
    """In the roll-ups and in the requests alike: one figure, whichever of them is asked."""
    rows = [request_row(f"r{n}", input_tokens=2**62, status=200, nano_usd=None) for n in range(3)]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*rows))
    for status in (None, "200"):
        (found,) = await usage(database, RequestFilter(status=status), "model")
        assert found["input_tokens"] == 3 * 2**40
