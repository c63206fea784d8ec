"""What happened, in sums, over HTTP: every figure against the requests themselves."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from headgate.admin.analytics import time_of
from headgate.admin.owner import Owner
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import add
from tests.storage.rows import request_row, rows_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MODEL = "claude-sonnet-4-5"


@pytest.fixture
async def now(client: httpx.AsyncClient, owner: Owner) -> AsyncIterator[int]:
    """A renamed account and one that is gone; one failure, one count_tokens, one without a price."""
    now = round(owner.clock.now() * 1000)
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    work = {"account": "work", "account_id": living.id}
    used = {"input_tokens": 100, "output_tokens": 50, "cache_read_tokens": 300, "cache_write_5m_tokens": 10}
    rows = [
        request_row(
            "r1",
            **{"timestamp": now, **work, **used, "nano_usd": 2_000_000, "duration_ms": 100.0, "stream": True},
            **{"project": "website", "session": "s1", "user_agent": "claude-cli/2.0.76 (external, cli)"},
        ),
        request_row(
            "r2",
            **{"timestamp": now - 2 * HOUR, **work, **used, "nano_usd": 3_000_000, "duration_ms": 1000.0},
            **{"project": "website", "session": "s1"},
        ),
        request_row("r3", timestamp=now - 3 * DAY, **work, status=500, error="api_error", nano_usd=0),
        request_row(
            "r4",
            timestamp=now - 40 * DAY,
            **{
                **used,
                "account": "gone",
                "account_id": 99,
                "caller": "laptop",
                "model": "made-up",
                "nano_usd": None,
                "user_agent": "",
            },
        ),
        request_row(
            "r5",
            **{"timestamp": now, "account": None, "account_id": None, "nano_usd": None},
            **{"status": 429, "error": "rate_limited"},
        ),
        request_row("r6", timestamp=now, **work, path="/v1/messages/count_tokens", nano_usd=0),
    ]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    await client.post("/api/accounts/work/rename", json={"name": "office"})
    yield now


async def ask(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/api/analytics?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("range", "requests", "buckets"),
    [("1h", 3, 61), ("6h", 4, 73), ("24h", 4, 25), ("7d", 5, 169), ("30d", 5, 31), ("90d", 6, 91)],
)
async def test_h6_each_range_has_all_of_its_time(
    client: httpx.AsyncClient, now: int, range: str, requests: int, buckets: int
) -> None:
    """Every section of it, every bucket filled, and the same sum in each."""
    found = await ask(client, f"range={range}")
    meta = found["meta"]
    assert (meta["range"], meta["buckets"], len(found["time_series"])) == (range, buckets, buckets)
    assert meta["from_at"] <= now < meta["to_at"]
    assert found["time_series"][0]["at"] == meta["from_at"]
    assert found["overview"]["requests"] == found["totals"]["requests"] == requests
    assert sum(point["requests"] for point in found["time_series"]) == requests
    assert sum(one["requests"] for one in found["account_performance"]) == requests
    assert sum(one["requests"] for one in found["model_performance"]) == requests
    assert sum(one["requests"] for one in found["cost_by_model"]) == requests


@pytest.mark.usefixtures("now")
async def test_the_sections_say_what_the_requests_say(client: httpx.AsyncClient) -> None:
    """Tokens, money, rates, times, and what is not known is null."""
    found = await ask(client, "range=90d")
    totals = found["totals"]
    assert (totals["success"], totals["errors"], totals["status_429"], totals["status_5xx"]) == (4, 2, 1, 1)
    assert totals["by_kind"] == {"inference": 5, "count_tokens": 1, "embeddings": 0, "other": 0}
    assert found["token_breakdown"] == {
        **{"input_tokens": 303, "output_tokens": 156, "cache_read_tokens": 909},
        **{"cache_write_tokens": 42, "total_tokens": 1410},
    }
    assert totals["cost_usd"] == 0.005
    assert totals["unpriced_requests"] == 2
    costs = {one["model"]: one["cost_usd"] for one in found["cost_by_model"]}
    assert costs == {MODEL: 0.005, "made-up": None}
    accounts = {one["account"]: one for one in found["account_performance"]}
    assert set(accounts) == {"office", "gone", None}
    assert (accounts["office"]["requests"], accounts["office"]["success_rate"]) == (4, 0.75)
    assert found["errors"] == [
        {"status": 429, "error": "rate_limited", "requests": 1, "share": 0.5},
        {"status": 500, "error": "api_error", "requests": 1, "share": 0.5},
    ]
    cache = {one["model"]: one["saved_usd"] for one in found["cache"]["by_model"]}
    # $3 a million tokens, $0.30 read from the cache, $3.75 written into it.
    assert cache[MODEL] == pytest.approx((609 * 2.7 - 32 * 0.75) / 1e6)
    assert cache["made-up"] is None
    performance = {one["model"]: one for one in found["model_performance"]}
    assert 16 <= performance[MODEL]["duration_p50_ms"] <= 160
    assert 1000 <= performance[MODEL]["duration_p99_ms"] <= 1600
    assert found["overview"]["active_accounts"] == 2


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("account=office", 4),
        ("account=work", 4),
        ("account=gone", 1),
        ("key=laptop", 1),
        (f"model={MODEL}", 5),
        ("model=none-such", 0),
        ("provider=anthropic", 6),
        ("status=success", 4),
        ("status=error", 2),
        (f"model={MODEL}&status=success", 3),
        ("project=website", 2),
        ("project=", 4),
        ("project=none-such", 0),
        ("client=claude-code", 1),
        ("client=test", 4),
        ("client=", 1),
        ("client=test&project=website&account=office&key=anonymous", 1),
        ("session=s1", 2),
        (f"session=s1&client=test&model={MODEL}&status=success", 1),
        ("session=s1&status=error", 0),
        ("session=none-such", 0),
    ],
)
@pytest.mark.usefixtures("now")
async def test_filters_hold_in_every_section(client: httpx.AsyncClient, query: str, ids: int) -> None:
    """An account is found by any name that it had."""
    found = await ask(client, f"range=90d&{query}")
    assert found["overview"]["requests"] == ids
    assert sum(point["requests"] for point in found["time_series"]) == ids
    assert sum(one["requests"] for one in found["account_performance"]) == ids


async def test_a_time_of_ones_own(client: httpx.AsyncClient, now: int) -> None:
    """Whole buckets that hold it, as fine as may be; what is before and behind is not in it."""
    found = await ask(client, f"from={now - 3 * HOUR}&to={now - HOUR}")
    assert (found["totals"]["requests"], found["meta"]["range"]) == (1, None)
    assert found["meta"]["bucket_ms"] == MINUTE
    assert (await ask(client, f"from={now - 50 * DAY}&to={now - DAY}"))["totals"]["requests"] == 2
    assert (await ask(client, "from=0"))["totals"]["requests"] == 6
    assert (await ask(client, "from=100000000000000"))["totals"]["requests"] == 0


def test_buckets_are_no_finer_than_what_is_kept_where_they_begin() -> None:
    """A quarter of an hour that begins before the oldest minute is not whole."""
    now = 1_800_000_060_000
    kept = now - 3 * DAY
    assert time_of("24h", kept + 1, now, now)[2] == HOUR  # the quarter began before
    assert time_of("24h", kept + 15 * MINUTE, now, now)[2] == 15 * MINUTE


@pytest.mark.usefixtures("now")
async def test_cumulative_adds_up_and_rates_stay(client: httpx.AsyncClient) -> None:
    found = await ask(client, "range=90d&mode=cumulative")
    counts = [point["requests"] for point in found["time_series"]]
    assert counts == sorted(counts)
    assert counts[-1] == 6
    assert found["time_series"][-1]["cost_usd"] == 0.005
    assert found["time_series"][0]["success_rate"] is None


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("account", {"office": 4, "gone": 1, None: 1}),
        ("key", {"anonymous": 5, "laptop": 1}),
        ("model", {MODEL: 5, "made-up": 1}),
        ("provider", {"anthropic": 6}),
        ("client", {"test": 4, "claude-code": 1, None: 1}),
        ("project", {"website": 2, None: 4}),
    ],
)
@pytest.mark.usefixtures("now")
async def test_groups_in_a_table_and_in_the_series(
    client: httpx.AsyncClient, by: str, groups: dict[str | None, int]
) -> None:
    found = await ask(client, f"range=90d&group_by={by}&sections=time_series")
    assert set(found) == {"meta", "time_series", "groups"}
    assert {one["name"]: one["requests"] for one in found["groups"]} == groups
    assert len(found["time_series"]) == 91 * len(groups)
    in_series: dict[str | None, int] = dict.fromkeys(groups, 0)
    for point in found["time_series"]:
        in_series[point["group"]] += point["requests"]
    assert in_series == groups


@pytest.mark.parametrize("by", ["account", "key", "model", "provider", "client", "project"])
@pytest.mark.usefixtures("now")
async def test_groups_are_the_same_beside_all_other_sections(client: httpx.AsyncClient, by: str) -> None:
    """And these say what they say without groups; a filter holds in both."""
    for also in ("", "&client=test", "&project=website&status=success"):
        plain = await ask(client, f"range=90d{also}")
        found = await ask(client, f"range=90d&group_by={by}{also}")
        alone = await ask(client, f"range=90d&group_by={by}&sections=time_series{also}")
        assert found["groups"] == alone["groups"]
        assert sum(one["requests"] for one in found["groups"]) == plain["totals"]["requests"] > 0
        for section in set(plain) - {"meta", "time_series"}:
            assert found[section] == plain[section], section


async def test_before_the_first_request_all_is_zero(client: httpx.AsyncClient) -> None:
    found = await ask(client, "range=1h")
    assert found["overview"]["requests"] == 0
    assert found["overview"]["success_rate"] is None
    assert found["model_performance"] == found["errors"] == found["cost_by_model"] == []
    assert {point["requests"] for point in found["time_series"]} == {0}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=2h", "range: must be '1h', '6h', '24h', '7d', '30d' or '90d'"),
        ("status=bad", "status: must be 'success' or 'error'"),
        ("mode=x", "mode: must be 'normal' or 'cumulative'"),
        ("group_by=moon", "group_by: must be 'account'"),
        ("sections=overview,moon", "sections: there is no moon"),
        ("from=5&to=5", "to: must be later than `from`"),
        ("to=5", "to: is sent without `from`"),
        ("from=-1", "from: must be at least 0"),
    ],
)
async def test_h13_a_wrong_question_is_a_400_that_names_what_is_right(
    client: httpx.AsyncClient, query: str, words: str
) -> None:
    answer = await client.get(f"/api/analytics?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert words in answer.json()["detail"]


async def test_h13_a_failed_query_says_why(
    client: httpx.AsyncClient, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    """In the answer and in the log."""
    async with owner.database.write() as connection:
        await connection.execute(sa.text("DROP TABLE rollup_times"))
    answer = await client.get("/api/analytics")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Failed to fetch analytics data: ")
    assert "no such table: rollup_times" in answer.json()["detail"]
    assert "Analytics error: " in caplog.text
    assert "no such table: rollup_times" in caplog.text
