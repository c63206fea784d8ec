"""Time, injected. `time.time` and `time.monotonic` are banned everywhere else."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks, as the standard library has them; tests pass one that can be set."""

    def now(self) -> float:
        """Unix seconds: for what is stored, shown or compared with a provider's reset."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump: for durations and timeouts."""
        ...


class SystemClock:
    """The machine's own. The functions stand as attributes, so a call costs no extra frame."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
