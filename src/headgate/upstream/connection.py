"""One connection to a provider: an asyncio protocol that carries one exchange at a time."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, cast

from headgate.errors import AnswerCut, BadAnswer, UpstreamError, UpstreamTimedOut
from headgate.outbox import Outbox
from headgate.tasks import TaskGroup
from headgate.timetable import Timetable
from headgate.upstream.answer import Answer, Sink
from headgate.upstream.deadline import NEVER, Deadline
from headgate.upstream.failures import answer_cut
from headgate.upstream.framing import AnswerFraming
from headgate.upstream.origin import Origin
from headgate.upstream.plain import PlainReader
from headgate.upstream.pool import ConnectionPool, Route
from headgate.upstream.timeouts import Timeouts
from headgate.upstream.tls import remember_session

WholeBody = bytes | bytearray | memoryview
WHOLE_BODIES = (bytes, bytearray, memoryview)

MAX_UNREAD_BYTES = 262_144
"""An answer that nobody reads stops being read off the socket here; the next read takes it all."""

MAX_JOINED_BODY_BYTES = 4_096
"""Up to here one copy is cheaper than a second buffer for the kernel, and makes one TLS record."""

_NO_TIMEOUTS = Timeouts()


class Connection(asyncio.Protocol):
    """Belongs to one exchange, or rests in the pool, or is closed."""

    def __init__(
        self,
        origin: Origin,
        route: Route,
        pool: "ConnectionPool[Connection]",
        outbox: Outbox,
        plain: PlainReader,
        tasks: TaskGroup,
        timetable: Timetable,
        monotonic: Callable[[], float],
        keepalive_seconds: float,
    ) -> None:
        self.origin = origin
        self.route = route
        self.unread_bytes = 0
        self.is_reading_paused = False
        self.is_stale = False
        """Nobody has acted on the request: it was used before and ended before any byte of this answer, or
        the far side spoke before the request had left."""
        self._pool = pool
        self._outbox = outbox
        self._tasks = tasks
        self._monotonic = monotonic
        self._keepalive_seconds = keepalive_seconds
        self._loop = asyncio.get_running_loop()
        self._framing = AnswerFraming(plain)
        self._deadline = Deadline(timetable, monotonic, self._expired)
        self._socket: asyncio.Transport
        """From `connection_made` on."""
        self.is_lost = False
        self._in_exchange = False
        self._has_carried_one = False
        self._session_is_known = origin.scheme != "https"
        # of the exchange
        self._waiter: asyncio.Future[Any] | None = None
        self._sink: Sink | None = None
        self._failure: BaseException | None = None
        self._timeouts = _NO_TIMEOUTS
        self._ends_at = NEVER
        self._began = 0.0
        self._is_looked_at = False
        self._leaves_with = 0
        """The flush of the outbox that takes the request along."""
        self._sender: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None

    # ---- for the client and the answer ---------------------------------------------------------------

    def begin(
        self,
        head: bytes,
        body: "WholeBody | AsyncIterator[bytes]",
        timeouts: Timeouts,
        ends_at: float,
        now: float,
    ) -> "asyncio.Future[Answer | None]":
        """Send one request. The future has the Answer when its head is in, None when there is none:
        `raise_failure` tells why. Whoever gives up waiting for it calls `abort`."""
        self._in_exchange = True
        self._timeouts = timeouts
        self._ends_at = ends_at
        self._began = now
        self._framing.expect(is_head_request=head[:5] == b"HEAD ")
        waiter = self._waiter = self._loop.create_future()
        if isinstance(body, WHOLE_BODIES):
            is_short = len(body) <= MAX_JOINED_BODY_BYTES
            self._leaves_with = self._outbox.flushes + 1
            self._outbox.write(self._socket, head + body if is_short else (head, body))
            self._watch(timeouts.first_byte, now)
        else:
            self._socket.write(head)
            self._deadline.set(ends_at, now)
            self._sender = self._tasks.spawn(self._send_pieces(body), name="upstream request body")
        return waiter

    def more(self, sink: Sink | None, *, is_look: bool = False) -> "asyncio.Future[object]":
        if self._failure is not None:
            raise self._failure
        if self._waiter is not None:
            raise RuntimeError("an answer has one reader at a time")
        waiter = self._waiter = self._loop.create_future()
        self._sink = sink
        now = self._monotonic()
        self._watch(self._timeouts.idle, now)
        self._is_looked_at = is_look
        if is_look:
            self._deadline.set(min(self._deadline.at, self._look_ends_at), now)
        return waiter

    def raise_failure(self) -> NoReturn:
        raise self._failure or answer_cut(None, answered=self._framing.has_head)

    def resume(self) -> None:
        self.is_reading_paused = False
        if not self.is_lost:
            self._socket.resume_reading()

    def release(self) -> None:
        is_sound = self._framing.is_done and self._framing.can_be_followed and not self.is_lost
        if not is_sound or self._socket.get_write_buffer_size() or not self._keepalive_seconds:
            self.abort()
            return
        if self.is_reading_paused:
            self.resume()
        if not self._session_is_known:
            self._session_is_known = True
            remember_session(self._socket, self.origin.host)
        self._in_exchange = False
        self._has_carried_one = True
        now = self._monotonic()
        self._deadline.set(now + self._keepalive_seconds, now)
        self._pool.put(self)

    def is_fit(self, now: float) -> bool:
        return now < self._deadline.at and not self._socket.is_closing()

    def abort(self) -> None:
        """Close at once, whatever is under way. Whoever still waits gets AnswerCut."""
        if self._in_exchange and not self._framing.is_done and self._failure is None:
            self._failure = AnswerCut("The connection was closed on our side", reason="ECONNABORTED")
        self._stop()

    # ---- called by the transport ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._in_exchange:
            # Nothing was asked: a farewell such as 408, or a confused far side.
            self._pool.withdraw(self)
            self._stop()
            return
        framing = self._framing
        if not framing.has_started and self._outbox.flushes < self._leaves_with:
            # No answer to us, for the request has not left: what the far side sent by itself in between.
            self.is_stale = True
            self._fail(AnswerCut("There was an answer before the request", reason="EBADANSWER"))
            return
        had_head = framing.has_head
        try:
            framing.feed(data)
        except BadAnswer as error:
            self._fail(error)
        if not had_head:
            if framing.has_head:
                self._head_came()
        elif self._waiter is None:
            self.unread_bytes += len(data)
            if self.unread_bytes > MAX_UNREAD_BYTES and not self.is_reading_paused:
                self._pause()
        elif framing.is_done or (framing.pieces and self._sink is None):
            self._wake(None)
        elif framing.pieces:
            self._pour()

    def _pour(self) -> None:
        """Hand what came to the sink; the wait goes on unless that was enough."""
        pieces, sink = self._framing.pieces, self._sink
        assert sink is not None
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._timeouts.idle:
            self._deadline.at = min(self._monotonic() + self._timeouts.idle, self._ends_at)
        if sink(data):
            self._pause()  # what is not read waits with the provider, not here
            self._wake(True)

    def eof_received(self) -> None:
        if not self._in_exchange:
            self._pool.withdraw(self)
        elif self._framing.end():
            self._wake(None)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._in_exchange and not self._framing.is_done:
            self._read_last_words()
        self.is_lost = True
        self._pool.lost(self)
        if self._in_exchange:
            if not self._framing.is_done:
                was_ours = self._failure is not None  # a timeout, say: the far side may be at work
                is_stale = self._has_carried_one and not self._framing.has_started and not was_ours
                self.is_stale = self.is_stale or is_stale
                self._fail(answer_cut(error, answered=self._framing.has_head))
        else:
            self._pool.withdraw(self)
        self._deadline.cancel()
        self._let_sender_go_on()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self._let_sender_go_on()

    def _read_last_words(self) -> None:
        """A provider that refuses an upload half-way answers and closes; what we still send is then answered
        by a reset, and the loop sees the failed write before the answer. The kernel has it still."""
        if self._socket.get_extra_info("sslcontext") is not None:
            return
        try:
            # Both loops close the descriptor only behind this call.
            data = os.read(self._socket.get_extra_info("socket").fileno(), MAX_UNREAD_BYTES)
        except OSError:
            return
        if data:
            self.data_received(data)

    # ---- inside --------------------------------------------------------------------------------------

    def _watch(self, seconds: float | None, now: float) -> None:
        at = now + seconds if seconds else NEVER
        self._deadline.set(at if at < self._ends_at else self._ends_at, now)

    @property
    def _look_ends_at(self) -> float:
        beginning = self._timeouts.beginning
        return self._began + beginning if beginning else NEVER

    def _head_came(self) -> None:
        if self._sender is not None:
            # An answer before the request's end: the rest is not wanted, and the framing is off.
            self._sender.cancel()
            self._sender = None
            self._framing.can_be_followed = False
        framing = self._framing
        answer = Answer(
            self,
            framing,
            framing.status,
            framing.reason,
            framing.headers,
            framing.fields,
            framing.lines,
            framing.names,
            framing.content_length,
            framing.is_chunked,
            framing.is_done and not framing.pieces,
        )
        self._wake(answer)

    def _wake(self, result: object) -> None:
        # No timer to arm: the one of the wait that ends here stands no later than `_ends_at`.
        self._deadline.at = self._ends_at
        self._sink = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(result)

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        self._stop()

    def _stop(self) -> None:
        self._deadline.cancel()
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None
        self._socket.abort()
        self._wake(None)

    def _pause(self) -> None:
        if not self._framing.is_done and not self._socket.is_closing():
            self.is_reading_paused = True
            self._socket.pause_reading()

    def _expired(self) -> None:
        if self._in_exchange:
            if not self._framing.is_done:
                self._fail(self._timed_out())
        else:
            self._pool.withdraw(self)
            self._stop()

    def _timed_out(self) -> UpstreamError:
        timeouts, has_head, now = self._timeouts, self._framing.has_head, self._monotonic()
        if now >= self._ends_at:
            limit, setting, what = timeouts.total, "upstream.total_timeout_ms", "The answer was not complete"
        elif has_head and self._is_looked_at and now >= self._look_ends_at:
            limit, setting = timeouts.beginning, "server.request_timeout_ms"
            what = "The answer had not properly begun"
        elif self._sender is not None:
            limit, setting = timeouts.idle, "upstream.idle_timeout_ms"
            what = "The provider took no more of the request"
        elif has_head:
            limit, setting, what = timeouts.idle, "upstream.idle_timeout_ms", "The answer did not go on"
        else:
            limit, setting = timeouts.first_byte, "upstream.first_byte_timeout_ms"
            what = "There was no answer"
        limit_ms = round((limit or 0) * 1000)
        return UpstreamTimedOut(f"{what} within {limit_ms} ms", limit_ms=limit_ms, setting=setting)

    async def _send_pieces(self, body: AsyncIterator[bytes]) -> None:
        """A task of its own, so that an early answer can end the wait for the caller's next piece."""
        try:
            async for piece in body:
                self._socket.write(piece)
                if self._drained is not None:
                    self._watch(self._timeouts.idle, self._monotonic())
                    await self._drained
                    self._deadline.at = self._ends_at
        except asyncio.CancelledError:
            if self._sender is not None:  # not we: the body itself was cancelled
                self._fail(AnswerCut("The request body was cancelled", reason="ECONNABORTED"))
            raise
        except Exception as error:
            self._sender = None
            self._fail(error)  # the task's edge: raised again out of `exchange`
        else:
            self._sender = None
            self._watch(self._timeouts.first_byte, self._monotonic())

    def _let_sender_go_on(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
