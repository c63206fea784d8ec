"""HTTP/1.1 as clients really speak it: kept connections, pipelining, Expect, trailers, limits, old clients.

Slow readers and broken requests too.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import psutil
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, until
from tests.journeys.wire import ask, chunked, connect, fetch, request

MAX_BODY = 200_000
MAX_UPLOAD = 3_000_000
MEGABYTE = 1_048_576
PLAIN = request(body=ask("say 5 words"))
STREAM = request(body=ask("say 20 words", stream=True))


@pytest.fixture(scope="module")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    running_provider.reset()
    running_provider.keep_bytes(True)
    return running_provider


@pytest.fixture(scope="module")
def running_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"server": {"max_body_bytes": MAX_BODY, "max_upload_bytes": MAX_UPLOAD}}
    folder = tmp_path_factory.mktemp("http")
    with Gateway(folder, provider=running_provider.url, settings=settings) as running:
        yield running


@pytest.fixture
def gateway(running_gateway: Gateway) -> Iterator[Gateway]:
    yield running_gateway
    assert "Unexpected error" not in running_gateway.log_text()
    assert "Traceback" not in running_gateway.output_text(), running_gateway.output_text()
    status = running_gateway.admin("/status")
    assert (status["in_flight"], status["open_streams"]) == (0, 0)


def _error(body: bytes | Any) -> str:
    return str(body["error"]["code"])


# ---- one connection, many requests ---------------------------------------------------------------


async def test_a_connection_carries_many_requests(provider: SimulatedProvider, gateway: Gateway) -> None:
    """Of both kinds, with and without bodies, equal and different heads."""
    async with connect(gateway.url) as connection:
        for _ in range(3):
            assert (await connection.ask(PLAIN)).json()["type"] == "message"
            assert (await connection.ask(request("/health", method="GET"))).json()["status"] == "ok"
            assert (await connection.ask(STREAM)).events()[-1][0] == "message_stop"
            assert (await connection.ask(request("/v1/models", method="HEAD"))).body == b""
            assert (await connection.ask(request("/v1/models", method="GET"))).json()["data"]
        assert not connection.is_closed.is_set()
    assert provider.open_connections() <= 1


async def test_a_client_that_wants_the_connection_closed_gets_it(gateway: Gateway) -> None:
    async with connect(gateway.url) as connection:
        answer = await connection.ask(request(body=ask(), headers={"connection": "close"}))
        assert answer.headers["connection"] == "close"
        await asyncio.wait_for(connection.is_closed.wait(), 5)


@pytest.mark.parametrize("piece_bytes", [1, 37, 1_000_000])
async def test_pipelined_requests_are_answered_in_order(
    provider: SimulatedProvider, gateway: Gateway, piece_bytes: int
) -> None:
    """Provider routes and the owner's, whatever pieces the bytes come in."""
    wires = [
        STREAM,
        request("/health", method="GET"),
        PLAIN,
        request("/api/accounts", method="GET"),
        request("/status", method="GET"),
        request(body=ask("say 7 words"), chunks=3),
        request("/v1/nothing/here", method="GET"),
        request("/no/such/page", method="GET"),
        STREAM,
    ]
    data = b"".join(wires)
    async with connect(gateway.url) as connection:
        for start in range(0, len(data), piece_bytes):
            connection.send(data[start : start + piece_bytes])
            await asyncio.sleep(0)
        answers = [await connection.answer() for _ in wires]
        assert not connection.is_closed.is_set()
    assert [answer.status for answer in answers[:7]] == [200, 200, 200, 200, 200, 200, 404]
    assert answers[0].events()[-1][0] == answers[8].events()[-1][0] == "message_stop"
    assert answers[1].json()["status"] == "ok"
    assert answers[2].json()["usage"]["output_tokens"] == 5
    assert answers[3].json()["accounts"][0]["name"] == "one"
    assert "rotation" in answers[4].json()
    assert answers[5].json()["usage"]["output_tokens"] == 7
    assert answers[7].status in (400, 404)


async def test_more_pipelined_requests_than_may_wait_are_all_answered(gateway: Gateway) -> None:
    """Reading stops in between and goes on."""
    async with connect(gateway.url) as connection:
        words = [number % 30 + 1 for number in range(100)]
        connection.send(b"".join(request(body=ask(f"say {count} words")) for count in words))
        answers = [await connection.answer() for _ in words]
    assert [answer.json()["usage"]["output_tokens"] for answer in answers] == words


