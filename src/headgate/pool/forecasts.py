"""How full a quota window is by now, and when it will be full: from what answers said of it.

Pure, and only computed when somebody looks. A forecast has three rates: that of the latest part of the window
decides, the fastest and the slowest of the three parts looked at say how sure it is.
"""

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter

from headgate.providers.limits import Source, Window

_SAMPLES = 48
"""Statements kept of one window: enough to see its last twentieth."""

_PARTS = (1 / 4, 1 / 16)
"""Of the window's length, looked back on for the present rate, beside the whole window."""

_SHORTEST_SECONDS = 60.0
"""Of less than this no rate is made: one large request would be a flood."""

_CLOCK_SLACK_SECONDS = 60.0
"""A reset that moves by less is the same one, stated a little differently."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    utilization: float
    requests: int
    """The account's count of requests then."""


class Series:
    """What was said of one window since it began, thinned out evenly."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._resets_at: float | None = None

    def add(self, window: Window, requests: int) -> None:
        assert window.utilization is not None and window.seconds is not None
        samples = self.samples
        if self._has_begun_anew(window):
            samples.clear()
        self._resets_at = window.resets_at
        sample = Sample(window.seen_at, window.utilization, requests)
        if len(samples) > 1 and sample.at - samples[-2].at < window.seconds / _SAMPLES:
            samples[-1] = sample
        else:
            samples.append(sample)
            del samples[: -2 * _SAMPLES]

    def _has_begun_anew(self, window: Window) -> bool:
        if not self.samples:
            return False
        last, resets_at = self.samples[-1], self._resets_at
        has_moved = (
            resets_at is not None
            and window.resets_at is not None
            and abs(window.resets_at - resets_at) > _CLOCK_SLACK_SECONDS
        )
        assert window.utilization is not None
        return has_moved or window.utilization < last.utilization or window.seen_at < last.at


@dataclass(frozen=True, slots=True)
class Forecast:
    """Times are Unix seconds; None: not before the reset, or nothing is known."""

    utilization: float | None
    """0 to 1, what was sent since the last statement included."""
    source: Source
    per_request: float | None
    """Part of the window that one request spends, by experience."""
    full_at: float | None = None
    full_at_earliest: float | None = None
    full_at_latest: float | None = None
    at_reset: float | None = None
    """Expected utilisation when it resets."""


def forecast(window: Window, series: Series | None, now: float, requests: int, in_flight: int) -> Forecast:
    """`requests` and `in_flight`: the account's counts now. The window has a length."""
    samples = series.samples if series is not None else []
    if window.utilization is None:
        return Forecast(None, window.source, None)
    per_request = _per_request(samples)
    unsaid = max(in_flight, requests - samples[-1].requests) if samples else in_flight
    used, source = window.utilization, window.source
    if per_request is not None and unsaid > 0:
        used, source = min(used + unsaid * per_request, max(used, 1.0)), Source.ESTIMATE
    if window.resets_at is None:
        return Forecast(used, source, per_request)
    rates = _rates(window, samples, used, now)
    if not rates:
        return Forecast(used, source, per_request)
    until = window.resets_at
    return Forecast(
        used,
        source,
        per_request,
        full_at=_full_at(used, rates[-1], now, until),
        full_at_earliest=_full_at(used, max(rates), now, until),
        full_at_latest=_full_at(used, min(rates), now, until),
        at_reset=min(used + rates[-1] * (until - now), 1.0),
    )


def _per_request(samples: list[Sample]) -> float | None:
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    count = last.requests - first.requests
    return (last.utilization - first.utilization) / count if count > 0 else None


def _rates(window: Window, samples: list[Sample], used: float, now: float) -> list[float]:
    """Per second: over the whole window, then over its latest parts."""
    assert window.seconds is not None and window.resets_at is not None
    rates = []
    since_begin = now - (window.resets_at - window.seconds)
    if since_begin >= _SHORTEST_SECONDS:
        rates.append(used / since_begin)
    for part in _PARTS:
        at = bisect_right(samples, now - part * window.seconds, key=_AT) - 1
        sample = samples[max(at, 0)] if samples else None
        if sample is not None and now - sample.at >= _SHORTEST_SECONDS:
            rates.append(max(used - sample.utilization, 0.0) / (now - sample.at))
    return rates


_AT = attrgetter("at")


def _full_at(used: float, rate: float, now: float, until: float) -> float | None:
    if used >= 1:
        return now
    full_at = now + (1 - used) / rate if rate > 0 else until
    return full_at if full_at < until else None
