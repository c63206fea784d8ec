"""Streams that tick: each sends two events a second, which say whose they are, which one, and when they left.

Writer and reader share the machine's monotonic clock: an event's age where it arrives is what the way cost.
"""

import asyncio
import re
import time
from typing import Protocol

INTERVAL_MS = 500
"""Between two events of one stream."""

_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"%05d %06d %019d"}}\n\n'
)
TICK = re.compile(rb'"text":"(\d{5}) (\d{6}) (\d{19})"\}\}\n\n')
"""Stream, number within it from 1, nanoseconds at leaving."""


def tick(stream: int, number: int) -> bytes:
    return _EVENT % (stream, number, time.monotonic_ns())


class Ticking(Protocol):
    """A stream on the wheel."""

    def send_tick(self) -> None: ...


class Wheel:
    """Calls every stream once per interval, in slots of a millisecond.

    Streams take the slots in turn, so ten thousand of them never speak at once, as independent ones do not.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: list[dict[Ticking, None]] = [{} for _ in range(INTERVAL_MS)]
        self._places: dict[Ticking, int] = {}
        self._joined = 0
        self._is_turning = False

    def join(self, stream: Ticking) -> None:
        # A stride without a common divisor: those that come together are spread as well.
        place = self._joined * 7 % INTERVAL_MS
        self._joined += 1
        self._places[stream] = place
        self._slots[place][stream] = None
        if not self._is_turning:
            self._is_turning = True
            self._turned = self._now()
            self._turn()

    def leave(self, stream: Ticking) -> None:
        """Safe for one that is not on it."""
        place = self._places.pop(stream, None)
        if place is not None:
            del self._slots[place][stream]

    def _now(self) -> int:
        return int(self._loop.time() * 1000)

    def _turn(self) -> None:
        """What is late is made up for: a slot is never left out."""
        if not self._places:
            self._is_turning = False
            return
        now = self._now()
        while self._turned < now:
            self._turned += 1
            for stream in tuple(self._slots[self._turned % INTERVAL_MS]):
                stream.send_tick()
        self._loop.call_later(0.001, self._turn)
