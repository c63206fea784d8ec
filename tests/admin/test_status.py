"""What the gateway does right now."""

from pathlib import Path

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.config.loading import load_settings
from headgate.pool.faults import Fault
from headgate.pool.wanted import Wanted
from headgate.record.replay import Counts
from tests.admin.conftest import Relaying, add, report


async def test_rotation_tells_strategy_states_resets_and_reasons(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """Who serves, who does not and why, and when the first one comes back."""
    for name in ("serves", "limited", "paused"):
        await add(client, name)
    await client.post("/api/accounts/paused/pause")
    limited, now = owner.pool.by_name("limited"), owner.clock.now()
    assert limited is not None
    limited.health.apply(Fault.LIMITED, until=now + 300, now=now)
    rotation = (await client.get("/status")).json()["rotation"]
    assert (rotation["strategy"], rotation["enabled"]) == ("session", True)
    assert {one["name"]: one["status"] for one in rotation["accounts"]} == {
        "serves": "active",
        "limited": "rate_limited",
        "paused": "paused",
    }
    assert rotation["next_reset"] == pytest.approx(now + 300)
    reasons = {one["name"]: one["skipped_because"] for one in rotation["accounts"]}
    assert (reasons["serves"], reasons["paused"]) == (None, "paused")
    assert reasons["limited"] is not None


async def test_switches_are_counted(client: httpx.AsyncClient, owner: Owner) -> None:
    """A request that moves on to another account shows as one switch."""
    for name in ("one", "two"):
        await add(client, name)
    first = owner.pool.pick(Wanted("anthropic"), ())
    assert first is not None
    assert owner.pool.pick(Wanted("anthropic"), (first.id,)) is not None
    assert (await client.get("/status")).json()["rotation"]["switches"] == 1


async def test_what_is_weak_beyond_this_machine_is_told_to_the_owner_alone(
    client: httpx.AsyncClient, owner: Owner, tmp_path: Path
) -> None:
    owner.configuration.loaded = load_settings(
        {"server.host": "::"}, {"HEADGATE_ACCESS__API_KEYS": "tiny"}, tmp_path / "config.yaml"
    )
    told = (await client.get("/status")).json()["troubles"]
    assert [one["code"] for one in told][-2:] == ["exposed", "exposed"]
    assert told[-1]["hint"].startswith("`headgate key create NAME` makes a long one")
    assert "exposed" not in (await client.get("/health")).text


async def test_load_and_record_are_shown(client: httpx.AsyncClient, relaying: Relaying) -> None:
    """In-flight requests, open streams, the recorder's lag, and whatever was lost."""
    relaying.in_flight, relaying.open_streams, relaying.journal_dropped = 7, 3, 2
    relaying.recorder = report(lag_bytes=512, restarts=1, counts=Counts(written=9, damaged=1, refused=2))
    status = (await client.get("/status")).json()
    assert (status["in_flight"], status["open_streams"], status["journal"]) == (7, 3, {"dropped": 2})
    assert status["recorder"] == {
        "alive": True,
        "pid": 4711,
        "restarts": 1,
        "lag_bytes": 512,
        "failure": None,
        "written": 9,
        "lost": 3,
    }
    assert status["status"] == "degraded"


async def test_without_a_relaying_process_status_still_answers(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """That is how commands ask a stopped gateway's database."""
    owner.process = None
    status = (await client.get("/status")).json()
    assert (status["recorder"], status["in_flight"]) == (None, 0)
