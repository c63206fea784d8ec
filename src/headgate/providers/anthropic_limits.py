"""Anthropic's limit headers.

Sources: Claude API documentation, "Rate limits", "Response headers" (the dated families and
`retry-after`); the unified headers of subscription accounts are not documented and are read as
seen in answers: `anthropic-ratelimit-unified-{status,reset,representative-claim,overage-status}`
and `…-unified-WINDOW-{status,reset,utilization}` with windows such as `5h`, `7d`, `7d_opus`.
"""

import re

from headgate.providers.header_values import count, fraction, moment, retry_after, spent, truth, word
from headgate.providers.limits import Limits, Window
from headgate.wire.headers import Headers

STATUS_HEADER = b"anthropic-ratelimit-unified-status"

_PREFIX = "anthropic-ratelimit-"
_UNIFIED = "unified-"
_DATED = ("requests", "tokens", "input-tokens", "output-tokens")
_HARD = frozenset({"rejected", "rate_limited", "blocked", "queueing_hard", "payment_required"})
_SOFT = frozenset({"allowed_warning", "queueing_soft"})
_NOT_WINDOWS = frozenset({"overage", "fallback"})
_SHARED_CLAIMS = frozenset({"five_hour", "seven_day", "overage"})
_LENGTH = re.compile(r"(\d{1,3})([mhdw])(?:_|$)", re.ASCII)
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
Fields = dict[str, str]


def read_limits(headers: Headers, now: float) -> Limits:
    """Everything the limit headers of one answer say. A value that cannot be read is left out alone."""
    fields = _limit_fields(headers)
    if not fields:
        return Limits()
    unified = {name[len(_UNIFIED) :]: value for name, value in fields.items() if name.startswith(_UNIFIED)}
    status = word(unified.get("status"))
    windows = _unified_windows(unified, now)
    wait = retry_after(fields.get("retry-after"), now)
    is_hard = _is_hard(status, unified, windows)
    dated = _dated_windows(fields, now)
    return Limits(
        windows=(*windows, *dated),
        status=status,
        is_hard=is_hard,
        is_soft=status in _SOFT,
        needs_payment=is_hard and status == "payment_required",
        is_model_limit=_is_model_limit(unified, windows),
        reset_at=_reset(unified, windows, dated, wait, now),
        retry_after=wait,
        should_retry=truth(fields.get("x-should-retry")),
    )


def _limit_fields(headers: Headers) -> Fields:
    """The headers meant here, without their common prefix; the last of a repeated name counts."""
    found: Fields = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1")
        if name.startswith(_PREFIX):
            found[name[len(_PREFIX) :]] = raw_value.decode("latin-1").strip()
        elif name in ("retry-after", "x-should-retry"):
            found[name] = raw_value.decode("latin-1").strip()
    return found


# ---- windows ---------------------------------------------------------------------------------------


def _unified_windows(unified: Fields, now: float) -> list[Window]:
    """Any name between `unified-` and the last word is a window, also one nobody has seen yet."""
    seen: dict[str, Fields] = {}
    for name, value in unified.items():
        window, dash, field = name.rpartition("-")
        if dash and window not in _NOT_WINDOWS and field in ("status", "reset", "utilization"):
            seen.setdefault(window, {})[field] = value
    return [
        Window(
            name=window,
            seen_at=now,
            utilization=fraction(fields.get("utilization")),
            resets_at=moment(fields.get("reset"), now),
            status=word(fields.get("status")),
            seconds=_length(window),
            models=window.partition("_")[2] or None,
        )
        for window, fields in seen.items()
    ]


def _length(window: str) -> float | None:
    """Seconds, by its name: `5h`, `7d`, `7d_opus`."""
    length = _LENGTH.match(window)
    return None if length is None else float(length[1]) * _UNITS[length[2]]


def _dated_windows(fields: Fields, now: float) -> list[Window]:
    windows = []
    for name in _DATED:
        limit, remaining = count(fields.get(f"{name}-limit")), count(fields.get(f"{name}-remaining"))
        resets_at = moment(fields.get(f"{name}-reset"), now)
        if (limit, remaining, resets_at) != (None, None, None):
            used = spent(remaining, limit)
            windows.append(
                Window(name, now, utilization=used, remaining=remaining, limit=limit, resets_at=resets_at)
            )
    return windows


# ---- what follows from them ------------------------------------------------------------------------


def _is_hard(status: str | None, unified: Fields, windows: list[Window]) -> bool:
    """A plan that is used up still serves while paid overage is allowed: `rejected` is then no refusal."""
    overage = word(unified.get("overage-status"))
    if overage == "allowed" or overage in _SOFT:
        return False
    if status is None:
        return any(window.status in _HARD for window in windows)
    return status in _HARD


def _is_model_limit(unified: Fields, windows: list[Window]) -> bool:
    """Windows of a group of models carry a suffix (`7d_opus`), their claims too (`seven_day_opus`)."""
    used_up = [window.name for window in windows if window.status in _HARD]
    if used_up:
        return all("_" in name for name in used_up)
    claim = word(unified.get("representative-claim"))
    is_hard = word(unified.get("status")) in _HARD
    return is_hard and claim is not None and claim not in _SHARED_CLAIMS and claim.count("_") > 1


def _reset(
    unified: Fields, windows: list[Window], dated: list[Window], seconds: float | None, now: float
) -> float | None:
    """The unified reset, else that of the used-up windows, else `retry-after`, else the latest of the
    dated families that have nothing left.

    A unified status that allows means: this refusal is not about the plan, so its reset, which may be
    days away, does not count.
    """
    status = word(unified.get("status"))
    stated = [moment(unified.get("reset"), now)] if status is None or status in _HARD else []
    used_up = [window.resets_at for window in windows if window.status in _HARD]
    empty = [window.resets_at for window in dated if window.remaining == 0]
    wait = [now + seconds] if seconds is not None else []
    for choice in (stated, used_up, wait, empty):
        known = [until for until in choice if until is not None and until > now]
        if known:
            return max(known)
    return None
