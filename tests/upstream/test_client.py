"""Connections are kept, replaced and closed so that the caller never notices."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from headgate.clock import SystemClock
from headgate.errors import AnswerCut, ConnectFailed, UpstreamError, UpstreamTimedOut
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from headgate.upstream.origin import Origin
from headgate.upstream.timeouts import Timeouts
from tests.upstream.scripted import (
    BODY,
    HEAD,
    NO_LIMITS,
    OK,
    ScriptedServer,
    Talk,
    closing_after,
    pieces_of,
    read_all,
    saying,
    silent,
)


class SetClock(SystemClock):
    """Runs ahead by `ahead` seconds."""

    ahead = 0.0

    def monotonic(self) -> float:  # type: ignore[override]
        return asyncio.get_running_loop().time() + self.ahead


async def ask(client: UpstreamClient, server: ScriptedServer, head: bytes = HEAD) -> bytes:
    answer = await client.send(server.origin, head, BODY, timeouts=NO_LIMITS)
    return await read_all(answer)


def answered(count: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % count


# ---- kept --------------------------------------------------------------------------------------------


async def test_requests_in_a_row_share_a_connection(client: UpstreamClient) -> None:
    """Also after HEAD and 304, whose stated lengths have no body."""
    not_modified = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
    head_only = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    async with ScriptedServer(saying(answered(1), not_modified, head_only, answered(2))) as server:
        assert await ask(client, server) == b"1"
        assert await ask(client, server) == b""
        assert await ask(client, server, HEAD.replace(b"POST", b"HEAD")) == b""
        assert await ask(client, server) == b"2"
        assert len(server.talks) == 1


async def test_requests_at_once_have_a_connection_each(client: UpstreamClient) -> None:
    """No queue in front of a provider; afterwards the last one used goes first."""

    async def script(talk: Talk) -> None:
        while await talk.request():
            if len(server.talks) == 5:
                everybody_is_here.set()
            await everybody_is_here.wait()
            await talk.send(answered(talk.number))

    everybody_is_here = asyncio.Event()
    async with ScriptedServer(script) as server:
        answers = await asyncio.gather(*[ask(client, server) for _ in range(5)])
        assert sorted(answers) == [b"0", b"1", b"2", b"3", b"4"]
        first = await ask(client, server)
        assert await ask(client, server) == first
        assert len(server.talks) == 5


async def test_origins_do_not_share_connections(client: UpstreamClient) -> None:
    """Not even two ports of one host."""
    async with ScriptedServer(saying(answered(1))) as one, ScriptedServer(saying(answered(2))) as two:
        assert await ask(client, one) == b"1"
        assert await ask(client, two) == b"2"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        OK + b"\r\nmore",
    ],
    ids=["close", "1.0", "an answer too many", "garbage"],
)
async def test_an_unsound_connection_is_not_used_again(client: UpstreamClient, answer: bytes) -> None:
    """Above all, nobody ever gets bytes that were not meant for them."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(answer)
        await talk.gone()

    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"ok"
        assert await ask(client, server) == b"ok"
        assert len(server.talks) == 2


async def test_an_answer_to_nobody_closes_a_resting_connection(client: UpstreamClient) -> None:
    """Providers say 408 before they close; the next request must not take it for its own."""
    gone = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(answered(talk.number))
        if talk.number == 0:
            await proceed.wait()
            await talk.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await talk.gone()
        gone.set()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"0"
        proceed.set()
        await gone.wait()
        assert client._pool.resting_count == 0
        assert await ask(client, server) == b"1"


async def test_a_resting_connection_is_closed_when_its_time_is_up() -> None:
    """Before the provider's own limit, which would make it stale."""
    client = UpstreamClient(SystemClock(), Outbox(), keepalive_seconds=0.05)
    gone = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK)
        await talk.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"ok"
        assert client._pool.resting_count == 1
        await gone.wait()
        assert client._pool.resting_count == 0
    await client.close()


