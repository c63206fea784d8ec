"""Time, injected. `time.time` and `time.monotonic` are banned everywhere else."""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """Two clocks, as the standard library has them; tests pass one that can be set."""

    def now(self) -> float:
        """Unix seconds: for what is stored, shown or compared with a provider's reset."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, and go on while the machine sleeps: for durations and timeouts."""
        ...


def _through_sleep() -> Callable[[], float]:
    """On Linux and macOS `time.monotonic` stands still while the machine sleeps: a connection that the far
    side gave up hours ago would look fresh."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic


# This module is a clock itself, the machine's own: what the gateway has. In a module the interpreter finds a
# function at once, in an object it looks through the class first, a dozen times for each request.
now = time.time
monotonic = _through_sleep()


class SystemClock:
    """The same, for who wants an object."""

    now = staticmethod(now)
    monotonic = staticmethod(monotonic)
