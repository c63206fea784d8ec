"""The five-hour windows of accounts, over HTTP."""

from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import add
from tests.storage.rows import request_row, rows_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TOKENS = 1 + 2 + 3 + 4


@pytest.fixture
async def now(client: httpx.AsyncClient, owner: Owner) -> int:
    """Requests of a renamed account: two in the last five hours, one of them failed, others before."""
    now = round(owner.clock.now() * 1000)
    await add(client, "work")
    await add(client, "idle")
    living = owner.pool.by_name("work")
    assert living is not None
    times = (now, now - 2 * HOUR, now - 7 * HOUR, now - 30 * HOUR, now - 3 * DAY)
    rows = [
        request_row(f"r{place}", timestamp=at, account="work", account_id=living.id)
        for place, at in enumerate(times)
    ]
    rows[1] |= {"status": 500, "error": "api_error", "path": "/v1/messages/count_tokens", "model": "big"}
    rows.append(request_row("other", timestamp=now, account="gone", account_id=99))
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    await client.post("/api/accounts/work/rename", json={"name": "office"})
    return now


async def ask(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/token-usage/{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_h8_the_window_that_runs(client: httpx.AsyncClient, owner: Owner, now: int) -> None:
    """Every kind of request, failed ones too; by the name of today, an earlier one, or the number."""
    living = owner.pool.by_name("office")
    assert living is not None
    for query in ("account=office", "accountId=work", f"accountId={living.id}"):
        found = await ask(client, f"current?{query}")
        window = found["window"]
        assert found["account"] == "office"
        assert (window["requests"], window["errors"], window["total_tokens"]) == (2, 1, 2 * TOKENS)
        assert window["by_kind"] == {"inference": 1, "count_tokens": 1, "embeddings": 0, "other": 0}
        assert (window["source"], window["expected"], window["utilization"]) == ("trailing", None, None)
        assert 5 * HOUR <= window["ends_at"] - window["starts_at"] < 5 * HOUR + MINUTE
    assert (await ask(client, "current?account=office&window=60"))["window"]["requests"] == 1
    assert (await ask(client, "current?account=office&model=big"))["window"]["requests"] == 1
    assert (await ask(client, "current?account=gone"))["window"]["requests"] == 1


async def test_d13_the_providers_own_window(client: httpx.AsyncClient, owner: Owner, now: int) -> None:
    """It says when it ends: from then five hours back, with what is to be expected of it."""
    living = owner.pool.by_name("office")
    assert living is not None
    ends = round(now / 1000) + 3600
    fields = {
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-5h-utilization": "0.25",
        "anthropic-ratelimit-unified-5h-status": "allowed",
        "anthropic-ratelimit-unified-5h-reset": str(ends),
    }
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    living.note_headers(
        headers, {name.encode(): value.encode() for name, value in fields.items()}, now / 1000
    )
    window = (await ask(client, "current?account=office"))["window"]
    assert (window["source"], window["ends_at"], window["utilization"]) == ("provider", ends * 1000, 0.25)
    assert window["starts_at"] == (ends * 1000 - 5 * HOUR) // MINUTE * MINUTE
    assert window["requests"] == 2
    assert window["expected"]["total_tokens"] == pytest.approx(2 * TOKENS * 5 / 4, abs=1)
    assert window["forecast"]["utilization"] >= 0.25
    of_all = {one["account"]: one for one in (await ask(client, "accounts"))["accounts"]}
    assert of_all["office"]["window"]["ends_at"] == ends * 1000


async def test_h8_days_are_all_there_with_their_models(client: httpx.AsyncClient, now: int) -> None:
    found = (await ask(client, "daily?accountId=office&days=5"))["usage"]
    assert len(found) == 5
    assert sum(day["requests"] for day in found) == 5
    assert found[-1]["starts_at"] == now // DAY * DAY
    assert sum(one["requests"] for day in found for one in day["models"] if one["model"] == "big") == 1
    days = (await ask(client, "daily?account=office&days=2&aggregate=true"))["usage"]
    assert [day["models"] for day in days] == [None, None]


async def test_d13_points_and_past_windows(client: httpx.AsyncClient, now: int) -> None:
    """Every interval, adding up to what was used; five hours before five hours."""
    found = await ask(client, "time-series?account=office&window=40&interval=60&history=8")
    points = found["time_series"]
    assert len(points) == 41
    assert sum(point["requests"] for point in points) == 4
    assert points[-1]["cumulative_tokens"] == 4 * TOKENS
    assert found["window"]["requests"] == 2
    history = found["history"]
    assert [one["requests"] for one in history] == [1, 0, 0, 0, 1, 0, 0, 0]
    assert history[0]["ends_at"] == found["window"]["starts_at"]
    assert history[1]["ends_at"] == history[0]["starts_at"]


@pytest.mark.usefixtures("now")
async def test_the_windows_of_all_accounts(client: httpx.AsyncClient) -> None:
    """Those that used most first; each with its last five hours in quarters."""
    found = (await ask(client, "accounts"))["accounts"]
    assert [(one["account"], one["window"]["requests"]) for one in found] == [("office", 2), ("idle", 0)]
    assert sum(point["total_tokens"] for point in found[0]["series"]) == 2 * TOKENS
    assert len(found[0]["series"]) == 21


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("current", 400, "account: is missing"),
        ("current?account=nobody", 404, "There is no account named nobody"),
        ("current?account=office&window=0", 400, "window: must be at least 1"),
        ("current?account=office&window=2881", 400, "window: must be at most 2880"),
        ("daily?account=office&days=401", 400, "days: must be at most 400"),
        ("time-series?account=office&window=168&interval=5", 400, "interval: must be 60 or a multiple"),
        ("time-series?account=office&window=168&interval=90", 400, "interval: must be 60 or a multiple"),
        ("time-series?account=office&window=70&interval=1", 400, "interval: makes more than 1500 points"),
    ],
)
async def test_a_wrong_question_is_told_what_is_right(
    client: httpx.AsyncClient, query: str, status: int, words: str
) -> None:
    answer = await client.get(f"/api/token-usage/{query}")
    assert answer.status_code == status
    assert words in answer.json()["detail"]
