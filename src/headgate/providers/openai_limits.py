"""The limit headers of OpenAI and of those that answer as it does.

Source: OpenAI API documentation, "Rate limits", "Rate limits in headers":
`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, where a reset is the time until the limit is whole
again, as `1s`, `6m0s` or `250ms`; `retry-after` and `retry-after-ms` as its libraries read them. No account
is served over this yet: there is one provider so far (`anthropic.py`).
"""

import re

from headgate.providers.header_values import LONGEST_REST_SECONDS, count, number, retry_after, spent
from headgate.providers.limits import Limits, Window
from headgate.wire.headers import Headers

_PREFIX = "x-ratelimit-"
_FAMILY = re.compile(r"(limit|remaining|reset)-([a-z0-9-]{1,64})", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def read_limits(headers: Headers, now: float) -> Limits:
    """Everything the limit headers of one answer say. A value that cannot be read is left out alone."""
    families: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        if name.startswith(_PREFIX) and (parts := _FAMILY.fullmatch(name, len(_PREFIX))):
            families.setdefault(parts[2], {})[parts[1]] = value
        elif name in ("retry-after", "retry-after-ms"):
            others[name] = value
    windows = [_window(name, fields, now) for name, fields in families.items()]
    wait = _wait(others, now)
    empty = [one.resets_at for one in windows if one.remaining == 0 and one.resets_at is not None]
    until = now + wait if wait is not None else max(empty, default=None)
    return Limits(
        windows=tuple(windows),
        reset_at=until if until is not None and until > now else None,
        retry_after=wait,
    )


def duration(text: str | None) -> float | None:
    """Seconds from `6m0s`, `1s`, `250ms`, `1d2h`; a number alone is seconds. None when it cannot be read."""
    if not text:
        return None
    if (alone := number(text)) is not None:
        return alone if alone < LONGEST_REST_SECONDS else None
    parts = list(_DURATION.finditer(text))
    if "".join(part[0] for part in parts) != text:
        return None
    seconds = sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
    return seconds if seconds < LONGEST_REST_SECONDS else None


def _window(name: str, fields: dict[str, str], now: float) -> Window:
    limit, remaining = count(fields.get("limit")), count(fields.get("remaining"))
    wait = duration(fields.get("reset"))
    return Window(
        name,
        now,
        utilization=spent(remaining, limit),
        remaining=remaining,
        limit=limit,
        resets_at=None if wait is None else now + wait,
    )


def _wait(fields: dict[str, str], now: float) -> float | None:
    """The milliseconds are the exact ones."""
    milliseconds = number(fields.get("retry-after-ms"))
    if milliseconds is not None and milliseconds / 1000 < LONGEST_REST_SECONDS:
        return milliseconds / 1000
    return retry_after(fields.get("retry-after"), now)
