"""The log by the API: its end, its filters, its stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from headgate.admin.owner import Owner
from tests.admin.conftest import Relaying, set_up

CALM = '[2026-01-01T00:00:00.000Z] INFO: [Proxy] calm {"request_id":"hgr_0"}\n'
BROKEN = "[2026-01-01T00:00:01.000Z] ERROR: [Server] broken\nTraceback\nValueError: sk-ant-api03-abcdefgh\n"


class LogOnDisk:
    """The file that `log.file` names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def be_a_folder(self) -> None:
        self.path.mkdir()

    def rotate(self) -> None:
        self.path.rename(self.path.with_name("app.log.1"))


@pytest.fixture
def file(tmp_path: Path, owner: Owner) -> LogOnDisk:
    path = tmp_path / "app.log"
    set_up(owner, log={"file": str(path)})
    return LogOnDisk(path)


async def test_the_last_entries_are_listed(client: httpx.AsyncClient, file: LogOnDisk) -> None:
    """Oldest first, whole with their traces, redacted once more."""
    file.write("a stranger's\n" + CALM + BROKEN)
    document = (await client.get("/api/logs")).json()
    assert document["path"] == str(file.path)
    assert [one["message"] for one in document["logs"]] == [None, "calm", "broken"]
    assert document["logs"][1] == {
        "logged_at": 1_767_225_600_000,
        "level": "info",
        "component": "Proxy",
        "message": "calm",
        "request_id": "hgr_0",
        "text": CALM.rstrip("\n"),
    }
    assert document["logs"][2]["text"].splitlines()[1:] == ["Traceback", "ValueError: sk-ant-…"]


async def test_filters(client: httpx.AsyncClient, file: LogOnDisk) -> None:
    """By number, level and time; wrong ones are named."""
    file.write(CALM + BROKEN)

    async def found(query: str) -> list[str]:
        return [one["message"] for one in (await client.get(f"/api/logs?{query}")).json()["logs"]]

    assert await found("limit=1") == ["broken"]
    assert await found("level=warn") == ["broken"]
    assert await found("since=1767225600500") == ["broken"]
    assert await found("level=debug&since=1767225600000") == ["calm", "broken"]
    for query in ("limit=0", "limit=10001", "level=loud", "since=x"):
        assert (await client.get(f"/api/logs?{query}")).status_code == 400


async def test_no_file(client: httpx.AsyncClient, file: LogOnDisk, owner: Owner) -> None:
    """Nothing logged yet is an empty list; a log that goes nowhere is told."""
    assert (await client.get("/api/logs")).json()["logs"] == []
    set_up(owner, log={"file": None})
    for path in ("/api/logs", "/api/logs/stream"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "log.file" in answer.json()["hint"]


async def test_a_file_that_cannot_be_read_is_told(client: httpx.AsyncClient, file: LogOnDisk) -> None:
    """A fault of the owner's machine, not ours."""
    file.be_a_folder()
    for path in ("/api/logs", "/api/logs/stream"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")


async def _events(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_the_stream_goes_on_over_a_rotation(
    client: httpx.AsyncClient, file: LogOnDisk, relaying: Relaying
) -> None:
    """Past ones first, then each new one that the filter lets pass; it ends when the gateway does."""
    file.write(CALM + BROKEN)
    async with (
        asyncio.timeout(30),
        client.stream("GET", "/api/logs/stream?backlog=5&level=warn") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = _events(answer)
        assert (await anext(events))["message"] == "broken"
        file.rotate()
        file.write(CALM + BROKEN.replace("broken", "broken again"))
        assert (await anext(events))["message"] == "broken again"
        relaying.is_draining = True
        assert [event async for event in events] == []