async def test_a_machine_that_slept_does_not_use_old_connections() -> None:
    """The time is asked for at each use: a timer may be late."""
    clock = SetClock()
    client = UpstreamClient(clock, Outbox(), keepalive_seconds=30)
    async with ScriptedServer(saying(answered(1), answered(2))) as server:
        assert await ask(client, server) == b"1"
        clock.ahead = 31.0
        assert await ask(client, server) == b"1"
        assert len(server.talks) == 2
    await client.close()


async def test_no_connection_is_kept_with_a_keep_alive_of_zero() -> None:
    """The setting's way to switch it off."""
    client = UpstreamClient(SystemClock(), Outbox(), keepalive_seconds=0)
    async with ScriptedServer(saying(answered(1), answered(2))) as server:
        assert [await ask(client, server), await ask(client, server)] == [b"1", b"1"]
    await client.close()


# ---- replaced ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_stale_connection_is_replaced_unnoticed(client: UpstreamClient, way: str) -> None:
    """The far side closes while the request is on its way; nobody has acted on it."""
    got: list[bytes] = []

    async def script(talk: Talk) -> None:
        if talk.number == 0:
            await talk.request()
            await talk.send(OK)
            await talk.request()
            talk.reset() if way == "reset" else talk.close()
            return
        got.append(await talk.request())
        await talk.send(answered(7))
        await talk.gone()

    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"ok"
        assert await ask(client, server) == b"7"
        assert got == [HEAD + BODY]


async def test_connections_closed_while_resting_are_forgotten_at_once(client: UpstreamClient) -> None:
    """A provider that restarts costs no failed attempt."""
    async with ScriptedServer(closing_after(OK)) as server:
        for _ in range(3):
            assert await ask(client, server) == b"ok"
        assert len(server.talks) == 3


