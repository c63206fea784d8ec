"""The history taken along, over HTTP."""

import asyncio
import csv
import io
import json
import time
from typing import Any

import httpx
import pytest

from headgate.admin import export
from headgate.admin.owner import Owner
from headgate.admin.views import request_view
from headgate.storage.batch import Step, write_batch
from headgate.storage.bodies import add_bodies
from headgate.storage.request_filter import RequestFilter
from tests.storage.rows import request_row, rows_of
from tests.storage.test_bodies import body_row

NOW = 1_790_000_000_000


@pytest.fixture
async def history(client: httpx.AsyncClient, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve requests, in pages of five: the last ones have what strangers may say."""
    monkeypatch.setattr(export, "PAGE", 5)
    rows = [request_row(f"r{number:02}", timestamp=NOW + number) for number in range(10)]
    words = {"model": '=HYPERLINK("http://x")', "user_agent": "+1,\r\n2", "session": "@a"}
    rows.append(request_row("r10", timestamp=NOW + 10, **words, path="-1"))
    rows.append(
        request_row("r11", timestamp=NOW + 11, status=429, error="rate_limit_error", provider="openai")
    )
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))


async def exported(client: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/requests/export?{query}")
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/csv"):
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("format", ["csv", "jsonl"])
async def test_all_of_it_is_there_once_newest_first(client: httpx.AsyncClient, format: str) -> None:
    """Over all pages; in JSON lines each as the list has it."""
    found = await exported(client, f"format={format}")
    assert [row["id"] for row in found] == [f"r{number:02}" for number in reversed(range(12))]
    limited = await exported(client, f"format={format}&limit=7")
    assert [row["id"] for row in limited] == [row["id"] for row in found[:7]]
    if format == "jsonl":
        assert found == (await client.get("/api/requests")).json()["requests"]


@pytest.mark.usefixtures("history")
async def test_no_cell_is_a_formula(client: httpx.AsyncClient) -> None:
    """What begins like one has an apostrophe; nothing else is changed."""
    row = (await exported(client, "format=csv"))[1]
    assert row["model"] == '\'=HYPERLINK("http://x")'
    assert (row["user_agent"], row["session"], row["path"]) == ("'+1,\r\n2", "'@a", "'-1")
    assert (row["time"], row["created_at"]) == ("2026-09-21T14:13:20.010+00:00", str(NOW + 10))
    assert (row["status"], row["stream"], row["input_tokens"], row["error"]) == ("200", "false", "1", "")
    for line in (await client.get("/api/requests/export")).text.splitlines()[1:]:
        assert not line.startswith(("=", "+", "-", "@"))


@pytest.mark.usefixtures("history")
async def test_a_wrong_clock_does_not_end_it(client: httpx.AsyncClient, owner: Owner) -> None:
    """A time that no calendar has is left out, and all other rows are there."""
    odd = request_row("odd", timestamp=10**15)
    await write_batch(owner.database, Step("j", "s", 1, 2), rows_of(odd))
    found = await exported(client, "format=csv")
    assert len(found) == 13
    assert (found[0]["id"], found[0]["time"], found[0]["created_at"]) == ("odd", "", str(10**15))


@pytest.mark.usefixtures("history")
async def test_a_search_chooses_as_in_the_list(client: httpx.AsyncClient, owner: Owner) -> None:
    """Over several pages; what cannot be searched is refused before the answer begins."""
    refused = await client.get("/api/requests/export?search=migration")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    owner.secrets.seal("makes the key")
    key = await owner.bodies.keys.current()
    assert key is not None
    ids = [f"r{number:02}" for number in range(2, 10)]
    async with owner.database.write() as connection:
        kept = [body_row(name) for name in ids]
        await add_bodies(connection, kept, {name: {key.token("migration")} for name in ids}, most_bytes=0)
    for format in ("csv", "jsonl"):
        found = await exported(client, f"format={format}&search=Migration")
        assert [row["id"] for row in found] == ids[::-1]
        assert await exported(client, f"format={format}&search=elephants") == []


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=error", 1),
        ("error=rate_limit_error", 1),
        ("provider=openai", 1),
        ("model=claude-sonnet-4-5", 11),
        (f"since={NOW + 3}&until={NOW + 6}", 3),
        ("account=work&error=rate_limit_error", 1),
        ("account=nobody", 0),
    ],
)
async def test_the_choice_is_that_of_the_list(client: httpx.AsyncClient, query: str, count: int) -> None:
    assert len(await exported(client, f"format=jsonl&{query}")) == count
    assert len((await client.get(f"/api/requests?{query}")).json()["requests"]) == count


async def test_others_do_not_wait_for_it(client: httpx.AsyncClient, owner: Owner) -> None:
    """The loop is never held for as long as it takes to make a view of each of 500 requests."""
    rows = [request_row(f"r{number:03}", timestamp=NOW + number) for number in range(500)]
    await write_batch(owner.database, Step("j", "s", 0, 1), rows_of(*rows))
    found, _ = await owner.requests.page(RequestFilter(), limit=500)
    began = time.thread_time()
    assert len([request_view(row) for row in found]) == 500
    too_long = time.thread_time() - began
    held, last = [], time.thread_time()
    exporting = asyncio.create_task(client.get("/api/requests/export"))
    while not exporting.done():
        await asyncio.sleep(0)
        held.append(time.thread_time() - last)
        last = time.thread_time()
    assert exporting.result().text.count("\r\n") == 501
    assert max(held) < too_long


@pytest.mark.parametrize("query", ["format=xlsx", "status=bad", "limit=0", "since=x"])
async def test_a_wrong_question_is_a_400(client: httpx.AsyncClient, query: str) -> None:
    """Before the answer begins."""
    answer = await client.get(f"/api/requests/export?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_of_nothing_there_are_headings(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/requests/export")
    assert answer.text.startswith("time,id,created_at,")
    assert answer.text.count("\r\n") == 1
    assert answer.headers["content-disposition"] == 'attachment; filename="headgate-requests.csv"'
    assert (await client.get("/api/requests/export?format=jsonl")).text == ""
