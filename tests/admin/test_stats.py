"""How it went so far, over HTTP."""

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import add
from tests.storage.rows import request_row, rows_of

DAY = 86_400_000


@pytest.fixture
async def history(client: httpx.AsyncClient, owner: Owner) -> None:
    """Two accounts of one domain and one of none; a failure, and a request of a hundred days ago."""
    now = round(owner.clock.now() * 1000)
    ids = {}
    for name, domain in (("work", "example.com"), ("team", "example.com"), ("own", None)):
        await add(client, name, **({"domain": domain} if domain else {}))
        living = owner.pool.by_name(name)
        assert living is not None
        ids[name] = {"account": name, "account_id": living.id}
    rows = [
        request_row("r1", timestamp=now, **ids["work"], nano_usd=5_000_000, tool_calls=3),
        request_row("r2", timestamp=now, **ids["team"], status=529, error="overloaded_error"),
        request_row("r3", timestamp=now - 100 * DAY, **ids["team"], path="/v1/messages/count_tokens"),
        request_row("r4", timestamp=now, **ids["own"], model=None, path="/v1/models"),
    ]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))


@pytest.mark.usefixtures("history")
async def test_h6_stats_of_all_time_or_of_a_part(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/stats")).json()
    assert (found["requests"], found["errors"], found["success"], found["success_rate"]) == (4, 1, 3, 0.75)
    assert (found["range"], found["since_at"], found["accounts"], found["active_accounts"]) == (
        *("all", None, 3),
        3,
    )
    assert found["requests_by_model"] == {"claude-sonnet-4-5": 3, "": 1}
    assert found["requests_by_kind"] == {"inference": 2, "count_tokens": 1, "embeddings": 0, "other": 1}
    assert found["top_errors"] == [{"status": 529, "error": "overloaded_error", "requests": 1, "share": 1.0}]
    assert (await client.get("/api/stats?range=90d")).json()["requests"] == 3
    answer = await client.get("/api/stats?range=2d")
    assert answer.status_code == 400
    assert "'90d'" in answer.json()["detail"]


@pytest.mark.usefixtures("history")
async def test_h7_what_each_domain_used(client: httpx.AsyncClient) -> None:
    """Every request counts, failed ones too."""
    domains = (await client.get("/token-stats")).json()["domains"]
    assert set(domains) == {"(none)", "example.com"}
    its = domains["example.com"]
    assert (its["requests"], its["errors"], its["input_tokens"], its["output_tokens"]) == (3, 1, 3, 6)
    assert its["by_kind"] == {"inference": 2, "count_tokens": 1, "embeddings": 0, "other": 0}
    assert (its["tool_calls"], domains["(none)"]["tool_calls"]) == (3, 0)
    one = (await client.get("/token-stats?domain=example.com")).json()["domains"]
    assert one == {"example.com": its}
    assert (await client.get("/token-stats?domain=nobody.example")).status_code == 404


async def test_before_the_first_request_there_are_zeros(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/stats")).json()
    assert (found["requests"], found["success_rate"], found["cost_usd"]) == (0, None, 0.0)
    assert (await client.get("/token-stats")).json() == {"domains": {}}
