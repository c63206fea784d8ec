"""What was used, over HTTP."""

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.dialects.usage import Usage
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import add
from tests.pricing.costs import NANO, known_cost_of
from tests.storage.rows import request_row, rows_of

DAY = 86_400_000


@pytest.fixture
async def history(client: httpx.AsyncClient, owner: Owner) -> None:
    """Two requests of an account that was renamed since, one of an account that is gone."""
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    rows = [
        request_row("hgr_1", timestamp=DAY, account="work", account_id=living.id),
        request_row("hgr_2", timestamp=2 * DAY, account="work", account_id=living.id, status=500),
        request_row("hgr_3", timestamp=2 * DAY, account="gone", account_id=99, caller="key-1"),
    ]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    await client.post("/api/accounts/work/rename", json={"name": "office"})


@pytest.mark.usefixtures("history")
async def test_usage_is_summed_by_group_and_in_all(client: httpx.AsyncClient) -> None:
    """A renamed account is one group, under its name of today; one that is gone keeps its last."""
    found = (await client.get("/api/usage")).json()
    assert [(one["group"], one["requests"], one["errors"]) for one in found["groups"]] == [
        ("office", 2, 1),
        ("gone", 1, 0),
    ]
    one = known_cost_of("claude-sonnet-4-5", Usage(1, 2, 3, 4)) or 0
    assert found["total"].pop("cost_usd") == pytest.approx(3 * one / NANO)
    assert found["unpriced_models"] == []
    assert found["total"] == {
        **{"requests": 3, "errors": 1, "input_tokens": 3, "output_tokens": 6},
        **{"cache_read_tokens": 9, "cache_write_tokens": 12, "reasoning_tokens": 0, "unpriced_requests": 0},
    }
    days = (await client.get("/api/usage?by=day")).json()["groups"]
    assert [(one["group"], one["requests"]) for one in days] == [("1970-01-02", 1), ("1970-01-03", 2)]
    hours = (await client.get("/api/usage?by=hour&key=key-1")).json()["groups"]
    assert [one["group"] for one in hours] == ["1970-01-03T00:00Z"]


@pytest.mark.usefixtures("history")
async def test_a_renamed_account_keeps_its_history(client: httpx.AsyncClient) -> None:
    """Asked for by its new name, in sums and in the list; by the old one nothing is lost either."""
    for name in ("office", "work"):
        found = (await client.get(f"/api/usage?account={name}")).json()
        assert found["total"]["requests"] == 2
        listed = (await client.get(f"/api/requests?account={name}")).json()
        assert [one["id"] for one in listed["requests"]] == ["hgr_2", "hgr_1"]


@pytest.mark.parametrize("query", ["by=week", "since=yesterday", "since=-1", "status=bad"])
async def test_a_wrong_question_is_a_400(client: httpx.AsyncClient, query: str) -> None:
    """With the parameter named."""
    answer = await client.get(f"/api/usage?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_d8_models_without_a_price_are_listed(client: httpx.AsyncClient, owner: Owner) -> None:
    """D8: their cost is null in the record, they are in no sum, and everybody sees which they are."""
    rows = [request_row("hgr_1", model="new-1"), request_row("hgr_2", model="new-1"), request_row("hgr_3")]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    found = (await client.get("/api/usage?by=model")).json()
    assert found["unpriced_models"] == [{"model": "new-1", "requests": 2}]
    assert found["total"]["unpriced_requests"] == 2
    assert [(one["group"], one["cost_usd"] > 0) for one in found["groups"]] == [
        ("new-1", False),
        ("claude-sonnet-4-5", True),
    ]
    listed = {one["id"]: one["cost_usd"] for one in (await client.get("/api/requests")).json()["requests"]}
    assert (listed["hgr_1"], listed["hgr_3"]) == (None, found["total"]["cost_usd"])
    assert (await client.get("/api/requests/hgr_1")).json()["cost_usd"] is None
