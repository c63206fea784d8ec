"""A provider's connections: early, late, half, reset, silent, deaf."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import until
from tests.hostile.far_side import (
    EVENT_STREAM,
    GOOD,
    GOOD_BODY,
    GOOD_LINES,
    LIMIT_MS,
    PLAIN,
    STREAM,
    TO_ANYBODY,
    TO_FAR,
    FarSide,
    answering,
    chunk,
    error_of,
    far_gateway,
)
from tests.journeys.wire import Answer, ask, connect, request
from tests.upstream.scripted import Script, Talk

OK = b"HTTP/1.1 200 OK\r\n"
LARGE = request(body=ask("x" * 2_000_000), headers=TO_FAR)
HUGE = request(body=ask("x" * 16_000_000), headers=TO_FAR)
"""More than the kernel takes at once: some of it is still ours when the answer comes."""
UPLOAD = request("/v1/files", b"u" * 16_000_000, headers=TO_FAR)
"""More than is kept: it is streamed through, and can be said once only."""
START = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'


def _ending(talk: Talk, way: str) -> None:
    talk.reset() if way == "reset" else talk.close()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="before the head"),
        pytest.param(b"HTTP/1.1 20", id="in the status line"),
        pytest.param(OK + b"content-ty", id="in the head"),
        pytest.param(OK + GOOD_LINES, id="before the blank line"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after an interim answer"),
        pytest.param(OK + GOOD_LINES + b"\r\n", id="between head and body"),
        pytest.param(EVENT_STREAM, id="between head and first event"),
        pytest.param(EVENT_STREAM + b"40\r\nevent: mess", id="within the first event"),
    ],
)
@pytest.mark.parametrize("way", ["close", "reset"])
async def test_the_end_before_anything_is_handed_on(far: FarSide, said: bytes, way: str) -> None:
    """Closed or reset before the first event → alone 502 with EOF or ECONNRESET; else the next account"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(said)
        if way == "reset" and said:
            await asyncio.sleep(0.02)  # else the reset overtakes what was said; either order is served
        _ending(talk, way)

    async with far.says(script) as server:
        answer = await far.ask(STREAM)
        assert (answer.status, answer.is_whole) == (502, True)
        error = error_of(answer)
        assert (error["code"], error["attempts"]) == ("all_accounts_failed", 1)
        assert error["lastError"].startswith("ECONNRESET" if way == "reset" else "EOF")
        (attempt,) = far.gateway.record_of(answer.id)["attempts"]
        assert attempt["error"] == "answer_cut" and attempt["rests_until"]
        far.rest()
        other = await far.ask(TO_ANYBODY)
        assert (other.status, far.gateway.record_of(other.id)["account"]) == (200, "good")
        await until(lambda: server.open_count == 0)
    await far.is_mended()


@pytest.mark.parametrize("way", ["close", "reset", "half-close"])
async def test_a_kept_connection_that_ended(far: FarSide, way: str) -> None:
    """A connection at rest that closes, resets or half-closes → the next request goes over a new one"""
    talks: list[Talk] = []

    async def script(talk: Talk) -> None:
        talks.append(talk)
        await answering(GOOD)(talk)

    async with far.says(script) as server:
        for _ in range(3):
            answer = await far.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)
            assert len(far.gateway.record_of(answer.id)["attempts"]) == 1
            if way == "half-close":
                talks[-1].writer.write_eof()
            else:
                _ending(talks[-1], way)
            await until(lambda: server.open_count == 0)
        assert len(talks) == 3


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("body", [pytest.param(PLAIN, id="short"), pytest.param(LARGE, id="2 MB")])
async def test_a_kept_connection_that_ends_just_as_it_is_used(far: FarSide, way: str, body: bytes) -> None:
    """Closed in the moment of use, before a byte of an answer → said again over a new one, not counted"""

    async def script(talk: Talk) -> None:
        if await talk.request():
            await talk.send(GOOD)
        if talk.number == 0:
            await talk.reader.read(1)  # the next request has begun
            _ending(talk, way)
            return
        await answering(GOOD)(talk)

    async with far.says(script) as server:
        assert (await far.ask()).status == 200
        failed_before = far.account()["error_count"]
        answer = await far.ask(body)
        assert (answer.status, answer.body, len(server.talks)) == (200, GOOD_BODY, 2)
        assert len(far.gateway.record_of(answer.id)["attempts"]) == 1
        assert far.account()["error_count"] == failed_before


