"""One exchange over one connection: framing on the socket, timeouts, a streamed body, giving up."""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator

import pytest

from headgate.errors import AnswerCut, BadAnswer, UpstreamTimedOut
from headgate.upstream.client import UpstreamClient
from headgate.upstream.timeouts import Timeouts
from tests.upstream.scripted import (
    BODY,
    CHUNKED_HEAD,
    HEAD,
    NO_LIMITS,
    OK,
    SHORT,
    ScriptedServer,
    Talk,
    pieces_of,
    read_all,
    saying,
    silent,
)


@pytest.mark.parametrize("size", [5, 100_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_head_and_body_arrive_byte_for_byte(
    client: UpstreamClient, size: int, kind: type[bytes]
) -> None:
    """Whatever the size: joined, as two buffers, or in many writes of the kernel's."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n" % size
    body = bytes(itertools.islice(itertools.cycle(range(256)), size))
    got: list[bytes] = []

    async def script(talk: Talk) -> None:
        got.append(await talk.request())
        await talk.send(OK)
        await talk.gone()

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, head, kind(body), timeouts=NO_LIMITS)
        assert await read_all(answer) == b"ok"
    assert got == [head + body]


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        (b"", "before the answer"),
        (b"HTTP/1.1 20", "before the answer"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "before the answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "before the answer was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", "before the answer was complete"),
        (CHUNKED_HEAD + b"9\r\npart", "before the answer was complete"),
        (CHUNKED_HEAD + b"4\r\npart\r\n", "before the answer was complete"),
        (CHUNKED_HEAD + b"4\r\npart\r\n0\r\n", "before the answer was complete"),
    ],
)
@pytest.mark.parametrize("is_reset", [False, True], ids=["close", "reset"])
async def test_a_connection_that_ends_early_cuts_the_answer(
    client: UpstreamClient, said: bytes, stage: str, is_reset: bool
) -> None:
    """At every stage, by FIN or RST; what came before is handed out first."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(said)
        if is_reset:
            await proceed.wait()
            talk.reset()
        else:
            talk.close()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        got = b""
        with pytest.raises(AnswerCut) as caught:
            if not stage.endswith("complete"):
                proceed.set()
            answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
            while not answer.is_complete:
                if got or not said.endswith((b"part", b"\r\n0\r\n", b"part\r\n")):
                    proceed.set()
                got += await answer.read()
        assert caught.value.message.endswith(stage) or "(" in caught.value.message
        assert caught.value.reason == ("ECONNRESET" if is_reset else "EOF")
        if b"part" in said:
            assert got == b"part"


async def test_a_bad_chunk_is_a_failure_after_the_good_bytes(client: UpstreamClient) -> None:
    """And the connection is gone at once: nobody can tell what its bytes mean."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD + b"4\r\ngood\r\n")
        await proceed.wait()
        await talk.send(b"4\r\nmore\r\nnonsense")
        await talk.gone()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)
        assert await answer.read() == b"good"
        proceed.set()
        assert await answer.read() == b"more"
        with pytest.raises(BadAnswer):
            await answer.read()
        answer.close()


@pytest.mark.parametrize("noise", [b"\x00\x01\x02", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000])
async def test_noise_instead_of_an_answer_is_a_bad_answer(client: UpstreamClient, noise: bytes) -> None:
    """Also a head without end: nobody waits for it."""
    async with ScriptedServer(saying(noise)) as server:
        with pytest.raises(BadAnswer):
            await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS)


# ---- timeouts --------------------------------------------------------------------------------------


async def test_silence_is_a_timeout_of_the_first_byte(client: UpstreamClient) -> None:
    """The failure says which limit ran out."""
    async with ScriptedServer(silent) as server:
        with pytest.raises(UpstreamTimedOut, match="no answer within 50 ms") as caught:
            await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(first_byte=SHORT, idle=9))
        assert (caught.value.limit_ms, caught.value.reason) == (50, "ETIMEDOUT")


async def test_interim_answers_do_not_prolong_the_wait(client: UpstreamClient) -> None:
    """A far side that says 102 every second would hold the caller for ever."""
    async with ScriptedServer(saying(b"HTTP/1.1 102 Processing\r\n\r\n")) as server:
        with pytest.raises(UpstreamTimedOut) as caught:
            await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(first_byte=SHORT))
        assert caught.value.limit_ms == 50


async def test_a_stalled_answer_is_a_timeout_of_idleness(client: UpstreamClient) -> None:
    """A chunk's size alone is no progress: only body bytes are."""
    async with ScriptedServer(saying(CHUNKED_HEAD + b"2\r\nab\r\n" + b"fff")) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(first_byte=9, idle=SHORT))
        assert await answer.read() == b"ab"
        with pytest.raises(UpstreamTimedOut, match="did not go on within 50 ms"):
            await answer.read()
        with pytest.raises(UpstreamTimedOut):
            await answer.read()
        answer.close()


@pytest.mark.parametrize("is_piped", [False, True], ids=["read", "pipe"])
async def test_a_slow_drip_is_not_idle_but_ends_with_the_total(
    client: UpstreamClient, is_piped: bool
) -> None:
    """Each piece starts the idle limit anew; the total one is for the whole attempt."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD)
        loop = asyncio.get_running_loop()
        while True:
            await talk.send(b"1\r\nx\r\n")
            tick = loop.create_future()
            loop.call_later(0.02, tick.set_result, None)
            await tick

    async with ScriptedServer(script) as server:
        timeouts = Timeouts(first_byte=9, idle=0.15, total=0.4)
        answer = await client.send(server.origin, HEAD, BODY, timeouts=timeouts)
        got: list[bytes] = []

        def sink(piece: bytes) -> bool:
            got.append(piece)
            return False

        with pytest.raises(UpstreamTimedOut) as caught:
            while True:
                got.append(await (answer.pipe(sink) if is_piped else answer.read()))
        assert caught.value.limit_ms == 400
        assert len(b"".join(got)) > 5
        answer.close()


async def test_the_total_limit_also_holds_for_an_answer_that_never_pauses(client: UpstreamClient) -> None:
    """There is always something to read, so no wait would notice."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD)
        while True:
            await talk.send(b"ffff\r\n" + bytes(65_535) + b"\r\n")

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(total=0.2))
        with pytest.raises(UpstreamTimedOut) as caught:
            while not answer.is_complete:
                await answer.read()
        assert caught.value.limit_ms == 200
        answer.close()


