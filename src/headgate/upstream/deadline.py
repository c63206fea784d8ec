"""One timer for the whole life of a connection."""

import asyncio
import math
from collections.abc import Callable

NEVER = math.inf


class Deadline:
    """A moment that moves with every wait, and a timer that rarely does.

    Arming a timer costs more than a whole read. So moving the moment later, or off, is an assignment;
    the timer finds out when it fires and arms itself for the rest.
    """

    __slots__ = ("_expired", "_loop", "_monotonic", "_timer", "_timer_at", "at")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        monotonic: Callable[[], float],
        expired: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self.at = NEVER
        """In the clock's monotonic seconds; assign NEVER to switch it off, `set` to switch it on."""

    def set(self, at: float, now: float) -> None:
        self.at = at
        if at < self._timer_at:
            self._arm(now)

    def cancel(self) -> None:
        self.at = NEVER
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, NEVER

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self.at
        self._timer = self._loop.call_later(max(self.at - now, 0.0), self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if self.at == NEVER:
            return
        now = self._monotonic()
        if now >= self.at:
            self.at = NEVER
            self._expired()
        else:
            self._arm(now)