async def test_every_connection_of_a_pool_ended_at_once(far: FarSide) -> None:
    """All connections at rest reset while requests come → each request is served, none is counted"""
    talks: list[Talk] = []

    async def script(talk: Talk) -> None:
        talks.append(talk)
        await answering(GOOD)(talk)

    async with far.says(script):
        await asyncio.gather(*[far.ask() for _ in range(8)])
        for talk in talks:
            talk.reset()
        for answer in await asyncio.gather(*[far.ask() for _ in range(8)]):
            assert (answer.status, answer.body) == (200, GOOD_BODY)
    assert far.account()["skipped_because"] is None


@pytest.mark.parametrize("status", [200, 400, 413])
@pytest.mark.parametrize("ending", ["keep", "close", "half-close"])
@pytest.mark.parametrize(
    "body", [pytest.param(HUGE, id="kept body"), pytest.param(UPLOAD, id="streamed body")]
)
async def test_an_answer_before_the_body_was_read(
    far: FarSide, body: bytes, ending: str, status: int
) -> None:
    """An early answer to a large upload → the client gets it; the connection is not used again"""
    early = b"HTTP/1.1 %d Early\r\n%b\r\n%b" % (status, GOOD_LINES, GOOD_BODY)

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.send(early)
        if ending == "close":
            talk.close()
            return
        if ending == "half-close":
            talk.writer.write_eof()
        await is_answered.wait()  # until then it reads no more of the body than it has
        await talk.gone()

    is_answered = asyncio.Event()
    async with far.says(script) as server:
        answer = await far.ask(body)
        is_answered.set()
        assert (answer.status, answer.is_whole, answer.body) == (status, True, GOOD_BODY)
        record = far.gateway.record_of(answer.id)
        assert (record["status"], record["account"]) == (status, "far")
        await until(lambda: server.open_count == 0, what="The connection closes")
    await far.is_mended()


# ---- silence and slowness ------------------------------------------------------------------------


async def _never(talk: Talk) -> None:
    await talk.request()
    await talk.gone()


async def _deaf(talk: Talk) -> None:
    talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await talk.writer.wait_closed()


async def _trickled_head(talk: Talk) -> None:
    await talk.request()
    for byte in OK + b"x: y\r\n" * 1000:
        await talk.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def _endless_interim(talk: Talk) -> None:
    await talk.request()
    while True:
        await talk.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.05)


def _is_a_timeout(far: FarSide, answer: Answer, words: str, limit_ms: int, setting: str) -> None:
    assert (answer.status, answer.is_whole) == (504, True)
    error = error_of(answer)
    assert (error["code"], error["type"]) == ("request_timed_out", "timeout_error")
    assert error["message"] == f"Request timed out after {limit_ms}ms"
    assert setting in error["hint"]
    assert words in error["lastError"]
    record = far.gateway.record_of(answer.id)
    (attempt,) = record["attempts"]
    assert attempt["error"] == "upstream_timed_out" and attempt["rests_until"]
    assert (record["status"], record["error"]) == (504, "request_timed_out")
    assert record["duration_ms"] >= limit_ms * 0.9


@pytest.mark.parametrize(
    ("script", "body"),
    [
        pytest.param(_never, PLAIN, id="never answers"),
        pytest.param(_never, LARGE, id="never answers a large request"),
        pytest.param(_trickled_head, PLAIN, id="a byte of the head at a time"),
        pytest.param(_endless_interim, PLAIN, id="103 for ever"),
        pytest.param(_deaf, LARGE, id="never reads a large request"),
    ],
)
async def test_no_head_in_time(far: FarSide, script: Script, body: bytes) -> None:
    """Silence, a trickled head, interim answers for ever → 504 after the first-byte timeout: it is total"""
    async with far.says(script) as server:
        answer = await far.ask(body)
        _is_a_timeout(far, answer, "There was no answer", LIMIT_MS, "upstream.first_byte_timeout_ms")
        if script is not _deaf:
            await until(lambda: server.open_count == 0, what="The connection closes")
    await far.is_mended()


async def test_a_provider_that_never_reads_an_upload(far: FarSide) -> None:
    """A streamed upload that is not taken → 504 after the idle timeout; what waits for it is bounded"""
    size = 60_000_000
    head = request("/v1/files", b"", headers={**TO_FAR, "content-type": "application/octet-stream"})
    head = head.replace(b"content-length: 0", b"content-length: %d" % size)
    async with far.says(_deaf), connect(far.gateway.url) as client:
        client.send(head + bytes(size))
        answer = await client.answer()
        _is_a_timeout(far, answer, "took no more of the request", LIMIT_MS, "upstream.idle_timeout_ms")
        assert far.gateway.record_of(answer.id)["request_bytes"] < 20_000_000
    await far.is_mended()


