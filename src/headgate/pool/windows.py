"""An account's quota windows, gathered from the limit headers of its answers.

Reading some fifteen headers costs as much as choosing the account, so the headers of a good answer
are only put aside, and read when somebody looks (status, a snapshot, a changed status).
"""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

import msgspec

from headgate.pool.forecasts import Forecast, Series, forecast
from headgate.pool.policy import Quota
from headgate.providers.limits import Limits, Window
from headgate.providers.provider import Provider
from headgate.wire.headers import Headers

_READ_EVERY = 1.0
"""Seconds. Headers put aside longer ago are read before others take their place: not every answer
carries every window, and none shall be lost for good."""


class Windows:
    """The newest statement about each window, and a few of the older ones.

    `requests` is the account's count of requests when something is said or asked: what was sent since is
    in no statement yet.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: dict[str, Window] = {}
        self._series: dict[str, Series] = {}
        self._aside: tuple[Headers, float, int] | None = None
        self._read_at = 0.0

    def put_aside(self, headers: Headers, now: float, requests: int = 0) -> None:
        """Keep the headers for later. The list is kept, not copied: it must not change any more."""
        # Also when the clock was set back: less than nothing has passed then.
        if self._aside is not None and not 0 <= now - self._read_at < _READ_EVERY:
            self._read_aside()
            self._read_at = now
        self._aside = (headers, now, requests)

    def add(self, limits: Limits, requests: int = 0) -> None:
        """Take over the windows of an answer that was read already."""
        self._read_aside()
        self._learn(limits, requests)

    def at(self, now: float) -> tuple[Window, ...]:
        """All known windows, each as it reads at `now`."""
        self._read_aside()
        return tuple(window.at(now) for window in self._known.values())

    def forecasts(self, now: float, *, requests: int, in_flight: int) -> dict[str, Forecast]:
        """By name, of the windows that fill and begin anew."""
        return {
            window.name: forecast(window, self._series.get(window.name), now, requests, in_flight)
            for window in self.at(now)
            if window.seconds is not None
        }

    def quotas(self, model: str | None, now: float, *, requests: int, in_flight: int) -> list[Quota]:
        """What a policy compares: the windows that count requests for `model`."""
        found = []
        for window in self.at(now):
            if window.seconds is None or (window.models is not None and window.models not in (model or "")):
                continue
            expected = forecast(window, self._series.get(window.name), now, requests, in_flight)
            left = window.seconds if window.resets_at is None else window.resets_at - now
            found.append(Quota(expected.utilization or 0.0, left, window.seconds, expected.per_request))
        return found

    def to_state(self, now: float) -> list[dict[str, Any]]:
        """JSON-able; `from_state` reads it."""
        return [asdict(window) for window in self.at(now)]

    def from_state(self, state: Any) -> None:
        """Take over what an earlier life knew. What cannot be read is passed over."""
        for entry in state if isinstance(state, list) else ():
            with suppress(msgspec.ValidationError):
                window = msgspec.convert(entry, Window)
                self._known.setdefault(window.name, window)

    def clear(self) -> None:
        self._known.clear()
        self._series.clear()
        self._aside = None

    def _read_aside(self) -> None:
        if self._aside is not None:
            headers, seen_at, requests = self._aside
            self._aside = None
            self._learn(self._provider.read_limits(headers, seen_at), requests)

    def _learn(self, limits: Limits, requests: int) -> None:
        for window in limits.windows:
            self._known[window.name] = window
            if window.utilization is not None and window.seconds is not None:
                self._series.setdefault(window.name, Series()).add(window, requests)
