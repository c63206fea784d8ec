"""Strangers: clients that keep us waiting, or come in crowds."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until, wait_until
from tests.hostile.asking import REQUEST, code_of, head
from tests.journeys.wire import Connection, ask, connect, fetch, request

_LIMITS = {"head_timeout_ms": 300, "body_timeout_ms": 300, "send_timeout_ms": 500}


@pytest.fixture(scope="module")
def running_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Impatient, for all tests of this file."""
    folder = tmp_path_factory.mktemp("impatient")
    with Gateway(folder, provider=running_provider.url, settings={"server": _LIMITS}) as running:
        yield running


async def _drip(connection: Connection, data: bytes, size: int = 1) -> None:
    """So slowly that it never ends by itself, and never so that the connection is silent for long."""
    for start in range(0, len(data), size):
        if connection.is_closed.is_set():
            return
        connection.send(data[start : start + size])
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="not a byte"),
        pytest.param(b"P", id="one byte"),
        pytest.param(REQUEST[:60], id="half a head"),
    ],
)
async def test_silent_heads(gateway: Gateway, sent: bytes) -> None:
    """A head that does not come → 408 in `server.head_timeout_ms`, closed; no word where none came"""
    async with connect(gateway.url) as connection:
        connection.send(sent)
        if sent:
            answer = await connection.answer()
            assert (answer.status, code_of(answer)) == (408, "request_too_slow")
            assert "300 ms" in answer.json()["error"]["message"]
        await asyncio.wait_for(connection.is_closed.wait(), 10)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(REQUEST[:40], id="the first"),
        pytest.param(REQUEST + REQUEST[:40], id="one behind another"),
    ],
)
async def test_dripping_heads(gateway: Gateway, start: bytes) -> None:
    """A head that drips → 408 after the same time; what was asked before is answered"""
    async with connect(gateway.url) as connection:
        connection.send(start)
        await _drip(connection, b"x" * 500)
        await asyncio.wait_for(connection.is_closed.wait(), 10)
        answer = await connection.answer()
        assert answer.status == (408 if start == REQUEST[:40] else 200)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/files", "/api/accounts"])
@pytest.mark.parametrize("framing", [pytest.param(0, id="of stated length"), pytest.param(9, id="in chunks")])
@pytest.mark.parametrize("is_silent", [pytest.param(True, id="silent"), pytest.param(False, id="dripping")])
async def test_slow_bodies(
    provider: SimulatedProvider, gateway: Gateway, path: str, framing: int, is_silent: bool
) -> None:
    """A body that stops or drips → 408 after `server.body_timeout_ms`, closed; no account suffers"""
    body = b"[" * 3_000_000 if path == "/v1/files" else b"[" * 1_000
    wire = request(path, body, chunks=framing)
    start = wire.index(b"\r\n\r\n") + 104
    async with connect(gateway.url) as connection:
        connection.send(wire[:start])
        if not is_silent:
            await _drip(connection, wire[start:])
        if path != "/api/accounts":
            answer = await connection.answer()
            assert (answer.status, code_of(answer)) == (408, "request_too_slow")
            assert gateway.record_of(answer.id)["status"] == 408
        await asyncio.wait_for(connection.is_closed.wait(), 10)
    assert gateway.account("one")["status"] == "active"
    assert (await fetch(gateway.url, REQUEST)).status == 200