@pytest.mark.parametrize(
    ("said", "step"),
    [
        pytest.param(EVENT_STREAM + b"fff\r\n", b"e", id="a byte of the first event at a time"),
        pytest.param(EVENT_STREAM, b"2\r\n:\n\r\n", id="comments for ever"),
        pytest.param(
            b"HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n",
            b" ",
            id="a byte of a refusal at a time",
        ),
    ],
)
async def test_an_answer_that_never_properly_begins(far: FarSide, said: bytes, step: bytes) -> None:
    """A trickle before the first event → 504 when the client's own patience ends, however it trickles"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(said)
        while True:
            await talk.send(step)
            await asyncio.sleep(0.05)

    async with far.says(script) as server:
        began = time.monotonic()
        answer = await far.ask(STREAM)
        assert time.monotonic() - began < 4 * LIMIT_MS / 1000 + 2
        _is_a_timeout(far, answer, "not properly begun", 3 * LIMIT_MS, "server.request_timeout_ms")
        await until(lambda: server.open_count == 0)
    await far.is_mended()


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"", id="between two events"),
        pytest.param(b"40\r\nevent: content_bl", id="within an event"),
        pytest.param(b"40\r\n", id="behind a chunk's size"),
    ],
)
async def test_a_stream_that_falls_silent(far: FarSide, tail: bytes) -> None:
    """Silence after the first event → an `error` event with the timeout's words, then the end"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START) + tail)
        await talk.gone()

    async with far.says(script) as server:
        answer = await far.ask(STREAM)
        assert (answer.status, answer.is_whole) == (200, True)
        data = answer.events()[-1][1]
        error = json.loads(data[data.index('{"type":"error"') :])["error"]
        assert (error["type"], error["code"]) == ("timeout_error", "request_timed_out")
        assert error["message"] == f"Request timed out after {LIMIT_MS}ms"
        assert far.gateway.record_of(answer.id)["error"] == "request_timed_out"
        await until(lambda: server.open_count == 0)
    await far.is_mended()


async def test_the_time_for_a_whole_answer(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`upstream.total_timeout_ms` runs out within a lively stream → an `error` event that names it"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        while True:
            await asyncio.sleep(0.02)
            await talk.send(chunk(b"data: {}\n\n"))

    with far_gateway(tmp_path, provider, total_ms=600) as bounded:
        async with bounded.says(script) as server:
            answer = await bounded.ask(STREAM)
            name, data = answer.events()[-1]
            error = json.loads(data)["error"]
            assert (answer.is_whole, name, error["code"]) == (True, "error", "request_timed_out")
            assert error["message"] == "Request timed out after 600ms"
            assert "upstream.total_timeout_ms" in error["hint"]
            await until(lambda: server.open_count == 0)


async def test_a_body_that_trickles(far: FarSide) -> None:
    """A slow body whose pieces come in time → served whole, longer than any single timeout"""
    events = [b'data: {"n":%d}\n\n' % number for number in range(12)]

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        for event in events:
            await asyncio.sleep(LIMIT_MS / 4000)
            await talk.send(chunk(event))
        await talk.send(b"0\r\n\r\n")
        await talk.gone()

    async with far.says(script):
        answer = await far.ask(STREAM)
        assert (answer.status, answer.is_whole, answer.body) == (200, True, START + b"".join(events))


async def test_a_stated_body_that_falls_silent(far: FarSide) -> None:
    """Silence within a body of stated length → the client's connection closes: cut, never ended as whole"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK + GOOD_LINES + b"\r\n" + GOOD_BODY[:20])
        await talk.gone()

    async with far.says(script) as server:
        answer = await far.ask()
        assert (answer.status, answer.is_whole, answer.body) == (200, False, GOOD_BODY[:20])
        assert far.gateway.record_of(answer.id)["error"] == "request_timed_out"
        await until(lambda: server.open_count == 0)
    await far.is_mended()


async def test_a_client_that_leaves_a_silent_provider(far: FarSide) -> None:
    """The client leaves while the provider is silent → the provider's connection closes, 499 on record"""
    heard = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.request()
        heard.set()
        await talk.gone()

    async with far.says(script) as server:
        async with connect(far.gateway.url) as client:
            client.send(PLAIN)
            await heard.wait()
        await until(lambda: server.open_count == 0)
    await until(lambda: far.gateway.requests()[0]["status"] == 499)
    assert far.account()["skipped_because"] is None
