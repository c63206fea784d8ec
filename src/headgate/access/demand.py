"""How much of its limits a key would like to use here: for gateways that divide them."""

import math

from headgate.access.limits import MINUTE_SECONDS
from headgate.access.slices import What, in_steps

_PACE_SECONDS = 10.0
"""Over which the pace of requests and tokens is measured."""
_FORGET_SECONDS = 2.0
"""What was wanted is forgotten in a few of them, not at once, or it would come and go with each pause."""
_HEADROOM = 1.25
_FORGOTTEN = 0.1
"""Of one: who waits asks each second, and not once for each look."""


class Appetite:
    """Of one key for one of its limits."""

    __slots__ = ("_pace", "_wanted", "asked", "lacked")

    def __init__(self) -> None:
        self.asked = 0
        """What was let in since the last look."""
        self.lacked = 0
        """What was refused since then."""
        self._pace = 0.0
        self._wanted = 0.0

    @property
    def is_sated(self) -> bool:
        return not self.asked and not self.lacked and self._wanted < _FORGOTTEN

    def look(self, what: What, limit: int, part: int, in_use: int, *, passed: float) -> int:
        """How much is wanted. `passed`: seconds since the last look."""
        if what == "running":
            now = float(in_use + self.lacked)
        else:
            self._pace = self._pace * math.exp(-passed / _PACE_SECONDS) + self.asked
            now = self._pace * _HEADROOM * MINUTE_SECONDS / _PACE_SECONDS
            if self.lacked:
                now = max(now, part + self.lacked, 2 * part)
        self._wanted = min(limit, max(now, self._wanted * math.exp(-passed / _FORGET_SECONDS)))
        self.asked = self.lacked = 0
        return in_steps(self._wanted, limit)