# ---- a body that comes piece by piece ----------------------------------------------------------------

STREAMED_HEAD = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"


async def test_a_streamed_body_arrives_as_it_was_said(client: UpstreamClient) -> None:
    """The caller frames it; an empty piece is nothing."""
    got: list[bytes] = []

    async def script(talk: Talk) -> None:
        got.append(await talk.request())
        await talk.send(OK)
        await talk.gone()

    async with ScriptedServer(script) as server:
        body = pieces_of(b"ab", b"", b"cdef")
        answer = await client.send(server.origin, STREAMED_HEAD, body, timeouts=Timeouts(first_byte=9))
        assert await read_all(answer) == b"ok"
    assert got == [STREAMED_HEAD + b"abcdef"]


async def test_a_streamed_body_waits_for_the_far_side(client: UpstreamClient) -> None:
    """An upload of any size needs little memory; a far side that takes nothing is a timeout."""
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(65_536)

    async def script(talk: Talk) -> None:
        await proceed.wait()

    proceed = asyncio.Event()
    async with ScriptedServer(script) as server:
        timeouts = Timeouts(first_byte=9, idle=0.2)
        with pytest.raises(UpstreamTimedOut, match="took no more of the request within 200 ms"):
            await client.send(server.origin, STREAMED_HEAD, endless(), timeouts=timeouts)
        proceed.set()
    assert asked < 1000


