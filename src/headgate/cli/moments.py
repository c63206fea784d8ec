"""`--since` and the like: a moment as people write it, in milliseconds as the API takes it."""

import re
from datetime import UTC, datetime, timedelta

from headgate.cli.terminal import CommandFailed

EVER = "all"
SINCE_HELP = "15m, 24h, 7d, a date, an ISO time, or all."
"""What `--since` takes, for its help."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)


def read_since(text: str, *, doing: str, option: str = "--since") -> int | None:
    """Unix milliseconds; None for `all`. A time without a zone is this machine's."""
    word = text.strip()
    if word.lower() == EVER:
        return None
    try:
        return _milliseconds(word)
    except (ValueError, OverflowError, OSError) as error:
        raise CommandFailed(
            doing,
            f"{option}: {text!r} is no time",
            "Valid are a span until now (90s, 15m, 24h, 7d, 2w), a date (2026-01-31), a time "
            "(2026-01-31T08:00, with Z or +01:00 where it is not this machine's), and all.",
            exit_code=2,
        ) from error


def _milliseconds(word: str) -> int:
    if span := _SPAN.fullmatch(word.lower()):
        moment = datetime.now(UTC) - _span(span)
    else:
        moment = datetime.fromisoformat(word)
    return max(0, round(moment.timestamp() * 1000))


def read_until(text: str, *, doing: str, option: str) -> int:
    """Unix milliseconds of a moment to come: after a span from now, or as it is written."""
    word = text.strip()
    try:
        if span := _SPAN.fullmatch(word.lower()):
            moment = datetime.now(UTC) + _span(span)
        else:
            moment = datetime.fromisoformat(word)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError, OSError) as error:
        raise CommandFailed(
            doing,
            f"{option}: {text!r} is no time",
            "Valid are a span from now (12h, 30d, 2w), a date (2026-12-31) and a time (2026-12-31T08:00, Z "
            "or +01:00 behind it where it is not this machine's).",
            exit_code=2,
        ) from error


def read_span(text: str, *, doing: str, option: str) -> int:
    """Whole seconds."""
    if (span := _SPAN.fullmatch(text.strip().lower())) is None:
        raise CommandFailed(doing, f"{option}: {text!r} is no span", "Such as 30m, 24h or 7d.", exit_code=2)
    return round(_span(span).total_seconds())


def _span(found: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[found[2]]: float(found[1])})