async def test_slow_lines(gateway: Gateway) -> None:
    """A body that takes three times the limit, at more than a KiB a second → served"""
    wire = request(body=ask("say 5 words" + " " * 60_000))
    async with connect(gateway.url) as connection:
        await _drip(connection, wire, len(wire) // 45)
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/status"])
async def test_readers_that_never_read(provider: SimulatedProvider, gateway: Gateway, path: str) -> None:
    """Answers that nobody reads → cut after `server.send_timeout_ms`, recorded as 499"""
    if path == "/status":
        wire = request(path, method="GET", headers={"content-length": "0"}) * 3_000
    else:
        wire = request(body=ask("say 120000 words", stream=True, max_tokens=128_000))
    descriptors = psutil.Process(gateway.pid).num_fds()
    with socket.create_connection(gateway.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        sent = 0
        while sent < len(wire):
            try:
                sent += client.send(wire[sent:])
            except BlockingIOError:
                break
        await until(lambda: psutil.Process(gateway.pid).num_fds() > descriptors, what="the connection")
        await until(lambda: psutil.Process(gateway.pid).num_fds() <= descriptors, what="its end")
    if path == "/v1/messages":
        await until(lambda: gateway.requests()[0]["status"] == 499, what="a record of it")


@pytest.mark.parametrize(
    "settings",
    [pytest.param({"max_connections": 5}, id="in all"), pytest.param({"max_connections": 1}, id="one alone")],
)
async def test_crowds(provider: SimulatedProvider, tmp_path: Path, settings: dict[str, int]) -> None:
    """More connections than `server.max_connections` → 503 with its code; served again once there is room"""
    async with Gateway(tmp_path, provider=provider.url, settings={"server": settings}) as gateway:
        async with AsyncExitStack() as crowd:
            for _ in range(settings["max_connections"]):
                connection = await crowd.enter_async_context(connect(gateway.url))
                assert (await connection.ask(REQUEST)).status == 200
            for _ in range(3):
                refused = await fetch(gateway.url, REQUEST)
                assert (refused.status, code_of(refused)) == (503, "too_many_connections")
                assert refused.headers["connection"] == "close"
            assert gateway.command("status").returncode == 0  # the owner's own door is another
        await until(lambda: _is_served(gateway), what="room for another")
        assert "Connections are turned away" in gateway.log_text()


async def _is_served(gateway: Gateway) -> bool:
    return (await fetch(gateway.url, REQUEST)).status == 200


async def test_floods_of_connections(provider: SimulatedProvider, tmp_path: Path) -> None:
    """Thousands of connects to a full house → turned away, descriptors bounded, the next guest is served"""
    async with Gateway(
        tmp_path, provider=provider.url, settings={"server": {"max_connections": 1}}
    ) as gateway:
        process = psutil.Process(gateway.pid)
        async with connect(gateway.url) as connection:
            assert (await connection.ask(REQUEST)).status == 200
            most = 0
            for _ in range(2_000):
                with socket.create_connection(gateway.address):
                    pass
                most = max(most, process.num_fds())
            assert most < 400
            assert (await connection.ask(REQUEST)).status == 200
        await until(lambda: _is_served(gateway), what="room for another")


async def test_websockets_leave_their_places(provider: SimulatedProvider, tmp_path: Path) -> None:
    """WebSockets that are refused → their places among the connections are free again"""
    offer = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    settings = {"server": {"max_connections": 3}}
    async with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        for _ in range(10):
            await until(lambda: _is_refused_websocket(gateway, offer), what="an answer to a WebSocket")
        assert await _is_served(gateway)


async def _is_refused_websocket(gateway: Gateway, offer: dict[str, str]) -> bool:
    return (await fetch(gateway.url, request("/nowhere", method="GET", headers=offer))).status == 403


def test_few_descriptors(provider: SimulatedProvider, tmp_path: Path) -> None:
    """A system that allows few open files → fewer connections, said at the start; none fails half-way"""
    few = Gateway(tmp_path, provider=provider.url, open_files=104)
    with few, ExitStack() as crowd:
        assert "20 connections at a time" in few.log_text()
        for _ in range(20):
            crowd.enter_context(socket.create_connection(few.address))
        wait_until(lambda: few.ask("GET", "/health")[0] == 503, what="a full house")
        crowd.close()
        wait_until(lambda: few.ask("GET", "/health")[0] == 200, what="room")


async def test_buffers_are_one_budget(provider: SimulatedProvider, tmp_path: Path) -> None:
    """Bodies that together are larger than `server.max_buffered_bytes` → 503, memory stays bounded"""
    settings = {"server": {"max_buffered_bytes": 2_000_000, "body_timeout_ms": 2_000}}
    async with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert (await fetch(gateway.url, REQUEST)).status == 200
        process = psutil.Process(gateway.pid)
        before = process.memory_info().rss
        async with AsyncExitStack() as crowd:
            many = [await crowd.enter_async_context(connect(gateway.url)) for _ in range(40)]
            for connection in many:
                connection.send(head(b"content-length: 1000000\r\n") + b"[" * 900_000)
            answers = [await connection.answer() for connection in many]
            grown = process.memory_info().rss - before
        codes = {code_of(answer) for answer in answers}
        assert codes <= {"buffers_full", "request_too_slow"}
        assert "buffers_full" in codes
        assert grown < 40_000_000
        assert (await fetch(gateway.url, request(body=ask("x" * 1_500_000)))).status == 200
    assert provider.books()["count"] == 2


def _is_sent(connection: Connection) -> bool:
    return connection.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize(
    ("start", "crumb", "size"),
    [
        pytest.param(b"POST /v1/messages", 64, 5_000_000, id="kept whole"),
        pytest.param(b"POST /v1/files", 64, 200_000, id="an upload"),
        pytest.param(b"POST /v1/messages", 2, 6_000, id="kept whole, two bytes each"),
    ],
)
async def test_bodies_in_small_chunks(
    provider: SimulatedProvider, tmp_path: Path, start: bytes, crumb: int, size: int
) -> None:
    """Bodies in chunks of 64 bytes → memory grows by what they hold, not by many times that"""
    crumbs = b"%x\r\n%b\r\n" % (crumb, b"[" * crumb) * (size // crumb)
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        assert (await fetch(gateway.url, REQUEST)).status == 200
        process = psutil.Process(gateway.pid)
        before = process.memory_info().rss
        async with AsyncExitStack() as crowd:
            many = [await crowd.enter_async_context(connect(gateway.url)) for _ in range(4)]
            for connection in many:
                connection.send(head(b"transfer-encoding: chunked\r\n", start) + crumbs)
                await until(partial(_is_sent, connection), what="all of it sent")
            assert (await fetch(gateway.url, REQUEST)).status == 200
            grown = process.memory_info().rss - before
            assert not any(connection.received for connection in many)
    assert grown < 2 * 4 * size + 10_000_000


@pytest.mark.parametrize("start", [b"POST /v1/messages", b"POST /v1/files", b"POST /api/accounts"])
async def test_bodies_in_crumbs(provider: SimulatedProvider, gateway: Gateway, start: bytes) -> None:
    """Chunks of one byte without end → 400 and the end after some thousand; others are served meanwhile"""
    async with AsyncExitStack() as crowd:
        many = [await crowd.enter_async_context(connect(gateway.url)) for _ in range(5)]
        for connection in many:
            connection.send(head(b"transfer-encoding: chunked\r\n", start) + b"1\r\n[\r\n" * 300_000)
        assert (await fetch(gateway.url, REQUEST)).status == 200
        for connection in many:
            await asyncio.wait_for(connection.is_closed.wait(), 20)
    assert (await fetch(gateway.url, REQUEST)).status == 200


async def test_heads_of_crumbs(provider: SimulatedProvider, tmp_path: Path) -> None:
    """Heads of thousands of tiny lines that never end → memory stays bounded"""
    async with Gateway(tmp_path, provider=provider.url) as gateway:
        assert (await fetch(gateway.url, REQUEST)).status == 200
        process = psutil.Process(gateway.pid)
        before = process.memory_info().rss
        async with AsyncExitStack() as crowd:
            many = [await crowd.enter_async_context(connect(gateway.url)) for _ in range(50)]
            for number, connection in enumerate(many):
                lines = b"".join(b"%x:%x\r\n" % (n, number) for n in range(7000))
                connection.send(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n" + lines)
                await until(partial(_is_sent, connection), what="all of it sent")
            assert (await fetch(gateway.url, REQUEST)).status == 200
            grown = process.memory_info().rss - before
    assert grown < 20_000_000


async def test_large_bodies_to_the_owner(gateway: Gateway) -> None:
    """A body of more than 1 MiB to an owner's route → 413"""
    for chunks in (0, 100):
        answer = await fetch(gateway.url, request("/api/accounts", b" " * 2_000_000, chunks=chunks))
        assert (answer.status, answer.json()["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/health", "/api/accounts"])
def test_bodies_behind_the_owners_answer(gateway: Gateway, path: str) -> None:
    """A body that comes behind the answer, of who said that he asks no more → taken and thrown away"""
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3000000\r\n\r\n"
    with socket.create_connection(gateway.address, 10) as client:
        client.sendall(head.encode())
        answer = HTTPResponse(client)
        answer.begin()
        assert answer.status in (405, 413)
        assert answer.headers["connection"] == "close"
        assert answer.read()
        client.sendall(b" " * 3_000_000)  # fails where the connection is reset
        assert client.recv(1) == b""


async def test_answered_and_still_owing(gateway: Gateway) -> None:
    """A body that stays away behind the answer → closed, without an answer to nothing"""
    async with connect(gateway.url) as connection:
        connection.send(request("/health", b" " * 9, method="GET").rstrip(b" "))
        assert (await connection.answer()).status == 200
        await asyncio.wait_for(connection.is_closed.wait(), 10)
        assert connection.received.count(b"HTTP/1.1 ") == 1