# ---- who is calling, on a connection that is shared ----------------------------------------------


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/models"])
async def test_a_key_counts_for_its_own_request_only(
    provider: SimulatedProvider, gateway: Gateway, path: str
) -> None:
    """A proxy in front may send many callers down one connection: each has to show a key."""
    body = ask() if path == "/v1/messages" else b""
    method = "POST" if body else "GET"

    def wire(query: str = "", key: str | None = None) -> bytes:
        made = request(path + query, body, method=method, key=key or "")
        return made if key else made.replace(b"x-api-key: \r\n", b"")

    async with connect(gateway.url) as connection:
        assert (await connection.ask(wire(f"?key={CLIENT_KEY}"))).status == 200
        refused = await connection.ask(wire())
    assert (refused.status, _error(refused.json())) == (401, "invalid_client_key")
    async with connect(gateway.url) as connection:
        assert (await connection.ask(wire(key=CLIENT_KEY))).status == 200
        assert (await connection.ask(wire(key="hg_another"))).status == 401
    async with connect(gateway.url) as connection:
        assert (await connection.ask(wire(key=CLIENT_KEY))).status == 200
        assert (await connection.ask(wire())).status == 401


async def test_trailers_join_neither_the_head_nor_the_request_upstream(
    provider: SimulatedProvider, gateway: Gateway
) -> None:
    """A key or a wish behind the body comes too late."""
    body = chunked(
        b'{"model":"claude-sonnet-5-5","max_tokens":5,"messages":[{"role":"user","content":"a"}]}', 2
    )
    trailers = f"x-api-key: {CLIENT_KEY}\r\nx-headgate-account: nobody\r\nx-late: 1\r\n\r\n".encode()
    with_trailers = body[:-2] + trailers
    head = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n"
    refused = await fetch(gateway.url, head + b"\r\n" + with_trailers)
    assert (refused.status, _error(refused.json())) == (401, "invalid_client_key")
    async with connect(gateway.url) as connection:
        key = f"x-api-key: {CLIENT_KEY}\r\n\r\n".encode()
        assert (await connection.ask(head + key + with_trailers)).status == 200
        assert (await connection.ask(PLAIN)).status == 200
    assert b"x-late" not in provider.received()[0]["head"]


# ---- bodies --------------------------------------------------------------------------------------


async def test_expect_100_continue(provider: SimulatedProvider, gateway: Gateway) -> None:
    """The go-ahead comes before the body is sent; the provider is not asked for one."""
    wire = request(body=ask(), headers={"expect": "100-continue"})
    head, _, body = wire.partition(b"\r\n\r\n")
    async with connect(gateway.url) as connection:
        connection.send(head + b"\r\n\r\n")
        await connection.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await connection.ask(body)).status == 200
    assert b"expect" not in provider.received()[0]["head"].lower()


async def test_expect_100_continue_is_answered_by_a_refusal(gateway: Gateway) -> None:
    """Who will be refused need not send his body."""
    async with connect(gateway.url) as connection:
        wire = request(body=ask(), key="wrong", headers={"expect": "100-continue"})
        connection.send(wire.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        answer = await connection.answer()
        assert b"100 Continue" not in connection.received
    assert answer.status == 401


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/messages", MAX_BODY), ("/v1/messages/batches", MAX_UPLOAD)]
)
@pytest.mark.parametrize("framing", ["announced", "chunked"])
async def test_a_body_beyond_the_limit_is_refused(
    provider: SimulatedProvider, gateway: Gateway, path: str, limit: int, framing: str
) -> None:
    """413 with the limit in its words; nothing whole reaches the provider; the next connection is served."""
    data = b" " * (limit + 1)
    wire = request(path, data, chunks=50 if framing == "chunked" else 0)
    async with connect(gateway.url) as connection:
        if framing == "announced":
            wire = wire.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"  # the announcement is enough
        answer = await connection.ask(wire)
    assert (answer.status, _error(answer.json())) == (413, "request_too_large")
    assert str(limit) in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "request_too_large"
    assert gateway.record_of(answer.id)["status"] == 413
    assert all(row["status"] == 0 for row in provider.books()["requests"].values())
    assert (await fetch(gateway.url, PLAIN)).status == 200


