"""The body of a client's request while it arrives: kept whole, or forwarded as it comes."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl

from headgate.errors import BuffersFull, HeadgateError, RequestTooLarge

_SMALL_PIECE = 1024
"""A piece costs some 40 bytes more than it holds: small ones, and whoever sends two bytes at a time has many,
go into one array."""
_LONGEST_ARRAY = 65_536
"""An array grows by copying."""

_HIGH_WATER = 262_144
"""Bytes waiting for the provider above which we stop reading from the client."""


class BufferBudget:
    """The bodies held in memory over all requests. A stranger can open many requests at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Raises `BuffersFull` when there is no room; then nothing was taken."""
        if self.used + size > self.limit:
            raise BuffersFull(
                "The gateway holds as many request bodies as it may.",
                hint="Try again in a moment; the owner may raise `server.max_buffered_bytes`.",
            )
        self.used += size


class BodyBuffer(msgspec.Struct, eq=False):
    """Kept whole, so that routing can read it and an attempt can be made again."""

    _budget: BufferBudget
    _limit: int
    received: int = 0
    """Bytes, for the record too, which may be written after the release."""
    is_complete: bool = False
    is_spent: bool = False
    """Never: it can be read again."""
    _held: int = 0
    _pieces: list[bytes | bytearray] = []

    def feed(self, piece: bytes) -> None:
        """Raises `RequestTooLarge` or `BuffersFull`; the piece is not kept then."""
        size = len(piece)
        if self.received + size > self._limit:
            raise too_large(self._limit)
        self._budget.take(size)
        self._held += size
        self.received += size
        if size < _SMALL_PIECE and self._pieces:
            _gather(self._pieces, piece)
        else:
            self._pieces.append(piece)

    def end(self) -> None:
        self.is_complete = True

    def take_whole(self, content: bytes) -> None:
        """All of it at once, instead of `feed` and `end`; raises the same."""
        size = len(content)
        if size > self._limit:
            raise too_large(self._limit)
        self._budget.take(size)
        self.received = self._held = size
        self._pieces.append(content)
        self.is_complete = True

    @property
    def is_ready(self) -> bool:
        """Whether the relay may start: when the body is complete."""
        return self.is_complete

    def whole(self) -> bytes:
        """The body in one piece; joined once, most bodies come in one anyway."""
        pieces = self._pieces
        if len(pieces) != 1:
            pieces = self._pieces = [b"".join(pieces)]
        return pieces[0]  # type: ignore[return-value]  # the first piece is never an array

    def release(self) -> None:
        """Nobody will read it again. Safe to call twice."""
        self._budget.used -= self._held
        self._held = 0
        self._pieces.clear()


class BodyStream:
    """Fed by the protocol, read once by the upstream client; never more than a read ahead."""

    is_ready = True
    is_spent = False
    """Whether an attempt has begun to read it: there is no second one then."""

    def __init__(self, flow: FlowControl, budget: BufferBudget, *, limit: int, is_chunked: bool) -> None:
        self.is_chunked = is_chunked
        self._flow = flow
        self._budget = budget
        self._limit = limit
        self._pieces: list[bytes | bytearray] = []
        self._waiting_bytes = 0
        self._more: asyncio.Future[None] | None = None
        self._failure: HeadgateError | None = None
        self.received = 0
        self.is_complete = False

    def feed(self, piece: bytes) -> None:
        """Raises nothing: what is too large fails the reader, because the relay is under way."""
        self.received += len(piece)
        if self.received > self._limit:
            self.fail(too_large(self._limit))
        elif self._failure is None:
            self._keep(piece)
        self._wake()

    def _keep(self, piece: bytes) -> None:
        try:
            self._budget.take(len(piece))
        except BuffersFull as error:
            self.fail(error)
            return
        if len(piece) < _SMALL_PIECE and self._pieces:
            _gather(self._pieces, piece)
        else:
            self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > _HIGH_WATER:
            self._flow.pause_reading()

    def fail(self, error: HeadgateError) -> None:
        """There will be no more of it: whoever reads it gets the error."""
        self._failure = self._failure or error
        self._wake()

    def end(self) -> None:
        self.is_complete = True
        self._wake()

    def release(self) -> None:
        self._pieces.clear()
        self._budget.used -= self._waiting_bytes
        self._waiting_bytes = 0

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def framed(self) -> AsyncIterator[bytes]:
        """The bytes as they go upstream: chunked when the client's were, else plain."""
        self.is_spent = True
        while True:
            if self._failure is not None:
                raise self._failure
            if self._pieces:
                yield self._take()
            elif self.is_complete:
                break
            else:
                self._more = asyncio.get_running_loop().create_future()
                await self._more
        if self.is_chunked:
            yield b"0\r\n\r\n"

    def _take(self) -> bytes:
        piece = b"".join(self._pieces)
        self.release()
        self._flow.resume_reading()
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece


def _gather(pieces: list[bytes | bytearray], piece: bytes) -> None:
    """Add a small piece behind others."""
    last = pieces[-1]
    if isinstance(last, bytearray) and len(last) < _LONGEST_ARRAY:
        last += piece
    else:
        pieces.append(bytearray(piece))


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {limit} bytes.",
        hint="The owner may raise `server.max_body_bytes` or, for uploads, `server.max_upload_bytes`.",
    )
