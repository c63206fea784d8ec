"""An answer whose head is in: reading it, not reading it, leaving it."""

import asyncio

import pytest

from headgate.errors import AnswerCut
from headgate.upstream.client import UpstreamClient
from headgate.upstream.connection import MAX_UNREAD_BYTES
from headgate.upstream.timeouts import Timeouts
from tests.upstream.scripted import (
    BODY,
    CHUNKED_HEAD,
    HEAD,
    NO_LIMITS,
    SHORT,
    ScriptedServer,
    Talk,
    closing_after,
    read_all,
    saying,
)


async def test_an_answer_has_status_reason_and_headers_when_send_returns(client: UpstreamClient) -> None:
    """The attempt loop decides by them before any body byte is there."""
    head = b"HTTP/1.1 529 Site overloaded\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\n"

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(head)
        await proceed.wait()
        await talk.send(b"body")
        await talk.gone()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert (answer.status, answer.reason) == (529, b"Site overloaded")
        assert answer.headers == [(b"retry-after", b"3"), (b"content-length", b"4")]
        assert (answer.content_length, answer.is_chunked, answer.is_complete) == (4, False, False)
        proceed.set()
        assert await answer.read() == b"body"
        assert answer.is_complete
        assert await answer.read() == b""
        answer.close()


async def test_the_last_piece_is_known_as_the_last_when_it_is_handed_out(client: UpstreamClient) -> None:
    """The relay holds it back until the record is written."""
    async with ScriptedServer(saying(CHUNKED_HEAD + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert not answer.is_complete
        assert await answer.read() == b"abcde"
        assert answer.is_complete
        answer.close()


async def test_an_end_that_comes_alone_is_an_empty_read(client: UpstreamClient) -> None:
    """The last chunk often has a packet of its own."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD + b"2\r\nab\r\n")
        await proceed.wait()
        await talk.send(b"0\r\n\r\n")
        await talk.gone()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert await answer.read() == b"ab"
        assert not answer.is_complete
        proceed.set()
        assert await answer.read() == b""
        assert answer.is_complete
        answer.close()


async def test_pieces_go_to_the_sink_until_it_has_enough(client: UpstreamClient) -> None:
    """`pipe` hands on without waking; it returns the last piece, or b"" when the sink is full."""
    got: list[bytes] = []
    heard = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD)
        for piece in (b"one", b"two", b"end"):
            await proceed.wait()
            proceed.clear()
            last = b"0\r\n\r\n" if piece == b"end" else b""
            await talk.send(b"3\r\n" + piece + b"\r\n" + last)
        await talk.gone()

    def sink(piece: bytes) -> bool:
        got.append(piece)
        heard.set()
        return piece == b"two"

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        piping = asyncio.create_task(answer.pipe(sink))
        proceed.set()
        await heard.wait()
        proceed.set()
        assert await piping == b""
        assert got == [b"one", b"two"]
        piping = asyncio.create_task(answer.pipe(sink))
        proceed.set()
        assert await piping == b"end"
        assert answer.is_complete and got == [b"one", b"two"]
        answer.close()


async def test_an_answer_without_length_ends_with_its_connection(client: UpstreamClient) -> None:
    """RFC 9112, section 6.3, rule 8."""
    async with ScriptedServer(closing_after(b"HTTP/1.1 200 OK\r\n\r\nall of this")) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert not answer.is_complete
        assert await read_all(answer) == b"all of this"


async def test_a_reader_that_takes_its_time_does_not_run_into_the_idle_limit(client: UpstreamClient) -> None:
    """The client's slowness is not the provider's fault."""
    async with ScriptedServer(saying(CHUNKED_HEAD + b"2\r\nab\r\n")) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(idle=SHORT))
        loop = asyncio.get_running_loop()
        later = loop.create_future()
        loop.call_later(SHORT * 3, later.set_result, None)
        await later
        assert await answer.read() == b"ab"
        answer.close()


async def test_an_answer_that_nobody_reads_stops_being_received(client: UpstreamClient) -> None:
    """Memory is bounded by the limit and one read of the socket; nothing is lost when reading goes on."""
    size = 64 * 1024 * 1024
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = bytes(65_536)
        for _ in range(size // len(block)):
            talk.writer.write(block)
            if talk.writer.transport.get_write_buffer_size() > 0:
                stuck.set()
            await talk.writer.drain()
            sent += len(block)
        await talk.gone()

    stuck = asyncio.Event()
    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        await stuck.wait()
        first = await answer.read()
        assert len(first) <= MAX_UNREAD_BYTES * 2 + 65_536
        assert sent < size
        got = len(first)
        while not answer.is_complete:
            got += len(await answer.read())
        answer.close()
    assert got == size


async def test_a_sink_that_has_enough_stops_the_receiving_at_once(client: UpstreamClient) -> None:
    """What a slow client does not take waits with the provider: nothing of it is held here."""
    size = 64 * 1024 * 1024

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = bytes(65_536)
        for _ in range(size // len(block)):
            talk.writer.write(block)
            await talk.writer.drain()
        await talk.gone()

    got: list[int] = []

    def sink(piece: bytes) -> bool:
        got.append(len(piece))
        return True

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        # What came with the head is handed out as a last piece would be.
        came = len(await answer.pipe(sink))
        if not got:
            came += len(await answer.pipe(sink))
        for _turn_of_the_loop in range(50):
            await asyncio.sleep(0)
        assert len(got) == 1
        assert answer.take() == b""
        while not answer.is_complete:
            came += len(await answer.pipe(sink))
        answer.close()
    assert came + sum(got) == size


@pytest.mark.parametrize("way", ["cancel the read", "close meanwhile", "close unread"])
async def test_leaving_an_open_answer_closes_the_connection(client: UpstreamClient, way: str) -> None:
    """In each way to leave; close is idempotent, and a read that waits meanwhile is told."""
    gone = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD + b"2\r\nab\r\n")
        await talk.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        if way != "close unread":
            assert await answer.read() == b"ab"
            reading = asyncio.create_task(answer.read())
            await asyncio.sleep(0)
            if way == "close meanwhile":
                answer.close()
            else:
                reading.cancel()
            with pytest.raises(AnswerCut if way == "close meanwhile" else asyncio.CancelledError):
                await reading
        answer.close()
        answer.close()
        await gone.wait()
        with pytest.raises(AnswerCut) as caught:
            await answer.read()
        assert caught.value.reason == "ECONNABORTED"


async def test_two_readers_are_refused(client: UpstreamClient) -> None:
    """A fault in the gateway, said at once instead of a hang."""
    async with ScriptedServer(saying(CHUNKED_HEAD)) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        first = asyncio.create_task(answer.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await answer.read()
        first.cancel()
        await asyncio.wait([first])
        answer.close()
