"""The history over HTTP: pages, one with its attempts, and live."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.dialects.usage import Usage
from headgate.record.events import Attempt, RequestRecord, Skipped
from headgate.record.rows import to_rows
from headgate.storage.batch import Step, write_batch
from tests.admin.conftest import Relaying

START_MS = 1_750_000_000_000


def record(number: int, **changes: Any) -> RequestRecord:
    fields: dict[str, Any] = {
        "id": f"req-{number:03}",
        "at_ms": START_MS + number,
        "dialect": "anthropic",
        "provider": "anthropic",
        "method": "POST",
        "path": "/v1/messages",
        "caller": "anonymous",
        "client_address": "127.0.0.1",
        "user_agent": "test",
        "session": None,
        "model": "claude-sonnet-4-5",
        "stream": False,
        "account_id": 1,
        "account": "work",
        "attempts": (Attempt(1, "work", 0.1, 20.0, 200),),
        "status": 200,
        "error": None,
        "first_byte_ms": 20.5,
        "duration_ms": 30.0,
        "overhead_ms": 0.4,
        "request_bytes": 100,
        "response_bytes": 500,
        "usage": Usage(input_tokens=10, output_tokens=5),
    }
    return RequestRecord(**{**fields, **changes})


class History:
    """Writes as the recorder does."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._place = 0

    async def write(self, *records: RequestRecord) -> None:
        step = Step("test", "one", self._place, self._place + 1)
        await write_batch(self._owner.database, step, to_rows(records))
        self._place += 1


@pytest.fixture
def history(owner: Owner) -> History:
    return History(owner)


async def test_requests_come_newest_first_page_by_page(client: httpx.AsyncClient, history: History) -> None:
    """The cursor of each page continues it, without gap or repetition; the last page has none."""
    await history.write(*(record(number) for number in range(7)))
    seen, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/requests", params=params)).json()
        seen += [one["id"] for one in page["requests"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"req-{number:03}" for number in reversed(range(7))]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "error"}, ["req-002", "req-001"]),
        ({"status": "success"}, ["req-003", "req-000"]),
        ({"status": "429"}, ["req-001"]),
        ({"account": "spare"}, ["req-003"]),
        ({"model": "claude-haiku-4-5"}, ["req-000"]),
        ({"since": START_MS + 2}, ["req-003", "req-002"]),
        ({"status": "error", "account": "spare"}, []),
        ({"key": "laptop"}, ["req-003"]),
        ({"project": "website"}, ["req-002", "req-000"]),
        ({"project": "website", "client": "codex"}, ["req-002"]),
        ({"project": "", "client": "test"}, ["req-003", "req-001"]),
        ({"session": "s"}, ["req-003", "req-001"]),
        ({"session": "s", "account": "spare"}, ["req-003"]),
    ],
)
async def test_filters_hold_together_on_pages_and_on_the_live_view(
    client: httpx.AsyncClient, history: History, params: dict[str, Any], expected: list[str]
) -> None:
    """An error is a status of 400 or more, or an error after the first byte of a 200."""
    records = (
        record(0, model="claude-haiku-4-5", project="website"),
        record(1, status=429, session="s"),
        record(2, error="overloaded_error", project="website", user_agent="codex_cli_rs/0.63.0"),
        record(3, account="spare", caller="laptop", session="s"),
    )
    await history.write(*records)
    page = (await client.get("/api/requests", params=params)).json()
    assert [one["id"] for one in page["requests"]] == expected
    if "since" not in params:
        async with events(client, {"backlog": 10, **params}) as live:
            assert [(await anext(live))["id"] for _ in expected] == expected[::-1]


async def test_one_request_shows_usage_and_every_attempt(client: httpx.AsyncClient, history: History) -> None:
    """Times in `_at` are milliseconds; what the provider did not state is null, never 0."""
    limited = Attempt(2, "team", 0.2, 8.0, 429, "limited", "rate_limit_error", 1_750_000_300.0)
    served = Attempt(1, "work", 8.5, 20.0, 200)
    await history.write(record(1, attempts=(limited, served)), record(2, usage=None))
    one = (await client.get("/api/requests/req-001")).json()
    assert one["created_at"] == START_MS + 1
    assert one["usage"] == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_tokens": None,
        "cache_write_5m_tokens": None,
        "cache_write_1h_tokens": None,
        "reasoning_tokens": None,
        "service_tier": None,
        "tool_calls": None,
        "other": {},
        "parts": None,
    }
    assert [(at["account"], at["status"], at["rests_until"]) for at in one["attempts"]] == [
        ("team", 429, 1_750_000_300.0),
        ("work", 200, None),
    ]
    assert (await client.get("/api/requests/req-002")).json()["usage"] is None


