"""Clocks: a machine that sleeps, a wall clock that is set."""

import asyncio

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import until
from tests.hostile.far_side import (
    EVENT_STREAM,
    GOOD,
    GOOD_BODY,
    STREAM,
    TO_ANYBODY,
    FarSide,
    answering,
    chunk,
)
from tests.journeys.wire import connect
from tests.upstream.scripted import Talk

DAY = 86_400.0
LIMIT_MS = 1_000
"""A stream whose far side is gone ends after it."""
START = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


async def test_connections_that_were_lost_in_sleep(far: FarSide) -> None:
    """The machine sleeps, the far side forgets its connections in silence → new ones, no error, no wait"""

    async def script(talk: Talk) -> None:
        await answering(GOOD)(talk) if talk.number >= 4 else await _answer_once(talk)

    async def _answer_once(talk: Talk) -> None:
        await talk.request()
        await everybody_is_here.wait()
        await talk.send(GOOD)
        await talk.gone()  # whatever is said to it now is lost

    everybody_is_here = asyncio.Event()
    async with far.says(script) as server:
        asking = [asyncio.create_task(far.ask()) for _ in range(4)]
        await until(lambda: len(server.talks) == 4)
        everybody_is_here.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        far.clock.advance(8 * 3600)
        for _ in range(2):
            answer = await far.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)
            record = far.gateway.record_of(answer.id)
            assert len(record["attempts"]) == 1 and 0 <= record["duration_ms"] < 5000
        assert len(server.talks) == 5
        await until(lambda: server.open_count == 1, what="The old connections are closed")


async def test_a_stream_goes_on_after_sleep(far: FarSide) -> None:
    """The machine sleeps within a stream and the far side is still there → it goes on"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        await proceed.wait()
        await talk.send(chunk(STOP) + b"0\r\n\r\n")
        await talk.gone()

    proceed = asyncio.Event()
    async with far.says(script), connect(far.gateway.url) as client:
        client.send(STREAM)
        await client.until(b"message_start")
        far.clock.advance(8 * 3600)
        proceed.set()
        answer = await client.answer()
        assert (answer.is_whole, answer.body) == (True, START + STOP)


async def test_a_stream_that_died_in_sleep(far: FarSide) -> None:
    """The machine sleeps within a stream and the far side is gone → an `error` event soon after waking"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        await talk.gone()

    async with far.says(script), connect(far.gateway.url) as client:
        client.send(STREAM)
        await client.until(b"message_start")
        far.clock.advance(8 * 3600)
        answer = await client.answer()
        assert answer.is_whole and answer.events()[-1][0] == "error"
        assert far.gateway.record_of(answer.id)["error"] == "request_timed_out"


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(-3600.0, id="an hour back"),
        pytest.param(-30 * DAY, id="a month back"),
        pytest.param(30 * DAY, id="a month ahead"),
    ],
)
async def test_a_clock_that_is_set_within_a_stream(far: FarSide, seconds: float) -> None:
    """The wall clock is set, in either direction, within a request → it goes on; its durations are true"""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(EVENT_STREAM + chunk(START))
        await proceed.wait()
        await talk.send(chunk(STOP) + b"0\r\n\r\n")
        await talk.gone()

    proceed = asyncio.Event()
    async with far.says(script), connect(far.gateway.url) as client:
        client.send(STREAM)
        await client.until(b"message_start")
        far.clock.set_wall(seconds)
        try:
            proceed.set()
            answer = await client.answer()
            assert (answer.is_whole, answer.body) == (True, START + STOP)
            record = far.gateway.record_of(answer.id)
            assert 0 <= record["first_byte_ms"] <= record["duration_ms"] < 5000
            assert record["overhead_ms"] >= 0
            assert all(one["started_ms"] >= 0 and one["duration_ms"] >= 0 for one in record["attempts"])
            for _ in range(2):  # connections at rest are as good as before
                later = await far.ask(TO_ANYBODY)
                assert later.status == 200 or "unreachable" in str(far.account()["skipped_because"])
        finally:
            far.clock.set_wall(-seconds)


@pytest.mark.parametrize(
    ("seconds", "answers"),
    [
        pytest.param(-DAY, 1, id="a day back"),
        pytest.param(DAY, 1, id="a day ahead"),
        pytest.param(-10.0, 0, id="ten seconds back"),
        pytest.param(10.0, 0, id="ten seconds ahead"),
    ],
)
async def test_a_clock_that_is_set_during_a_rest(
    far: FarSide, provider: SimulatedProvider, seconds: float, answers: int
) -> None:
    """The wall clock is set while an account rests → by much: it is asked again; by a little: it rests on"""
    limited = b"HTTP/1.1 429 Slow\r\nretry-after: 900\r\ncontent-length: 0\r\n\r\n"
    async with far.says(answering(limited)):
        assert far.gateway.record_of((await far.ask(TO_ANYBODY)).id)["account"] == "good"
        assert far.account()["status"] == "rate_limited"
    far.clock.set_wall(seconds)
    try:
        async with far.says(answering(GOOD)) as server:
            answer = await far.ask(TO_ANYBODY)
            assert answer.status == 200
            assert len(server.talks) == answers
            expected = "far" if answers else "good"
            assert far.gateway.record_of(answer.id)["account"] == expected
            assert far.account()["status"] == ("active" if answers else "rate_limited")
    finally:
        far.clock.set_wall(-seconds)
