"""What passes of a request and its answer, copied into a bounded buffer: see `capture.py`."""

import logging

import msgspec

from headgate.dialects.meters import Feeding

MOST_HELD_BYTES = 128 << 20
"""Of all answers under way, and of their requests: beyond it they are not captured."""

_log = logging.getLogger("headgate.stream-tee")


class Held:
    """The memory that captures take, over all settings."""

    def __init__(self, limit: int = MOST_HELD_BYTES) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        if self.used + size > self.limit:
            return False
        self.used += size
        return True


class Tape(msgspec.Struct, eq=False):
    """One request and its answer as far as it has passed."""

    limit: int
    held: Held
    request: bytes | None
    request_size: int
    request_error: str | None
    coding: str = ""
    content_type: str = ""
    answer: bytearray = msgspec.field(default_factory=bytearray)
    size: int = 0
    error: str | None = None
    _held: int = 0

    def hold_request(self) -> None:
        """For as long as the answer lasts."""
        if self.request is not None and not self._take(len(self.request)):
            self.request, self.request_error = None, "memory"

    def feed(self, piece: bytes) -> None:
        self.size += len(piece)
        room = self.limit - len(self.answer)
        if room <= 0 or self.error is not None:
            return
        if len(piece) > room:
            piece = piece[:room]
        if self._take(len(piece)):
            self.answer += piece
        else:
            self.error = "memory"

    def _take(self, size: int) -> bool:
        took = self.held.take(size)
        self._held += size if took else 0
        return took

    def let_go(self) -> None:
        """Safe to call twice."""
        self.held.used -= self._held
        self._held = 0


class Overhearing:
    """A meter with a tape beside it, in its place for as long as an answer lasts."""

    def __init__(self, meter: Feeding, tape: Tape, request_id: str) -> None:
        self._meter = meter
        self._tape = tape
        self._request_id = request_id

    def feed(self, data: bytes) -> None:
        self._meter.feed(data)
        self.copy(data)

    def copy(self, data: bytes) -> None:
        try:
            self._tape.feed(data)
        except Exception:
            # The edge: whatever is wrong with a copy, the client gets its bytes.
            if self._tape.error is None:
                _log.exception("Stream tee error", extra={"request_id": self._request_id})
            self._tape.error = "stream_tee"
