"""Old clients, odd methods and targets, offers of other protocols, broken requests."""

import asyncio

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.journeys.http.samples import PLAIN, STREAM
from tests.journeys.wire import ask, connect, fetch, request

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
