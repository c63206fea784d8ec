"""How many refusals of strangers are put on record: each costs a line of log, some a row as well."""

import logging

_log = logging.getLogger("headgate.server")

MOST_AT_ONCE = 100
PER_SECOND = 10.0
"""A client with a wrong key shows; a flood of them fills no disk."""

_QUIET_SECONDS = 10.0


class Allowance:
    """A bucket that fills by the second. What does not fit is counted and said now and then."""

    def __init__(self) -> None:
        self._left = float(MOST_AT_ONCE)
        self._at = 0.0
        self._skipped = 0
        self._silent_until = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may be recorded. `now`: monotonic seconds."""
        self._left = min(MOST_AT_ONCE, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return True
        self._skipped += 1
        if now >= self._silent_until:
            self._silent_until = now + _QUIET_SECONDS
            _log.warning(
                "Strangers send more than is recorded one by one: %d requests were refused and left out",
                self._skipped,
            )
        return False
