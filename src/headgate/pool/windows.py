"""An account's quota windows, gathered from the limit headers of its answers.

Reading some fifteen headers costs as much as choosing the account, so the headers of a good answer
are only put aside, and read when somebody looks (status, a snapshot, a changed status).
"""

from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from headgate.providers.limits import Limits, Window
from headgate.providers.provider import Provider
from headgate.wire.headers import Headers

_READ_EVERY = 1.0
"""Seconds. Headers put aside longer ago are read before others take their place: not every answer
carries every window, and none shall be lost for good."""

_FIELDS = frozenset(field.name for field in fields(Window))


class Windows:
    """The newest statement about each window."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: dict[str, Window] = {}
        self._aside: tuple[Headers, float] | None = None
        self._read_at = 0.0

    def put_aside(self, headers: Headers, now: float) -> None:
        """Keep the headers for later. The list is kept, not copied: it must not change any more."""
        # Also when the clock was set back: less than nothing has passed then.
        if self._aside is not None and not 0 <= now - self._read_at < _READ_EVERY:
            self._read_aside()
            self._read_at = now
        self._aside = (headers, now)

    def add(self, limits: Limits) -> None:
        """Take over the windows of an answer that was read already."""
        self._read_aside()
        self._known.update((window.name, window) for window in limits.windows)

    def at(self, now: float) -> tuple[Window, ...]:
        """All known windows, each as it reads at `now`."""
        self._read_aside()
        return tuple(window.at(now) for window in self._known.values())

    def to_state(self, now: float) -> list[dict[str, Any]]:
        """JSON-able; `from_state` reads it."""
        return [asdict(window) for window in self.at(now)]

    def from_state(self, state: Any) -> None:
        """Take over what an earlier life knew. What cannot be read is passed over."""
        for entry in state if isinstance(state, list) else ():
            with suppress(TypeError, AttributeError):
                window = Window(**{key: value for key, value in entry.items() if key in _FIELDS})
                self._known.setdefault(window.name, window)

    def clear(self) -> None:
        self._known.clear()
        self._aside = None

    def _read_aside(self) -> None:
        if self._aside is not None:
            headers, seen_at = self._aside
            self._aside = None
            limits = self._provider.read_limits(headers, seen_at)
            self._known.update((window.name, window) for window in limits.windows)
