"""Far moments of thousands of connections, on one timer of the event loop.

A timer of the event loop's own takes more memory than all else that watches a connection, and nearly all
are moved on or called off before they fire. So whoever waits for long stands in a list with others of about
the same moment; near the end, where milliseconds count, it takes a timer after all.
"""

import asyncio
import logging
import math
from typing import Protocol

_LISTS_PER_SECOND = 16
"""Fine enough that a crowd that came within a second is not called all at once."""

_NEAR_SECONDS = 1.0
"""Below this a timer is taken."""


class Waiting(Protocol):
    """Whoever waits; a list holds it by identity."""

    def moment_came(self) -> None:
        """Up to a sixteenth of a second early: whoever needs it to the millisecond asks for the rest."""
        ...


_log = logging.getLogger("headgate.server")

Place = asyncio.TimerHandle | int
"""By which a wait is called off: a timer, or the number of the list."""


class Timetable:
    """One for a room and its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lists: dict[int, set[Waiting]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf
        """The list that the timer stands for."""

    def add(self, waiting: Waiting, seconds: float) -> Place:
        """`moment_came` is called once, so many seconds from now, unless it is called off."""
        if seconds < _NEAR_SECONDS:
            return self._loop.call_later(seconds, waiting.moment_came)
        number = int((self._loop.time() + seconds) * _LISTS_PER_SECOND)
        together = self._lists.get(number)
        if together is None:
            together = self._lists[number] = set()
        together.add(waiting)
        if number < self._next:
            self._arm(number)
        return number

    def call_off(self, waiting: Waiting, place: Place) -> None:
        """Safe when the moment has come. Of two that come together one may call off the other too late."""
        if not isinstance(place, int):
            place.cancel()
        elif (together := self._lists.get(place)) is not None:
            together.discard(waiting)

    def _arm(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = number
        at = number / _LISTS_PER_SECOND
        self._timer = self._loop.call_later(max(at - self._loop.time(), 0.0), self._call)

    def _call(self) -> None:
        due = int(self._loop.time() * _LISTS_PER_SECOND)
        self._timer, self._next = None, math.inf
        for number in sorted(number for number in self._lists if number <= due):
            for waiting in self._lists.pop(number):
                try:
                    waiting.moment_came()
                except Exception:  # thousands wait beside the one whose moment failed
                    _log.exception("A timer failed")
        if self._lists:
            first = min(self._lists)
            if first < self._next:
                self._arm(first)
