"""Who watches `/api/requests/stream` sees requests begin, answer and end, and slows nobody."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import ask, connect, request

Event = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("live")
    with Gateway(folder, provider=provider.url) as running:
        yield running
    assert "ERROR" not in running.log_text()


@asynccontextmanager
async def watching(gateway: Gateway, **params: str | bool) -> AsyncIterator[AsyncIterator[Event]]:
    async with (
        httpx.AsyncClient(base_url=gateway.url, timeout=20) as client,
        client.stream("GET", "/api/requests/stream", params=params) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        assert await anext(lines) == ": open"
        yield _events(lines)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_a_stream_is_seen_to_begin_to_answer_and_to_end(gateway: Gateway) -> None:
    """`start` and `first_byte` come while it runs; who comes later is told of it, too."""
    body = ask("say 120000 words", stream=True, max_tokens=128_000)
    async with watching(gateway) as live, connect(gateway.url) as client:
        client.pause()  # it runs until we read
        client.send(request(body=body))
        start, first = await anext(live), await anext(live)
        assert (start[0], first[0]) == ("start", "first_byte")
        assert start[1]["id"] == first[1]["id"]
        assert (start[1]["model"], start[1]["stream"]) == (body["model"], True)
        assert (first[1]["account"], first[1]["status"]) == ("one", 200)
        assert gateway.admin("/status")["open_streams"] == 1
        async with watching(gateway) as later:
            assert [await anext(later), await anext(later)] == [start, first]
        client.close()
        end = await anext(live)
        assert (end[0], end[1]["id"], end[1]["status"]) == ("finish", start[1]["id"], 499)
        assert end[1]["created_at"] == start[1]["created_at"]
        assert end[1]["first_byte_ms"] == pytest.approx(first[1]["first_byte_ms"])


async def test_a_short_request_is_told_whole(gateway: Gateway) -> None:
    """Also one that came and went between two looks; with `phases=false` its end alone."""
    async with (
        watching(gateway) as live,
        watching(gateway, phases=False) as ends,
        connect(gateway.url) as client,
    ):
        await client.ask(request(body=ask("say 3 words")))
        events = [await anext(live) for _ in range(3)]
        assert [name for name, _ in events] == ["start", "first_byte", "finish"]
        assert len({said["id"] for _, said in events}) == 1
        assert await anext(ends) == events[2]


async def test_a_filter_holds_for_all_phases(gateway: Gateway) -> None:
    """By model; of a filter by outcome or account only ends are told."""
    async with (
        watching(gateway, model="claude-haiku-4-5") as haiku,
        watching(gateway, account="one") as one,
        connect(gateway.url) as client,
    ):
        for model in ("claude-sonnet-4-5", "claude-haiku-4-5"):
            await client.ask(request(body=ask("say 3 words", model=model)))
        assert [(name, said["model"]) for name, said in [await anext(haiku) for _ in range(3)]] == [
            (name, "claude-haiku-4-5") for name in ("start", "first_byte", "finish")
        ]
        assert [(await anext(one))[0] for _ in range(2)] == ["finish", "finish"]


async def test_a_viewer_that_reads_nothing_slows_nobody(
    gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Neither requests nor other viewers; the stop of the gateway neither."""
    with socket.create_connection(gateway.address) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /api/requests/stream?backlog=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        async with watching(gateway) as live, connect(gateway.url) as client:
            for _ in range(300):
                await client.ask(request(body=ask("say 1 word")))
            told = [await anext(live) for _ in range(900)]
        assert [name for name, _ in told].count("finish") == 300
        await until(lambda: gateway.admin("/status")["in_flight"] == 0, what="the end of all requests")
