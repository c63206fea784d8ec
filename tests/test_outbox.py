"""What leaves in which order, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from headgate.outbox import Outbox

PATIENCE_SECONDS = 10.0


class Pair:
    """A transport of ours and the socket at its other end."""

    def __init__(self, transport: asyncio.Transport, far: socket.socket) -> None:
        self.transport = transport
        self._far = far

    async def received(self, size: int) -> bytes:
        loop, found = asyncio.get_running_loop(), b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < size and (piece := await loop.sock_recv(self._far, size - len(found))):
                found += piece
        return found

    def has_nothing(self) -> bool:
        try:
            return not self._far.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True


@pytest.fixture
async def pairs() -> AsyncIterator[list[Pair]]:
    loop, found, sockets = asyncio.get_running_loop(), [], []
    for _ in range(2):
        near, far = socket.socketpair()
        far.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        found.append(Pair(transport, far))
        sockets.append(far)
    yield found
    for pair, far in zip(found, sockets, strict=True):
        pair.transport.abort()
        far.close()


async def test_nothing_leaves_before_the_commit(pairs: list[Pair]) -> None:
    """One commit for all that the turn wrote, then the writes in their order."""
    commits = []

    def commit() -> None:
        assert all(pair.has_nothing() for pair in pairs)
        commits.append(len(commits))

    outbox = Outbox(commit)
    for piece in (b"a", b"b", (b"c", bytearray(b"d"))):
        for pair in pairs:
            outbox.write(pair.transport, piece)
    assert all(pair.has_nothing() for pair in pairs) and not commits
    assert [await pair.received(4) for pair in pairs] == [b"abcd", b"abcd"]
    assert commits == [0]


async def test_a_long_piece_does_not_wait(pairs: list[Pair]) -> None:
    """Else one turn could take in megabytes for a reader that is too slow, and nobody would know."""
    outbox, pair = Outbox(), pairs[0]
    outbox.write(pair.transport, b"first")
    assert pair.has_nothing()
    outbox.write(pair.transport, b"x" * 20_000)
    assert not pair.has_nothing()
    assert await pair.received(20_005) == b"first" + b"x" * 20_000


async def test_a_flush_is_now(pairs: list[Pair]) -> None:
    """For who writes to the transport himself afterwards; the turn's end finds nothing left."""
    outbox, pair = Outbox(), pairs[0]
    outbox.write(pair.transport, b"first ")
    outbox.flush()
    pair.transport.write(b"second ")
    outbox.write(pair.transport, b"third")
    assert await pair.received(18) == b"first second third"


async def test_what_is_for_somebody_gone_keeps_nobody_waiting(pairs: list[Pair]) -> None:
    """A closed transport is passed over, and one that cannot take the bytes is closed."""
    gone, other = pairs
    outbox = Outbox()
    gone.transport.abort()
    outbox.write(gone.transport, b"lost")
    outbox.write(other.transport, b"kept")
    assert await other.received(4) == b"kept"


async def test_a_failing_commit_keeps_no_bytes_back(
    pairs: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    """Traffic goes on when records cannot be kept."""

    def commit() -> None:
        raise OSError("no room")

    outbox = Outbox(commit)
    outbox.write(pairs[0].transport, b"kept")
    assert await pairs[0].received(4) == b"kept"
    assert "Records could not be committed" in caplog.text


async def test_a_failing_write_costs_its_own_connection_only(
    pairs: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = pairs
    outbox = Outbox()
    outbox.write(failing.transport, "no bytes")  # type: ignore[arg-type]
    outbox.write(other.transport, b"kept")
    assert await other.received(4) == b"kept"
    assert failing.transport.is_closing()
    assert "A connection could not be written to" in caplog.text
