"""HTTP/1.1 as clients really speak it: kept connections, pipelining, Expect, trailers, slow readers."""

import asyncio
import hashlib
from contextlib import AsyncExitStack

import psutil
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, until
from tests.journeys.http.samples import MAX_BODY, MAX_UPLOAD, MEGABYTE, PLAIN, STREAM, error_code
from tests.journeys.wire import ask, chunked, connect, fetch, request

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


async def test_a_head_that_other_connections_sent_is_judged_as_it_is_now(gateway: Gateway) -> None:
    """The same lines: another key beside them, a key that was revoked, trailers that join nobody's head."""
    made = gateway.admin("/api/keys", method="POST", body={"name": "lent"})
    wire = request(body=ask(), key=made["key"])
    async with connect(gateway.url) as one, connect(gateway.url) as other:
        for connection in (one, other, one):
            assert (await connection.ask(wire)).status == 200
        sent = request(body=ask(), key=made["key"], chunks=2)
        assert sent.endswith(b"0\r\n\r\n")
        assert (await other.ask(sent[:-2] + b"x-headgate-account: nobody\r\n\r\n")).status == 200
        async with connect(gateway.url) as third:
            assert (await third.ask(sent)).status == 200
            assert (await third.ask(request(body=ask(), key="hg_other"))).status == 401
        gateway.admin("/api/keys/lent", method="DELETE")
        for connection in (one, other):
            assert (await connection.ask(wire)).status == 401
        assert (await fetch(gateway.url, wire)).status == 401
        assert (await fetch(gateway.url, request(body=ask()))).status == 200


async def test_a_client_that_wants_the_connection_closed_gets_it(gateway: Gateway) -> None:
    async with connect(gateway.url) as connection:
        answer = await connection.ask(request(body=ask(), headers={"connection": "close"}))
        assert answer.headers["connection"] == "close"
        await asyncio.wait_for(connection.is_closed.wait(), 5)


@pytest.mark.parametrize("name", ["x-headgate-session", "x-claude-code-session-id"])
async def test_the_session_that_a_header_names_is_on_record(gateway: Gateway, name: str) -> None:
    """What the accounts are chosen by, and not only what the body says."""
    answer = await fetch(gateway.url, request(body=ask(), headers={name: "conversation-7"}))
    assert gateway.record_of(answer.id)["session"] == "conversation-7"


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
    assert (refused.status, error_code(refused.json())) == (401, "invalid_client_key")
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
    assert (refused.status, error_code(refused.json())) == (401, "invalid_client_key")
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
    assert (answer.status, error_code(answer.json())) == (413, "request_too_large")
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
