"""The history and the database, as routes."""

import logging

import httpx
import pytest

from headgate.admin import data
from headgate.admin.owner import Owner
from headgate.storage.batch import Rows, Step, write_batch
from tests.admin.conftest import add
from tests.storage.rows import attempt_row, request_row


async def test_the_database_is_described_and_checked(client: httpx.AsyncClient, owner: Owner) -> None:
    view = (await client.get("/api/database")).json()
    assert (view["kind"], view["location"]) == ("sqlite", owner.database.location)
    assert view["journal_lag_bytes"] == 0
    checked = (await client.post("/api/database/check")).json()
    assert (checked["ok"], checked["problems"]) == (True, [])


async def test_history_and_counters_are_two_things(client: httpx.AsyncClient, owner: Owner) -> None:
    """Clearing the one leaves the other."""
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    rows = Rows(
        requests=[request_row("old", timestamp=1_000), request_row("new", timestamp=5_000)],
        attempts=[attempt_row("old", 0, account_id=living.id)],
    )
    await write_batch(owner.database, Step("g", "s", 0, 1), rows)
    living.past_requests, living.request_count = 1, 2
    cleared = (await client.post("/api/history/clear", json={"before": 5_000})).json()
    assert cleared == {"deleted": 1, "before": 5_000, "complete": True, "settled": True}
    assert [one["id"] for one in (await client.get("/api/requests")).json()["requests"]] == ["new"]
    assert (await client.get("/api/accounts/work")).json()["request_count"] == 3
    assert (await client.post("/api/stats/reset")).json() == {"accounts": 1}
    assert (await client.get("/api/accounts/work")).json()["request_count"] == 0
    assert len((await client.get("/api/requests")).json()["requests"]) == 1


async def test_a_clearing_in_pieces_is_one_line_of_log(
    client: httpx.AsyncClient, owner: Owner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With what the pieces before it deleted."""
    monkeypatch.setattr(data, "MOST_AT_ONCE", 2)
    caplog.set_level(logging.INFO)
    rows = Rows(requests=[request_row(f"r{one}", timestamp=1_000) for one in range(3)])
    await write_batch(owner.database, Step("g", "s", 0, 1), rows)
    first = (await client.post("/api/history/clear", json={"before": 5_000})).json()
    assert first["complete"] is False
    again = {"before": first["before"], "deleted_before": first["deleted"]}
    assert (await client.post("/api/history/clear", json=again)).json()["complete"] is True
    said = [one.message for one in caplog.records if one.name == "headgate.data"]
    assert said == ["History cleared: 3 requests deleted"]


async def test_all_means_what_a_clock_dated_ahead_as_well(client: httpx.AsyncClient, owner: Owner) -> None:
    """A clock was a year ahead for a while: what came then would otherwise stay for that year. A moment that
    is named is meant as it is."""
    ahead = round((owner.clock.now() + 365 * 86_400) * 1000)
    rows = Rows(requests=[request_row("old", timestamp=1_000), request_row("ahead", timestamp=ahead)])
    await write_batch(owner.database, Step("g", "s", 0, 1), rows)
    now = round(owner.clock.now() * 1000)
    assert (await client.post("/api/history/clear", json={"before": now})).json()["deleted"] == 1
    cleared = (await client.post("/api/history/clear", json={})).json()
    assert (cleared["deleted"], cleared["complete"]) == (1, True)
    assert (await client.get("/api/requests")).json()["requests"] == []
    assert (await client.get("/api/stats")).json()["requests"] == 0
    assert (await client.post("/api/database/check")).json()["problems"] == []


async def test_what_is_no_time_clears_nothing(client: httpx.AsyncClient) -> None:
    for body in ({"before": "yesterday"}, {"before": -1}, {"after": 5}):
        refused = await client.post("/api/history/clear", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
