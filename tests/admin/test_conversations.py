"""Conversations over HTTP: pages, filters, one as a tree. What trees are like is tested elsewhere."""

from functools import partial
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.record.events import RequestRecord, SpanRecord
from headgate.record.links import Links
from headgate.record.rows import to_rows
from headgate.storage.batch import Step, write_batch
from tests.admin.test_requests import START_MS, record


def key_of(text: str) -> bytes:
    return text.encode().ljust(16, b".")


def said(number: int, *texts: str, **changes: Any) -> list[SpanRecord | RequestRecord]:
    """A request whose history is these texts, of the user and the model in turn."""
    spans = []
    for at, text in enumerate(texts):
        role = ("user", "assistant")[at % 2]
        span = f'{{"role":"{role}","content":"{text}"}}'.encode()
        spans.append(SpanRecord(key_of(text), span, len(span), "anthropic", at == 0))
    names = bytes(16) + b"".join(map(key_of, texts))
    return [*spans, record(number, spans=names, at_ms=START_MS + 1000 * number, **changes)]


@pytest.fixture
async def told(owner: Owner) -> None:
    records = [
        *said(0, "first"),
        *said(1, "second", caller="ann", domain="a.example"),
        *said(2, "third", session="s-1", model="claude-opus-4-5"),
        *said(3, "first", "b", "c", status=500),
        *said(4, "title", session="s-1"),
        *said(5, "first", "b", "x"),
    ]
    rows = to_rows(records)
    also = partial(Links().add, records=records, rows=rows.requests)
    await write_batch(owner.database, Step("test", "one", 0, 1), rows, also)


async def ids(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/api/conversations", params=params)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["conversations"]]


@pytest.mark.usefixtures("told")
async def test_a_page_shows_the_latest_first(client: httpx.AsyncClient) -> None:
    assert await ids(client) == ["req-000", "req-002", "req-001"]
    one = (await client.get("/api/conversations")).json()["conversations"][0]
    assert (one["title"], one["conversation_kind"], one["branch_count"]) == ("first", "main", 2)
    assert (one["request_count"], one["failed_requests"], one["input_tokens"]) == (3, 1, 30)
    assert (one["started_at"], one["last_at"]) == (START_MS, START_MS + 5000)
    assert one["cost_usd"] > 0


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "params, found",
    [
        ({"key": "ann"}, ["req-001"]),
        ({"domain": "a.example"}, ["req-001"]),
        ({"session": "s-1"}, ["req-002"]),
        ({"session": "s-1", "all": "true"}, ["req-004", "req-002"]),
        ({"model": "claude-opus-4-5"}, ["req-002"]),
        ({"since": START_MS + 3000}, ["req-000"]),
        ({"until": START_MS + 2000}, ["req-001"]),
        ({"key": "nobody"}, []),
    ],
)
async def test_a_page_of_what_is_asked_for(
    client: httpx.AsyncClient, params: dict[str, Any], found: list[str]
) -> None:
    assert await ids(client, **params) == found


@pytest.mark.usefixtures("told")
async def test_pages_follow_each_other(client: httpx.AsyncClient) -> None:
    seen, cursor = [], None
    while True:
        params = {"limit": 1, "all": "true"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/conversations", params=params)).json()
        seen += [one["id"] for one in page["conversations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["req-000", "req-004", "req-002", "req-001"]


@pytest.mark.usefixtures("told")
async def test_one_is_a_tree(client: httpx.AsyncClient) -> None:
    tree = (await client.get("/api/conversations/req-000")).json()
    assert [
        (one["branch"], one["relation"], one["continues"], [turn["id"] for turn in one["turns"]])
        for one in tree["branches"]
    ] == [(0, "start", None, ["req-000", "req-003"]), (1, "fork", "req-000", ["req-005"])]
    above = (await client.get("/api/conversations/req-002")).json()
    assert [(one["id"], one["conversation_kind"]) for one in above["sub_conversations"]] == [
        ("req-004", "side")
    ]


@pytest.mark.usefixtures("told")
async def test_requests_say_where_they_belong(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/requests")).json()["requests"]
    assert {one["id"]: one["conversation"] for one in listed}["req-005"] == "req-000"
    one = (await client.get("/api/requests/req-005")).json()
    assert (one["conversation"], one["branch"], one["relation"], one["continues"]) == (
        *("req-000", 1, "fork", "req-000"),
    )


async def test_what_is_not_there_is_said(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/conversations/none")).status_code == 404
    assert (await client.get("/api/conversations?cursor=x")).status_code == 400
    assert (await client.get("/api/conversations")).json() == {"conversations": [], "next_cursor": None}