async def test_an_account_is_found_where_it_only_failed(client: httpx.AsyncClient, history: History) -> None:
    """On pages and on the live view, past and to come; who served is said beside it."""
    failed = Attempt(2, "team", 0.2, 8.0, 429, "rate_limit_error", "slow down", 1_750_000_300.0)
    served = Attempt(1, "work", 8.5, 20.0, 200)
    nobody = {"account": None, "account_id": None, "status": 429, "error": "all_accounts_limited"}
    await history.write(
        record(1, attempts=(failed, failed, served)),
        record(2),
        record(3, account="team", account_id=2, attempts=(Attempt(2, "team", 0.1, 9.0, 200),)),
        record(4, attempts=(failed,), **nobody),
    )
    expected = [("req-004", None, "team"), ("req-003", "team", None), ("req-001", "work", "team")]
    page = (await client.get("/api/requests", params={"account": "team"})).json()
    assert [shown(one) for one in page["requests"]] == expected
    errors = (await client.get("/api/requests", params={"account": "team", "status": "error"})).json()
    assert [one["id"] for one in errors["requests"]] == ["req-004"]
    async with events(client, {"account": "team", "backlog": 10}) as live, asyncio.timeout(10):
        await history.write(record(5), record(6, attempts=(failed, served)))
        seen = [shown(await anext(live)) for _ in range(4)]
    assert seen == [*reversed(expected), ("req-006", "work", "team")]


def shown(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["id"], one["account"], one["failed_account"]


async def test_one_request_says_why_nobody_was_asked(client: httpx.AsyncClient, history: History) -> None:
    """Null where that is not the question; an empty list: there was no account."""
    nobody = {"account": None, "account_id": None, "status": 503, "attempts": ()}
    skipped = Skipped((("work", "paused"), ("team", "rate limited")), more=2)
    await history.write(record(1, skipped=skipped, **nobody), record(2, skipped=Skipped(()), **nobody))
    await history.write(record(3))
    found = [(await client.get(f"/api/requests/req-00{number}")).json() for number in (1, 2, 3)]
    assert [(one["skipped"], one["skipped_more"]) for one in found] == [
        ([{"account": "work", "reason": "paused"}, {"account": "team", "reason": "rate limited"}], 2),
        ([], 0),
        (None, 0),
    ]


async def test_an_unknown_request_is_a_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/requests/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["hint"] == "A request appears some 100 ms after its end."


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": "many"}, {"limit": 5000}, {"status": "bad"}, {"cursor": "x"}, {"since": -1}],
)
async def test_a_wrong_parameter_is_a_400(client: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await client.get("/api/requests", params=params)
    assert answer.status_code == 400
    assert answer.json()["detail"]


class events:
    """The live view, event by event."""

    def __init__(
        self, client: httpx.AsyncClient, params: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        self._stream = client.stream("GET", "/api/requests/stream", params=params, headers=headers)

    async def __aenter__(self) -> AsyncIterator[Any]:
        answer = await self._stream.__aenter__()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        lines = answer.aiter_lines()
        # The comment at the beginning: from here on nothing that is recorded is missed.
        async for line in lines:
            if line.startswith(":"):
                break
        return self._finished(lines)

    @staticmethod
    async def _finished(lines: AsyncIterator[str]) -> AsyncIterator[Any]:
        name = ""
        async for line in lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name == "finish":
                yield json.loads(line.removeprefix("data: "))

    async def __aexit__(self, *stop: Any) -> None:
        await self._stream.__aexit__(*stop)


async def test_the_live_view_shows_what_is_recorded_in_that_order(
    client: httpx.AsyncClient, history: History
) -> None:
    """A long request that began first and ended last comes last; the filter holds for what comes."""
    await history.write(record(1))
    async with events(client, {"account": "work"}) as live, asyncio.timeout(10):
        await history.write(record(9), record(8, account="spare"))
        await history.write(record(2))
        assert [(await anext(live))["id"] for _ in range(2)] == ["req-009", "req-002"]


async def test_a_reconnecting_reader_misses_nothing(client: httpx.AsyncClient, history: History) -> None:
    """`Last-Event-ID` continues after the last event that was seen."""
    await history.write(*(record(number) for number in range(4)))
    async with events(client, {}, {"last-event-id": "2"}) as live, asyncio.timeout(10):
        assert [(await anext(live))["id"] for _ in range(2)] == ["req-002", "req-003"]


async def test_the_live_view_ends_when_the_gateway_stops(
    client: httpx.AsyncClient, relaying: Relaying
) -> None:
    """A reader must not hold a stopping gateway up."""
    async with events(client, {}) as live, asyncio.timeout(10):
        relaying.is_draining = True
        assert [event async for event in live] == []
