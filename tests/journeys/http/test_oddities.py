"""Old clients, odd methods and targets, offers of other protocols, broken requests."""

import asyncio

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
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


async def test_a_name_without_end_costs_no_record(gateway: Gateway) -> None:
    """A record holds the beginning of what a caller calls model and session."""
    body = ask(model="m" * 2_000, metadata={"user_id": "a_session_" + "s" * 2_000})
    answer = await fetch(gateway.url, request(path="/v1/messages?a=" + "p" * 2_000, body=body))
    record = gateway.record_of(answer.id)
    assert (record["model"], record["session"]) == ("m" * 256, "s" * 256)