async def test_a_refused_upload_is_not_reset_before_its_answer_is_read(gateway: Gateway) -> None:
    """The client is still sending when the 413 comes: it must be able to read it."""
    async with connect(gateway.url) as connection:
        wire = request("/v1/files", b"x" * (MAX_UPLOAD * 4))
        head, _, body = wire.partition(b"\r\n\r\n")
        connection.send(head + b"\r\n\r\n" + body)
        assert (await connection.answer()).status == 413


# ---- clients of other kinds ----------------------------------------------------------------------


async def test_http_1_0_clients_are_served(gateway: Gateway) -> None:
    """No chunks for them; the connection's end is the stream's, unless they ask to keep it."""
    plain = PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")
    async with connect(gateway.url) as connection:
        answer = await connection.ask(plain)
        assert (answer.status, answer.is_whole) == (200, True)
        await asyncio.wait_for(connection.is_closed.wait(), 5)
    async with connect(gateway.url) as connection:
        for _ in range(2):
            kept = await connection.ask(plain.replace(b"\r\n", b"\r\nconnection: keep-alive\r\n", 1))
            assert (kept.status, kept.headers["connection"]) == (200, "keep-alive")
    async with connect(gateway.url) as connection:
        stream = await connection.ask(STREAM.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert "transfer-encoding" not in stream.headers
        assert stream.events()[-1][0] == "message_stop"


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/v1/files/file_none", "/nowhere"])
async def test_head_has_no_body_and_keeps_the_connection(gateway: Gateway, path: str) -> None:
    async with connect(gateway.url) as connection:
        answer = await connection.ask(request(path, method="HEAD"))
        assert answer.status < 500
        assert (await connection.ask(PLAIN)).json()["type"] == "message"
        assert connection.received.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND", "PURGE", "TRACE", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("path", ["/v1/messages", "/health", "/api/accounts", "/nowhere"])
async def test_unusual_methods_get_an_answer(gateway: Gateway, method: str, path: str) -> None:
    """None hangs, none is a 500."""
    answer = await fetch(gateway.url, request(path, method=method))
    assert answer.is_whole
    assert answer.status < 500


@pytest.mark.parametrize(
    "path",
    ["/v1/../etc", "/v1/./messages", "/v1/%2e%2e/x", "/v1/a/..%2fb", "/v1/..", "/v1/%2E", "/v1/a\\..\\b"],
)
async def test_dot_segments_reach_no_provider(
    provider: SimulatedProvider, gateway: Gateway, path: str
) -> None:
    """Once resolved they might leave the provider's part of the tree, with the account's key."""
    answer = await fetch(gateway.url, request(path, method="GET"))
    assert 400 <= answer.status < 500
    assert provider.books()["count"] == 0


async def test_an_offered_websocket_is_refused_not_kept_waiting(gateway: Gateway) -> None:
    """No route takes one; the answer comes at once."""
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/v1/responses", "/nowhere"):
        answer = await fetch(gateway.url, request(path, method="GET", headers=headers))
        assert answer.status in (400, 403, 404)


@pytest.mark.parametrize("chunks", [0, 3])
async def test_an_offered_http_2_costs_no_body(
    provider: SimulatedProvider, gateway: Gateway, chunks: int
) -> None:
    """`curl --http2` offers it on plain HTTP: the request is answered as HTTP/1.1, body and all."""
    headers = {
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2-settings": "AAMAAABkAAQCAAAAAAIAAAAA",
    }
    offer = request(body=ask("say 6 words"), headers=headers, chunks=chunks)
    status = request("/health", method="GET", headers=headers)
    async with connect(gateway.url) as connection:
        connection.send(offer + status + offer[:100])
        first, second = await connection.answer(), await connection.answer()
        third = await connection.ask(offer[100:])
    assert [answer.json()["usage"]["output_tokens"] for answer in (first, third)] == [6, 6]
    assert second.json()["status"] == "ok"
    assert b"h2c" not in provider.received()[0]["head"]


async def test_a_tunnel_is_refused(provider: SimulatedProvider, gateway: Gateway) -> None:
    """CONNECT: this is no forward proxy."""
    answer = await fetch(gateway.url, b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n")
    assert 400 <= answer.status < 500
    assert provider.books()["count"] == 0


_HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: " + CLIENT_KEY.encode() + b"\r\n"
_SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nhost: a\r\nx-api-key: " + CLIENT_KEY.encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        _HEAD.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        _HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
        _HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        _HEAD + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
        _HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
        _HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _SMUGGLED,
        _HEAD + b"content-length: +4\r\n\r\nabcd",
        _HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        _HEAD + b"x-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        _HEAD + b"bad name: a\r\n\r\n",
        _HEAD + b"x-control: a\x00b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
    ],
)
async def test_ambiguous_or_broken_requests_are_refused(
    provider: SimulatedProvider, gateway: Gateway, wire: bytes
) -> None:
    """What two parsers could read in two ways is read in none; nothing of it reaches the provider."""
    async with connect(gateway.url) as connection:
        answer = await connection.ask(wire)
        assert answer.status in (400, 501)
        connection.end()
        await asyncio.wait_for(connection.is_closed.wait(), 5)
    assert provider.books()["count"] == 0


