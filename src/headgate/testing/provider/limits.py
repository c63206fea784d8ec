"""Limits that really count down, and the response headers that tell of them.

Sources: https://platform.claude.com/docs/en/api/rate-limits, "Response headers" (the dated families); the
`anthropic-ratelimit-unified-*` family of subscriptions is not documented and follows what readers report.
"""

import math
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from headgate.testing.provider.answer import Headers, ProviderError
from headgate.testing.provider.script import Limits, Rule, Subscription

_PREFIX = b"anthropic-ratelimit-"
_UNIFIED = _PREFIX + b"unified-"
_WARNING_FROM = 0.9
_WINDOWS: dict[Literal["5h", "7d"], tuple[bytes, int]] = {
    "5h": (b"five_hour", 5 * 3600),
    "7d": (b"seven_day", 7 * 24 * 3600),
}


@lru_cache(maxsize=4096)
def rfc3339(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


class _Bucket:
    """Holds up to `limit`, refills evenly over `window_seconds`."""

    def __init__(self, limit: int, window_seconds: float, now: float) -> None:
        self.limit = limit
        self._rate = limit / window_seconds
        self._level, self._at = float(limit), now

    def level(self, now: float) -> float:
        self._level = min(float(self.limit), self._level + max(0.0, now - self._at) * self._rate)
        self._at = now
        return self._level

    def take(self, amount: int, now: float) -> None:
        self._level = self.level(now) - amount

    def full_at(self, now: float) -> int:
        return math.ceil(now + (self.limit - self.level(now)) / self._rate)

    def seconds_until(self, amount: float, now: float) -> int:
        return max(1, math.ceil((amount - self.level(now)) / self._rate))


class DatedLimits:
    """Requests, input and output tokens of an API key."""

    def __init__(self, limits: Limits, now: float) -> None:
        seconds = limits.window_seconds
        self._requests = _Bucket(limits.requests, seconds, now)
        self._input = _Bucket(limits.input_tokens, seconds, now)
        self._output = _Bucket(limits.output_tokens, seconds, now)

    def admit(self, now: float) -> None:
        """Count one request, or refuse it with 429 and `retry-after`."""
        for bucket, what in (
            (self._requests, "requests"),
            (self._input, "input tokens"),
            (self._output, "output tokens"),
        ):
            if bucket.level(now) < 1:
                wait = bucket.seconds_until(1, now)
                limit = f"{bucket.limit:,} {what} per minute"
                message = f"This request would exceed your organization's rate limit of {limit}."
                raise ProviderError(429, message, headers=[(b"retry-after", b"%d" % wait)])
        self._requests.take(1, now)

    def spend(self, input_tokens: int, output_tokens: int, now: float) -> None:
        self._input.take(input_tokens, now)
        self._output.take(output_tokens, now)

    def headers(self, now: float) -> Headers:
        lines = _family(b"requests", self._requests, now, rounding=1)
        lines += _family(b"input-tokens", self._input, now, rounding=1000)
        lines += _family(b"output-tokens", self._output, now, rounding=1000)
        total = self._input.limit + self._output.limit
        remaining = _rounded(self._input.level(now) + self._output.level(now), 1000)
        latest = max(self._input.full_at(now), self._output.full_at(now))
        return lines + _dated_lines(b"tokens", total, remaining, latest)


def _family(name: bytes, bucket: _Bucket, now: float, *, rounding: int) -> Headers:
    return _dated_lines(name, bucket.limit, _rounded(bucket.level(now), rounding), bucket.full_at(now))


def _rounded(value: float, to: int) -> int:
    """The documentation rounds remaining tokens to the nearest thousand; small buckets keep their figure."""
    return max(0, int(value)) if value < to else int(value / to + 0.5) * to


def _dated_lines(name: bytes, limit: int, remaining: int, reset: int) -> Headers:
    stem = _PREFIX + name
    return [
        (stem + b"-limit", b"%d" % limit),
        (stem + b"-remaining", b"%d" % min(remaining, limit)),
        (stem + b"-reset", rfc3339(reset)),
    ]


class UnifiedLimits:
    """The 5-hour and 7-day windows of a subscription: a window opens with its first request."""

    def __init__(self, subscription: Subscription) -> None:
        self._limits: dict[Literal["5h", "7d"], int] = {
            "5h": subscription.five_hour_tokens,
            "7d": subscription.seven_day_tokens,
        }
        self._used = dict.fromkeys(self._limits, 0)
        self._resets: dict[Literal["5h", "7d"], int] = dict.fromkeys(self._limits, 0)

    def admit(self, now: float) -> None:
        self._roll(now)
        spent = [name for name, limit in self._limits.items() if self._used[name] >= limit]
        if spent:
            until = max(self._resets[name] for name in spent)
            wait = b"%d" % max(1, math.ceil(until - now))
            raise ProviderError(429, headers=[(b"retry-after", wait), *self.headers(now)])

    def spend(self, input_tokens: int, output_tokens: int, now: float) -> None:
        self._roll(now)
        for name in self._used:
            self._used[name] += input_tokens + output_tokens

    def _roll(self, now: float) -> None:
        for name, (_, seconds) in _WINDOWS.items():
            if now >= self._resets[name]:
                self._used[name] = 0
                self._resets[name] = int(now) + seconds

    def headers(self, now: float) -> Headers:
        self._roll(now)
        shares = {name: self._used[name] / limit for name, limit in self._limits.items()}
        fullest = max(shares, key=lambda name: (shares[name] >= 1, shares[name]))
        return unified_headers(shares, self._resets, claim=_WINDOWS[fullest][0], speaking=fullest)


def unified_headers(
    shares: dict[Literal["5h", "7d"], float],
    resets: dict[Literal["5h", "7d"], int],
    *,
    claim: bytes,
    speaking: Literal["5h", "7d"],
) -> Headers:
    lines: Headers = []
    for name, share in shares.items():
        stem = _UNIFIED + name.encode()
        lines += [
            (stem + b"-status", _status(share)),
            (stem + b"-reset", b"%d" % resets[name]),
            (stem + b"-utilization", b"%.4g" % share),
        ]
    return [
        (_UNIFIED + b"status", _status(shares[speaking])),
        (_UNIFIED + b"reset", b"%d" % resets[speaking]),
        (_UNIFIED + b"representative-claim", claim),
        *lines,
        (_UNIFIED + b"fallback-percentage", b"0.5"),
        (_UNIFIED + b"overage-status", b"rejected"),
        (_UNIFIED + b"overage-disabled-reason", b"org_level_disabled"),
    ]


def _status(share: float) -> bytes:
    if share >= 1:
        return b"rejected"
    return b"allowed_warning" if share >= _WARNING_FROM else b"allowed"


def scripted_refusal(rule: Rule, model: str, now: float) -> ProviderError:
    """A 429 in one of the forms that clients meet."""
    until = math.ceil(now + rule.seconds)
    after = (b"retry-after", b"%d" % math.ceil(rule.seconds))
    match rule.limit:
        case "unified":
            headers = [after, *_rejected(rule.window, until, now)]
        case "model":
            headers = [after, *_rejected_model(model, until, now)]
        case "dated":
            headers = _dated_lines(b"requests", 50, 0, until)
            headers += _dated_lines(b"tokens", 40_000, 40_000, until)
        case "retry_after":
            headers = [after]
        case "retry_after_date":
            headers = [(b"retry-after", formatdate(until, usegmt=True).encode())]
        case "bare":
            headers = []
    return ProviderError(429, rule.message, headers=headers)


def _rejected(window: Literal["5h", "7d"], until: int, now: float) -> Headers:
    shares: dict[Literal["5h", "7d"], float] = {"5h": 0.41, "7d": 0.3}
    shares[window] = 1.0
    resets: dict[Literal["5h", "7d"], int] = {"5h": int(now) + 3600, "7d": int(now) + 86_400}
    resets[window] = until
    return unified_headers(shares, resets, claim=_WINDOWS[window][0], speaking=window)


def _rejected_model(model: str, until: int, now: float) -> Headers:
    """One model line is spent for the week while the account's own windows are open."""
    line = next((word for word in ("opus", "sonnet", "haiku") if word in model), "opus").encode()
    stem = _UNIFIED + b"7d_" + line
    shares: dict[Literal["5h", "7d"], float] = {"5h": 0.41, "7d": 0.3}
    resets: dict[Literal["5h", "7d"], int] = {"5h": int(now) + 3600, "7d": until}
    lines = unified_headers(shares, resets, claim=b"seven_day_" + line, speaking="7d")
    lines[0] = (_UNIFIED + b"status", b"rejected")
    return [
        *lines,
        (stem + b"-status", b"rejected"),
        (stem + b"-reset", b"%d" % until),
        (stem + b"-utilization", b"1"),
    ]
