"""Client connections on which nothing is asked are closed after a while."""

import asyncio
from collections.abc import Callable, Sized


class Idleness:
    """One timer per connection that looks again, instead of one per request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        turns: Sized,
        close: Callable[[], None],
    ) -> None:
        """`turns` holds what is not answered yet: as long as there is any, the connection is not idle."""
        self._loop = loop
        self._seconds = seconds
        self._turns = turns
        self._close = close
        self.since = loop.time()
        """The loop's time of the last answer."""
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def _look(self) -> None:
        idle = 0.0 if self._turns else self._loop.time() - self.since
        left = self._seconds - idle
        if left <= 0:
            self._close()
            return
        self._timer = self._loop.call_later(left, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
