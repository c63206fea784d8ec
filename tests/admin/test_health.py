"""Health and readiness: open to everybody, honest about what is wrong."""

import httpx
import pytest

from headgate.admin.app import build_app
from headgate.admin.owner import Owner
from headgate.errors import SettingsError
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
    relaying.journal_dropped, relaying.journal_failure = 12, "the disk is full"
    body = (await client.get("/health")).json()
    assert body["status"] == "degraded"
    assert [one["code"] for one in body["troubles"]] == [
        "recorder_down",
        "recorder_failing",
        "journal_dropped",
    ]
    assert "disk full" in body["troubles"][1]["reason"]
    assert "12 records" in body["troubles"][2]["reason"]
    relaying.recorder, relaying.journal_failure = report(free_bytes=5 << 20), None
    body = (await client.get("/health")).json()
    assert (body["status"], "code" in body) == ("ok", False)
    assert [one["code"] for one in body["troubles"]] == ["journal_dropped", "disk_low"]
    assert "5 MiB" in body["troubles"][1]["reason"]


async def test_health_knows_the_certificate(
    owner: Owner, client: httpx.AsyncClient, relaying: Relaying
) -> None:
    """Ended: nobody connects who looks at it. Near its end, or not to be renewed: worth a word."""
    await add(client, "work")
    for days, status, codes in (
        (30, "ok", []),
        (6, "ok", ["certificate_ends_soon"]),
        (-1, "degraded", ["certificate_expired"]),
    ):
        relaying.certificate_ends_at = owner.clock.now() + days * 86_400
        body = (await client.get("/health")).json()
        assert (body["status"], [one["code"] for one in body["troubles"]]) == (status, codes)
    relaying.certificate_ends_at = owner.clock.now() + 30 * 86_400
    relaying.certificate_failure = SettingsError("the key in /etc/k is another one", hint="Name two files.")
    body = (await client.get("/health")).json()
    assert body["status"] == "ok"
    assert body["troubles"][0]["code"] == "certificate_not_renewed"
    assert "/etc/k" in body["troubles"][0]["reason"] and body["troubles"][0]["hint"] == "Name two files."


async def test_reasons_are_the_owners_and_codes_are_everybodys(owner: Owner, relaying: Relaying) -> None:
    """Paths, hosts and counts need the admin key; so does the reason of `/ready`."""
    set_up(owner, admin={"key": "secret-admin-key"})
    relaying.recorder = report(failure="postgresql://db.internal:5432/x: away", free_bytes=1)
    relaying.journal_dropped, relaying.journal_failure = 12, "the disk of /srv is full"
    async with served(build_app(owner=owner)) as client:
        open_view = (await client.get("/health")).json()
        full_view = (await client.get("/health", headers={"x-dashboard-key": "secret-admin-key"})).json()
        path = owner.database.path
        assert path is not None
        await owner.database.close()
        path.rename(path.with_suffix(".gone"))
        path.mkdir()
        open_ready = await client.get("/ready")
    codes = ["recorder_failing", "journal_dropped", "no_account_configured", "disk_low"]
    for view in (open_view, full_view):
        assert [one["code"] for one in view["troubles"]] == codes
    assert open_view["reason"] == "The history cannot be written"
    for private in ("db.internal", "/srv", "12", "MiB", "said_openly"):
        assert private not in str(open_view["troubles"])
    assert "db.internal" in full_view["reason"]
    assert open_ready.json()["detail"] == "The database does not answer"


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