@pytest.mark.parametrize(
    "behind",
    [
        b"\x00\x01 no request\r\n\r\n",
        b"GET /v1/responses HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
    ],
)
@pytest.mark.parametrize("first", [PLAIN, STREAM, b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n"])
async def test_what_follows_a_request_leaves_its_answer_alone(
    gateway: Gateway, first: bytes, behind: bytes
) -> None:
    """Rubbish or another protocol behind a request that runs: its answer is whole, then the end."""
    async with connect(gateway.url) as connection:
        answer = await connection.ask(first + behind)
        assert (answer.status, answer.is_whole) == (200, True)
        await asyncio.wait_for(connection.is_closed.wait(), 5)
        assert connection.received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("piece", [b"x-many: a\r\n", b"x-long: " + b"a" * 70_000])
async def test_a_head_without_end_is_not_held(
    provider: SimulatedProvider, gateway: Gateway, piece: bytes
) -> None:
    """Before anybody knows who calls, nobody may fill the memory."""
    async with connect(gateway.url) as connection:
        for sent in (_HEAD, *[piece * (300_000 // len(piece))] * 10):
            connection.send(sent)
            await asyncio.sleep(0)
        assert (await connection.answer()).status == 400
        await asyncio.wait_for(connection.is_closed.wait(), 5)
    assert provider.books()["count"] == 0


async def test_a_name_without_end_costs_no_record(gateway: Gateway) -> None:
    """A record holds the beginning of what a caller calls model and session."""
    body = ask(model="m" * 2_000, metadata={"user_id": "a_session_" + "s" * 2_000})
    answer = await fetch(gateway.url, request(path="/v1/messages?a=" + "p" * 2_000, body=body))
    record = gateway.record_of(answer.id)
    assert (record["model"], record["session"]) == ("m" * 256, "s" * 256)


# ---- slow readers --------------------------------------------------------------------------------


async def test_a_slow_reader_costs_no_memory(provider: SimulatedProvider, gateway: Gateway) -> None:
    """Ten streams of 15 MB that nobody reads: the provider is made to wait, and all arrive whole later."""
    provider.keep_bytes(False)
    process = psutil.Process(gateway.pid)
    wire = request(body=ask("say 120000 words", stream=True, max_tokens=128_000))
    async with connect(gateway.url) as warm:
        await warm.ask(PLAIN)
    before = process.memory_info().rss
    async with AsyncExitStack() as open_connections:
        slow = [await open_connections.enter_async_context(connect(gateway.url)) for _ in range(10)]
        for connection in slow:
            connection.send(wire)
            await connection.until(b"content_block_delta")
            connection.pause()
        for _ in range(100):  # round trips: the gateway could have taken in everything by then
            assert gateway.admin("/status")["open_streams"] == 10
        grown = process.memory_info().rss - before
        for connection in slow:
            connection.resume()
        answers = [await connection.answer() for connection in slow]
    assert grown < 40 * MEGABYTE
    rows = provider.books()["requests"].values()
    digests = {row["sent_sha256"] for row in rows if row["sent_bytes"] > MEGABYTE}
    assert {hashlib.sha256(answer.body).hexdigest() for answer in answers} == digests
    assert all(len(answer.body) > 10 * MEGABYTE for answer in answers)
    await until(lambda: gateway.admin("/status")["in_flight"] == 0, what="in_flight 0")
