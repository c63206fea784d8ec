"""How the process itself does: how late its event loop is, how long the garbage collector stops it.

One timer a second, and two clock readings for each collection; nothing of it is on the way of a request.
"""

import asyncio
import gc
import os
import time
from bisect import bisect_left
from collections import deque
from typing import Any

LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
"""Seconds."""
_NO_LIMIT = 1_000_000
_LOOK_SECONDS = 1.0
_LOOKS_REMEMBERED = 60


class Vitals:
    """Watches from `begin` to `end`."""

    def __init__(self) -> None:
        self.lag_counts = [0] * (len(LAG_BOUNDS) + 1)
        """Looks, by how late they were."""
        self.lag_sum = 0.0
        self.gc_counts = [0, 0, 0]
        """By generation, as the next one."""
        self.gc_seconds = [0.0, 0.0, 0.0]
        self._lately: deque[float] = deque(maxlen=_LOOKS_REMEMBERED)
        self._gc_began = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def worst_lag(self) -> float:
        """Seconds, in the last minute."""
        return max(self._lately, default=0.0)

    def begin(self) -> None:
        gc.callbacks.append(self._on_gc)
        self._set_timer()

    def end(self) -> None:
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = time.perf_counter() + _LOOK_SECONDS
        self._timer = loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._note_lag(max(0.0, time.perf_counter() - self._due))
        self._set_timer()

    def _note_lag(self, late: float) -> None:
        self.lag_counts[bisect_left(LAG_BOUNDS, late)] += 1
        self.lag_sum += late
        self._lately.append(late)

    def _on_gc(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_began = time.perf_counter()
            return
        generation = info["generation"]
        self.gc_counts[generation] += 1
        self.gc_seconds[generation] += time.perf_counter() - self._gc_began


def open_file_limit() -> int:
    """How many descriptors this process may have; a number beyond all use where there is no such limit."""
    if os.name != "posix":
        return _NO_LIMIT
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _NO_LIMIT if soft == resource.RLIM_INFINITY else soft
