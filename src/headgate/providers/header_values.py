"""The values of limit headers, whoever sends them. Each is None when it cannot be read."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_REST_SECONDS = 400 * 86_400.0
"""A monthly spend limit is the longest known; beyond a year it is another unit, or garbage."""


def word(text: str | None) -> str | None:
    return text.lower() if text else None


def truth(text: str | None) -> bool | None:
    return {"true": True, "false": False}.get(text.lower()) if text else None


def number(text: str | None) -> float | None:
    """Finite and not negative."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def count(text: str | None) -> int | None:
    value = number(text)
    return None if value is None else int(value)


def fraction(text: str | None) -> float | None:
    value = number(text)
    return None if value is None else min(value, 1.0)


def moment(text: str | None, now: float) -> float | None:
    """Unix seconds from Unix seconds or an RFC 3339 date."""
    if not text:
        return None
    value = number(text)
    if value is None:
        try:
            value = _unix(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return None
    return value if 0 < value < now + LONGEST_REST_SECONDS else None


def retry_after(text: str | None, now: float) -> float | None:
    """Seconds, decimals too, or an HTTP date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    seconds = number(text)
    if seconds is None:
        try:
            seconds = max(_unix(parsedate_to_datetime(text)) - now, 0.0)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return seconds if seconds < LONGEST_REST_SECONDS else None


def spent(remaining: int | None, limit: int | None) -> float | None:
    """Utilisation, 0 to 1."""
    return 1 - min(remaining / limit, 1.0) if limit and remaining is not None else None


def _unix(date: datetime) -> float:
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