async def test_an_answer_before_the_bodys_end_is_returned_at_once(client: UpstreamClient) -> None:
    """A refusal must not wait for the rest of an upload; the connection is not used again."""
    closed = asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\nabc")
        await talk.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await talk.gone()

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, STREAMED_HEAD, never_ending(), timeouts=NO_LIMITS)
        assert answer.status == 413
        assert await read_all(answer) == b"no"
        await closed.wait()
        assert client._pool.resting_count == 0


async def test_an_answer_is_found_behind_the_reset_that_follows_it(client: UpstreamClient) -> None:
    """The next write fails before the socket is looked at for reading: the kernel has the answer still."""
    refused = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        await refused.wait()
        yield bytes(100_000)
        yield bytes(100_000)

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"abc")
        os.write(talk.writer.get_extra_info("socket").fileno(), OK.replace(b"200 OK", b"413 Large"))
        talk.reset()
        refused.set()

    async with ScriptedServer(script) as server:
        answer = await client.send(server.origin, STREAMED_HEAD, body(), timeouts=NO_LIMITS)
        assert (answer.status, await read_all(answer)) == (413, b"ok")


async def test_what_the_body_raises_comes_out_of_send(client: UpstreamClient) -> None:
    """A client that leaves mid-upload is not the provider's failure."""

    class Left(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        yield b"abc"
        raise Left

    async with ScriptedServer(silent) as server:
        with pytest.raises(Left):
            await client.send(server.origin, STREAMED_HEAD, breaking(), timeouts=NO_LIMITS)


async def test_a_cancelled_body_ends_the_exchange(client: UpstreamClient) -> None:
    """Nobody would ever say the rest."""

    async def cancelled() -> AsyncIterator[bytes]:
        yield b"abc"
        raise asyncio.CancelledError

    async with ScriptedServer(silent) as server:
        with pytest.raises(AnswerCut) as caught:
            await client.send(server.origin, STREAMED_HEAD, cancelled(), timeouts=NO_LIMITS)
        assert caught.value.reason == "ECONNABORTED"


async def test_a_far_side_that_breaks_off_an_upload_ends_the_body(client: UpstreamClient) -> None:
    """The iterator is told by cancellation; no task stays behind."""
    closed = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\nabc")
        talk.reset()

    async with ScriptedServer(script) as server:
        with pytest.raises(AnswerCut):
            await client.send(server.origin, STREAMED_HEAD, waiting(), timeouts=NO_LIMITS)
        await closed.wait()


# ---- giving up ---------------------------------------------------------------------------------------


async def test_cancelling_send_closes_the_connection(client: UpstreamClient) -> None:
    """A client that leaves cancels the provider's work."""
    heard = asyncio.Event()
    gone = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        heard.set()
        await talk.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        sending = asyncio.create_task(client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS))
        await heard.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await gone.wait()


async def test_waiting_costs_no_cpu(client: UpstreamClient) -> None:
    """A moved deadline is found out when the timer fires, not by asking again and again."""
    async with ScriptedServer(silent) as server:
        before = time.process_time()
        with pytest.raises(UpstreamTimedOut):
            await client.send(server.origin, HEAD, BODY, timeouts=Timeouts(first_byte=0.4))
        assert time.process_time() - before < 0.2


async def test_an_answer_before_the_request_left_is_not_its_answer(client: UpstreamClient) -> None:
    """Else every later request of the connection would get the answer of the one before."""
    async with ScriptedServer(saying(OK, OK)) as server:
        await read_all(await client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS))
        (resting,) = client._pool._open
        sending = asyncio.ensure_future(client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS))
        await asyncio.sleep(0)  # the request is said to the outbox, which waits for the turn's end
        resting.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await read_all(await sending) == b"ok"
        assert len(server.talks) == 2
