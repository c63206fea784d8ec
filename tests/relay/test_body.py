"""A request's body: kept whole within bounds, or streamed with back-pressure."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl

from headgate.errors import BuffersFull, RequestTooLarge
from headgate.relay.body import BodyBuffer, BodyStream, BufferBudget


@pytest.fixture
async def flow() -> AsyncIterator[FlowControl]:
    """Of a real connection."""
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    with theirs:
        yield FlowControl(transport)
        transport.abort()
        await asyncio.sleep(0)


async def _read(stream: BodyStream) -> bytes:
    return b"".join([piece async for piece in stream.framed()])


@given(st.lists(st.sampled_from([0, 1, 2, 1023, 1024, 1025, 70_000]), max_size=40))
def test_pieces_of_any_size_come_out_as_they_went_in(sizes: list[int]) -> None:
    """Small ones are gathered, large ones are not copied before the end."""
    body = BodyBuffer(BufferBudget(10_000_000), 10_000_000)
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    for piece in pieces:
        body.feed(piece)
    assert body.whole() == b"".join(pieces)
    assert type(body.whole()) is bytes
    body.release()


# ---- kept ----------------------------------------------------------------------------------------


def test_a_kept_body_is_whole_as_often_as_it_is_wanted() -> None:
    """For the decode and for every attempt."""
    body = BodyBuffer(BufferBudget(100), 10)
    for piece in (b"ab", b"", b"cd"):
        body.feed(piece)
    assert not body.is_ready
    body.end()
    assert body.is_ready
    assert (body.whole(), body.whole(), body.received) == (b"abcd", b"abcd", 4)


def test_a_body_that_came_at_once_is_as_one_that_was_fed() -> None:
    """In one step: refused alike, nothing taken then, and given back once."""
    budget = BufferBudget(5)
    body, long, late = BodyBuffer(budget, 10), BodyBuffer(budget, 3), BodyBuffer(budget, 10)
    body.take_whole(b"abcd")
    assert body.is_ready
    assert (body.whole(), body.received, budget.used) == (b"abcd", 4, 4)
    with pytest.raises(RequestTooLarge, match="3 bytes"):
        long.take_whole(b"abcd")
    with pytest.raises(BuffersFull):
        late.take_whole(b"ab")
    assert (long.received, late.received, late.is_ready, budget.used) == (0, 0, False, 4)
    body.release()
    body.release()
    assert budget.used == 0


def test_a_body_beyond_its_limit_is_refused() -> None:
    """The message says which limit; what came before stays counted."""
    body = BodyBuffer(BufferBudget(100), 3)
    body.feed(b"abc")
    with pytest.raises(RequestTooLarge, match="3 bytes"):
        body.feed(b"d")


def test_all_bodies_share_one_budget_and_give_it_back_once() -> None:
    """Who is released twice gives back once, and is still counted for the record."""
    budget = BufferBudget(10)
    first, second = BodyBuffer(budget, 100), BodyBuffer(budget, 100)
    first.feed(b"12345678")
    with pytest.raises(BuffersFull):
        second.feed(b"123")
    assert budget.used == 8
    first.release()
    first.release()
    assert (budget.used, first.received) == (0, 8)
    second.feed(b"123")
    assert budget.used == 3


# ---- streamed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_chunked", "expected"), [(False, b"abcd"), (True, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")]
)
async def test_a_streamed_body_goes_on_as_it_came(
    flow: FlowControl, is_chunked: bool, expected: bytes
) -> None:
    """Framed as the client's was; the reader wakes for each piece and for the end."""
    stream = BodyStream(flow, BufferBudget(1_000_000), limit=100, is_chunked=is_chunked)
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(stream))
        for piece in (b"ab", b"cd"):
            stream.feed(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        stream.end()
    assert reading.result() == expected
    assert (stream.is_spent, stream.received) == (True, 4)


async def test_the_client_is_not_read_while_the_provider_does_not_take(flow: FlowControl) -> None:
    stream = BodyStream(flow, BufferBudget(1_000_000), limit=10_000_000, is_chunked=False)
    stream.feed(b"x" * 262_144)
    assert not flow.read_paused
    stream.feed(b"x")
    assert flow.read_paused
    stream.end()
    assert len(await _read(stream)) == 262_145
    assert not flow.read_paused


async def test_a_streamed_body_beyond_its_limit_fails_its_reader(flow: FlowControl) -> None:
    """The upload is broken off: nothing whole reaches the provider."""
    stream = BodyStream(flow, BufferBudget(1_000_000), limit=3, is_chunked=True)
    stream.feed(b"ab")
    stream.feed(b"cd")
    stream.end()
    with pytest.raises(RequestTooLarge):
        await _read(stream)
