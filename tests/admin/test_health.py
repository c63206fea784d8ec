"""Health and readiness: open to everybody, honest about what is wrong."""

import httpx
import pytest

from headgate.admin.app import build_app
from headgate.admin.owner import Owner
from headgate.pool.faults import Fault
from tests.admin.conftest import Relaying, add, report, set_up
from tests.admin.serving import served


@pytest.mark.parametrize("path", ["/health", "/healthz"])
async def test_health_is_ok_with_version_uptime_and_accounts(client: httpx.AsyncClient, path: str) -> None:
    """`{"status", "version", "uptime" (ms), "accounts": {"total", "active", "paused", …}}`."""
    await add(client, "work")
    await add(client, "rest")
    await client.post("/api/accounts/rest/pause")
    answer = await client.get(path)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["version"]) == ("ok", "1.2.3")
    assert 0 <= body["uptime"] < 60_000
    assert {name: n for name, n in body["accounts"].items() if n} == {"total": 2, "active": 1, "paused": 1}
    assert "code" not in body
    assert (await client.head(path)).status_code == 200


async def test_health_needs_no_key_and_tells_nothing_private(owner: Owner) -> None:
    """A load balancer asks it: no name of an account is in it."""
    set_up(owner, admin={"key": "secret-admin-key"})
    async with served(build_app(owner=owner)) as client:
        assert (await client.get("/api/accounts")).status_code == 401
        key = {"x-dashboard-key": "secret-admin-key"}
        body = {"name": "private-name", "api_key": "sk-ant-1"}
        assert (await client.post("/api/accounts", json=body, headers=key)).status_code == 201
        health = await client.get("/health")
    assert health.json()["accounts"]["total"] == 1
    assert "private-name" not in health.text


async def test_health_is_degraded_while_no_account_can_serve(client: httpx.AsyncClient, owner: Owner) -> None:
    """None at all, or none active: both say so, with the mend, and still answer 200."""
    empty = (await client.get("/health")).json()
    assert (empty["status"], empty["code"]) == ("degraded", "no_account_configured")
    assert "headgate account add" in empty["troubles"][0]["hint"]
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    living.health.apply(Fault.LIMITED, until=owner.clock.now() + 60, now=owner.clock.now())
    limited = (await client.get("/health")).json()
    assert (limited["code"], limited["reason"]) == (
        "no_account_active",
        "No account is active: 1 rate_limited",
    )


async def test_health_names_every_trouble_of_the_record(
    client: httpx.AsyncClient, relaying: Relaying
) -> None:
    """Recorder down, database refusing, journal overflowing: served all the same, but said."""
    await add(client, "work")
    relaying.recorder = report(is_alive=False, pid=None, failure="disk full")
    relaying.journal_dropped = 12
    body = (await client.get("/health")).json()
    assert body["status"] == "degraded"
    assert [one["code"] for one in body["troubles"]] == [
        "recorder_down",
        "recorder_failing",
        "journal_dropped",
    ]
    assert "disk full" in body["troubles"][1]["reason"]
    assert "12 records" in body["troubles"][2]["reason"]


async def test_health_and_readiness_notice_a_lost_database(client: httpx.AsyncClient, owner: Owner) -> None:
    """Health stays 200 because a restart mends nothing; readiness takes the replica out."""
    await add(client, "work")
    assert (await client.get("/ready")).json() == {"status": "ready"}
    path = owner.database.path
    assert path is not None
    await owner.database.close()
    path.rename(path.with_suffix(".gone"))
    path.mkdir()
    health = await client.get("/health")
    assert (health.status_code, health.json()["code"]) == (200, "storage_failed")
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "storage_failed")


async def test_a_stopping_gateway_is_not_ready(client: httpx.AsyncClient, relaying: Relaying) -> None:
    """A balancer sends its traffic elsewhere while what runs here ends."""
    relaying.is_draining = True
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "stopping")