async def test_a_request_is_said_again_once_only(client: UpstreamClient) -> None:
    """A new connection that is cut at once is a failure, not a loop."""

    async def script(talk: Talk) -> None:
        if talk.number == 0:
            await talk.request()
            await talk.send(OK)
        await talk.request()
        talk.close()

    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"ok"
        with pytest.raises(AnswerCut):
            await ask(client, server)
        assert len(server.talks) == 2


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_nothing_is_said_again_after_the_first_byte(client: UpstreamClient, start: bytes) -> None:
    """From then on the provider may have acted on it."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK)
        await talk.request()
        await talk.send(start)
        talk.close()

    async with ScriptedServer(script) as server:
        assert await ask(client, server) == b"ok"
        with pytest.raises(AnswerCut):
            await ask(client, server)
        assert len(server.talks) == 1


async def test_a_timeout_is_not_said_again(client: UpstreamClient) -> None:
    """A silent far side may be at work."""
    async with ScriptedServer(saying(OK)) as server:
        assert await ask(client, server) == b"ok"
        with pytest.raises(UpstreamTimedOut):
            await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(first_byte=0.05))
        assert len(server.talks) == 1


async def test_a_streamed_body_gets_a_connection_that_cannot_be_stale(client: UpstreamClient) -> None:
    """It cannot be said again. Afterwards its connection is kept like any other."""
    async with ScriptedServer(saying(answered(1), answered(2))) as server:
        assert await ask(client, server) == b"1"
        answer = await client.send(server.origin, HEAD, pieces_of(BODY), timeouts=NO_LIMITS)
        assert await read_all(answer) == b"1"
        assert len(server.talks) == 2


# ---- not connected -----------------------------------------------------------------------------------


async def test_a_refused_connection_says_so(client: UpstreamClient) -> None:
    """Also by name, where several addresses may have been tried."""
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(ConnectFailed, match=f"No connection to {host}:{port}") as caught:
            await client.send(Origin("http", host, port), HEAD, BODY, timeouts=Timeouts(connect=5))
        assert caught.value.reason == "ECONNREFUSED"


async def test_a_name_that_nobody_knows_says_so(client: UpstreamClient) -> None:
    """`.invalid` never resolves (RFC 6761); a machine without a resolver says it in its own word."""
    origin = Origin("http", "provider.invalid", 80)
    with pytest.raises(ConnectFailed, match=r"provider\.invalid could not be resolved") as caught:
        await client.send(origin, HEAD, BODY, timeouts=Timeouts(connect=5))
    assert caught.value.reason in ("ENOTFOUND", "EAI_AGAIN")


@pytest.mark.parametrize("limits", [Timeouts(connect=0.05), Timeouts(connect=5, total=0.05)])
async def test_a_connection_that_hangs_is_a_timeout(client: UpstreamClient, limits: Timeouts) -> None:
    """Here in the TLS handshake; the limit is for name, TCP and TLS together, and for the whole attempt."""
    async with ScriptedServer(silent) as server:
        origin = server.origin._replace(scheme="https")
        with pytest.raises(UpstreamTimedOut, match="TLS handshake with") as caught:
            await client.send(origin, HEAD, BODY, timeouts=limits)
        assert caught.value.limit_ms == 50


async def test_a_fresh_connection_that_is_reset_is_a_cut_answer(client: UpstreamClient) -> None:
    """Not a failed connect: the request may have been read."""

    async def script(talk: Talk) -> None:
        await talk.request()
        talk.reset()

    async with ScriptedServer(script) as server:
        with pytest.raises(AnswerCut) as caught:
            await ask(client, server)
        assert caught.value.reason == "ECONNRESET"


async def test_messages_carry_nothing_of_the_request(client: UpstreamClient) -> None:
    """Credentials travel in its head."""
    head = HEAD.replace(b"Host: x", b"x-api-key: sk-secret")
    for said in (b"", b"HTTP/1.1 ", b"sk-secret sent back"):
        async with ScriptedServer(closing_after(said)) as server:
            with pytest.raises(UpstreamError) as caught:
                await client.send(server.origin, head, BODY, timeouts=NO_LIMITS)
            assert "secret" not in f"{caught.value!r} {caught.value}"


# ---- closed ------------------------------------------------------------------------------------------


async def test_close_ends_what_rests_and_what_is_under_way(client: UpstreamClient) -> None:
    """Sends, reads and uploads are told; every socket is closed when `close` returns."""
    left = asyncio.Event()

    async def script(talk: Talk) -> None:
        nonlocal count
        await talk.reader.readuntil(b"hello")
        if talk.number == 0:
            await talk.send(OK)
        if talk.number == 1:
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        count += 1
        if count == 4:
            heard.set()
        await talk.gone()

    async def upload() -> AsyncIterator[bytes]:
        try:
            yield BODY
            await asyncio.Event().wait()
        finally:
            left.set()

    count = 0
    heard = asyncio.Event()
    async with ScriptedServer(script) as server:
        kept = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert await answer.read() == b"part"
        waiting = [
            asyncio.create_task(answer.read()),
            asyncio.create_task(ask(client, server)),
            asyncio.create_task(client.send(server.origin, HEAD, upload(), timeouts=NO_LIMITS)),
        ]
        await heard.wait()
        await read_all(kept)
        assert (client._pool.open_count, client._pool.resting_count) == (4, 1)
        await client.close()
        assert (client._pool.open_count, client._pool.resting_count) == (0, 0)
        for failure in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(failure, AnswerCut)
        await left.wait()
        with pytest.raises(ConnectFailed):
            await ask(client, server)
        await client.close()


async def test_a_thousand_exchanges_leave_nothing_open(client: UpstreamClient) -> None:
    """Good ones, cut ones, cancelled ones in turn: every connection rests or is closed."""

    async def script(talk: Talk) -> None:
        while request := await talk.request():
            if b"cut" in request:
                return
            if b"wait" not in request:
                await talk.send(OK)

    async def one(number: int) -> None:
        kind = (b"fine", b"cut", b"wait")[number % 3]
        head = HEAD.replace(b"Host: x", b"Host: " + kind)
        limits = Timeouts(first_byte=0.02) if kind == b"wait" else NO_LIMITS
        try:
            await read_all(await client.send(server.origin, head, BODY, timeouts=limits))
        except (AnswerCut, UpstreamTimedOut):
            assert kind != b"fine"

    async with ScriptedServer(script) as server:
        for start in range(0, 1000, 50):
            await asyncio.gather(*[one(number) for number in range(start, start + 50)])
        while client._pool.open_count != client._pool.resting_count:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert client._pool.resting_count <= 50
