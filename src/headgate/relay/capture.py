"""What a client said and what it got, for the recorder to keep; only where the owner wants that.

An answer's bytes are copied into a bounded buffer (`tape.py`) while they pass, a request's are held. Once the
answer is out both are sealed and put into the journal behind their request's record. A capture that fails is
told of in the record; it never touches the bytes, and nobody waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from headgate.access.batches import BatchMemory
from headgate.clock import Clock
from headgate.config.settings import RoutingSettings
from headgate.record.events import BodyRecord
from headgate.record.journal import Journal
from headgate.record.sealing import sealed
from headgate.relay.answers import Answers
from headgate.relay.attempt import Opened
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.relay.tape import Held, Overhearing, Tape
from headgate.relay.trail import Trail
from headgate.storage.body_keys import BodyKey
from headgate.upstream.framing import NO_FIELDS
from headgate.wire.headers import find

_log = logging.getLogger("headgate.stream-tee")


_BODIES = 2
"""Of each request: its own and the answer, empty or not."""


class Capture:
    """Made anew when settings change; what is under way keeps the old one."""

    def __init__(self, journal: Journal, key: BodyKey, held: Held, *, max_bytes: int) -> None:
        self._journal = journal
        self.key = key
        self._held = held
        self._max_bytes = max_bytes
        self._done: list[Callable[[], None]] = []

    def begin(self, exchange: Exchange, fields: Mapping[bytes, bytes]) -> Tape:
        """Before the request's body is let go. `fields` are the answer's headers."""
        request, size, error = self._request(exchange)
        tape = Tape(self._max_bytes, self._held, request, size, error)
        tape.coding = fields.get(b"content-encoding", b"").decode("latin-1")
        tape.content_type = fields.get(b"content-type", b"").decode("latin-1")
        return tape

    def _request(self, exchange: Exchange) -> tuple[bytes | None, int, str | None]:
        body = exchange.body
        if not isinstance(body, BodyBuffer):
            return None, body.received, "streamed"
        whole = body.whole() if body.is_complete else b""
        if not whole and body.received:
            return None, body.received, "left"
        return whole if len(whole) <= self._max_bytes else whole[: self._max_bytes], body.received, None

    def keep(self, exchange: Exchange, tape: Tape | None, last: bytes, fields: Mapping[bytes, bytes]) -> None:
        """The request's record was added just now. `last`: of an answer without a tape all of it."""
        if tape is None:
            tape = self.begin(exchange, fields)
            tape.answer, tape.size = bytearray(last[: self._max_bytes]), len(last)
        if not self._done:
            # The turn after the next: the last bytes of this answer have left by then.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._hand_over_all)
        self._done.append(lambda: self._hand_over(exchange, tape))

    @property
    def is_busy(self) -> bool:
        return bool(self._done)

    def finish(self) -> None:
        """What waits goes to the journal now: it is about to be closed."""
        self._hand_over_all()

    def _hand_over_all(self) -> None:
        done, self._done = self._done, []
        for hand_over in done:
            try:
                hand_over()
            except Exception:
                # The edge: what is wrong with one body must not cost the others.
                _log.exception("Failed to capture streaming response")
        self._journal.commit()

    def _hand_over(self, exchange: Exchange, tape: Tape) -> None:
        head = exchange.head.client.headers
        coding = (find(head, b"content-encoding") or b"").decode("latin-1")
        kind = (find(head, b"content-type") or b"").decode("latin-1")
        request, answer = tape.request, tape.answer
        tape.let_go()
        self._put(exchange, "request", request, tape.request_size, tape.request_error, coding, kind)
        self._put(*(exchange, "response", answer, tape.size, tape.error, tape.coding, tape.content_type))

    def _put(
        self,
        exchange: Exchange,
        kind: str,
        body: bytes | bytearray | None,
        size: int,
        error: str | None,
        coding: str,
        content_type: str,
    ) -> None:
        at_ms = int(exchange.began_at * 1000)
        if body:
            parts = sealed(
                body,
                self.key,
                request_id=exchange.id,
                kind=kind,
                at_ms=at_ms,
                size=size,
                coding=coding,
                content_type=content_type,
                limit=self._max_bytes if size > len(body) else 0,
                error=error,
            )
            if self._journal.offer_body(parts):
                return
            error = "journal_full"
        self._journal.add(BodyRecord(exchange.id, kind, at_ms, size, b"", error=error))


class KeepingAnswers(Answers):
    """Answers that are captured: a class of its own, so that nobody else pays for the question."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        routing: RoutingSettings,
        batches: BatchMemory,
        capture: Capture,
    ) -> None:
        super().__init__(journal, clock, routing, batches)
        self._capture = capture

    async def relay(self, exchange: Exchange, trail: Trail, opened: Opened) -> None:
        with _unharmed(exchange):
            tape = trail.tape = self._capture.begin(exchange, opened.answer.fields)
            tape.hold_request()
            opened.listener = Overhearing(opened.meter, tape, exchange.id)
            opened.listener.copy(opened.first)
        await super().relay(exchange, trail, opened)

    def _record(
        self,
        trail: Trail,
        status: int,
        error: str | None,
        last: bytes = b"",
        fields: Mapping[bytes, bytes] = NO_FIELDS,
    ) -> None:
        is_news = not trail.is_recorded and trail.is_admitted
        trail.bodies = _BODIES if is_news else 0
        super()._record(trail, status, error, last, fields)
        if is_news:
            with _unharmed(trail.exchange):
                if error is not None and trail.tape is not None:
                    trail.tape.feed(last)  # words of our own, which no meter gets
                self._capture.keep(trail.exchange, trail.tape, last, fields)


@contextmanager
def _unharmed(exchange: Exchange) -> Iterator[None]:
    """The edge: whatever is wrong with a copy, the client gets its answer."""
    try:
        yield
    except Exception:
        _log.exception("Failed to capture streaming response", extra={"request_id": exchange.id})
