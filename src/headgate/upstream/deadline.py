"""When a wait is over, for the whole life of a connection."""

import math
from collections.abc import Callable

from headgate.timetable import Place, Timetable

NEVER = math.inf


class Deadline:
    """A moment that moves with every wait, and a place in the timetable that rarely does.

    Taking a place costs more than a whole read. So moving the moment later, or off, is an assignment; when
    the place's time has come this is found out, and one for the rest is taken.
    """

    __slots__ = ("_expired", "_monotonic", "_place", "_place_at", "_timetable", "at")

    def __init__(
        self, timetable: Timetable, monotonic: Callable[[], float], expired: Callable[[], None]
    ) -> None:
        self._timetable = timetable
        self._monotonic = monotonic
        self._expired = expired
        self._place: Place | None = None
        self._place_at = NEVER
        self.at = NEVER
        """In the clock's monotonic seconds; assign NEVER to switch it off, `set` to switch it on."""

    def set(self, at: float, now: float) -> None:
        self.at = at
        if at < self._place_at:
            self._arm(now)

    def cancel(self) -> None:
        self.at = NEVER
        self._disarm()

    def _disarm(self) -> None:
        if self._place is not None:
            self._timetable.call_off(self, self._place)
        self._place, self._place_at = None, NEVER

    def _arm(self, now: float) -> None:
        self._disarm()
        self._place_at = self.at
        self._place = self._timetable.add(self, max(self.at - now, 0.0))

    def moment_came(self) -> None:
        self._place, self._place_at = None, NEVER
        if self.at == NEVER:
            return
        now = self._monotonic()
        if now >= self.at:
            self.at = NEVER
            self._expired()
        else:
            self._arm(now)
