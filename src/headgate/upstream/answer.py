"""An answer whose head is in; its body is read as it comes."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headgate.errors import AnswerCut
from headgate.upstream.framing import NO_FIELDS, AnswerFraming
from headgate.wire.headers import Headers

Sink = Callable[[bytes], bool]
"""Takes a piece at once; answers whether it has enough for now. Must not raise."""


class BodySource(Protocol):
    """What an answer needs of its connection."""

    unread_bytes: int
    is_reading_paused: bool

    def more(self, sink: Sink | None, *, is_look: bool = False) -> "asyncio.Future[object]":
        """Resolves when there is a piece, or the end, or a failure. Raises a failure already known.

        With a `sink`: when there is the end, or a failure, or (True) the sink has enough. `is_look`: the
        timeout of the beginning runs as well.
        """
        ...

    def raise_failure(self) -> None:
        """Raise what ended the exchange early."""
        ...

    def resume(self) -> None: ...

    def release(self) -> None:
        """Back to the pool when the exchange is done and the connection sound, else gone."""
        ...

    def abort(self) -> None: ...


class Answer(msgspec.Struct, eq=False):
    """Read by one reader, closed by whoever got it from `send`; closing is what frees the connection.

    Made for every request, so it is a struct.
    """

    _source: BodySource | None
    _framing: AnswerFraming
    status: int
    reason: bytes
    headers: Headers
    """Names lower case; trailers are left out."""
    fields: Mapping[bytes, bytes]
    """The headers by name, for look-ups; of a repeated one the last."""
    lines: bytes | None
    """The header lines as they came, each with its line end; None where that is not known."""
    names: frozenset[bytes] | None
    """Of the headers, where the lines are known: the same object in most answers of a far side."""
    content_length: int | None
    """As the field says, also where no body follows (HEAD, 304)."""
    is_chunked: bool
    is_complete: bool
    """Nothing will follow what `read` has handed out."""

    def forget_head(self) -> None:
        """What the header lines said is not asked for any more: a long answer need not hold them."""
        self.headers, self.fields, self.lines, self.names = [], NO_FIELDS, None, None
        self._framing.forget_head()

    def take(self) -> bytes:
        """Everything that came since the last look, without waiting; b"" when that is nothing."""
        source, framing = self._source, self._framing
        if source is None or self.is_complete:
            return b""
        pieces = framing.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        source.unread_bytes = 0
        if source.is_reading_paused:
            source.resume()
        self.is_complete = framing.is_done
        return data

    async def read(self) -> bytes:
        """Everything that came since the last read; waits when that is nothing. b"" only at the end.

        A failure (AnswerCut, BadAnswer, UpstreamTimedOut) is raised after the bytes before it have
        been handed out. Cancelling a waiting read aborts the connection.
        """
        data = self.take()
        if not data and not self.is_complete:
            await self._wait(None)
            data = self.take()
        return data

    async def look(self) -> bytes:
        """Like `read`, while nothing of the answer has been used yet: however slowly its pieces come, the
        time of `Timeouts.beginning` is all they get."""
        data = self.take()
        if not data and not self.is_complete:
            await self._wait(None, is_look=True)
            data = self.take()
        return data

    async def pipe(self, sink: Sink) -> bytes:
        """Like `read`, but pieces that come while it waits go straight to `sink`, without a turn of the
        event loop for each. Returns the last piece, which `sink` does not get; or b"" when `sink`
        answered that it can take no more for now.
        """
        data = self.take()
        if not data and not self.is_complete:
            if await self._wait(sink):
                return b""  # not to be read on before the sink takes more
            data = self.take()
        return data

    async def _wait(self, sink: Sink | None, *, is_look: bool = False) -> bool:
        """Whether the sink has enough."""
        source = self._source
        if source is None:
            raise AnswerCut("The answer was closed before its end", reason="ECONNABORTED")
        try:
            is_enough = await source.more(sink, is_look=is_look)
        except asyncio.CancelledError:
            source.abort()
            raise
        if self._source is None:
            raise AnswerCut("The answer was closed before its end", reason="ECONNABORTED")
        if not is_enough and not self._framing.pieces and not self._framing.is_done:
            source.raise_failure()
        return bool(is_enough)

    def close(self) -> None:
        """Idempotent. A complete answer's connection goes back to the pool, else it is aborted."""
        source = self._source
        if source is not None:
            self._source = None
            source.release()
