"""One reason not to use an account for a while: its words, its weight, its stored form."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headgate.pool.faults import LIMITS, PASSING, PROBED, Fault
from headgate.providers.limits import Source

_CLOCK_SLACK_SECONDS = 60.0
"""Clocks are set right by small steps all the time; those change nothing."""

_FAULTS = {fault.value: fault for fault in Fault}
_SOURCES = {source.value: source for source in Source}


@dataclass(slots=True)
class Rest:
    fault: Fault
    model: str | None
    """None: the whole account."""
    until: float
    """Unix seconds; infinite: until somebody acts."""
    level: int
    """Rung of the ladder, 0 for the first failure."""
    since: float
    reason: str
    source: Source = Source.ESTIMATE
    """Who named the end."""
    is_probed: bool = False
    """A request is finding out whether it is over. Not stored: it ends with the request."""

    @property
    def is_limit(self) -> bool:
        return self.fault in LIMITS

    def is_open(self, now: float) -> bool:
        """One that begins in the future was written by a clock that has been set back since: its end says
        nothing, and the provider is asked again. One without end needs no clock."""
        is_sane = self.since <= now + _CLOCK_SLACK_SECONDS or math.isinf(self.until)
        return self.until > now and is_sane

    def concerns(self, model: str | None, now: float) -> bool:
        """Whether it keeps a request for `model` away."""
        return (self.model is None or self.model == model) and (
            self.is_open(now) or (self.is_probed and self.awaits_probe(now))
        )

    def awaits_probe(self, now: float) -> bool:
        """It has ended by our own reckoning alone."""
        return self.source is Source.ESTIMATE and self.fault in PROBED and not self.is_open(now)

    def is_refuted_by(self, model: str | None, now: float) -> bool:
        """Whether a good answer for `model`, arriving now, ends this rest (rules in `health.py`)."""
        if self.fault in PASSING:
            return True
        return (self.model is None or self.model == model) and not self.is_open(now)

    def weight(self) -> tuple[bool, float]:
        """A ban before a passing trouble, then the longest."""
        return self.fault not in PASSING, self.until

    def in_words(self) -> str:
        about = f": {self.reason}" if self.reason else ""
        until = "" if math.isinf(self.until) else f" until {utc(self.until)}"
        match self.fault:
            case Fault.LIMITED:
                return f"rate limited{until}"
            case Fault.MODEL_LIMITED:
                return f"model {self.model} rate limited{until}"
            case Fault.MODEL_MISSING:
                return f"model {self.model} not served, asked again after {utc(self.until)}"
            case Fault.REFUSED:
                return f"needs re-auth{about or ': the provider refused its credential'}"
            case Fault.TOKEN_ENDED:
                return f"token expired{about}; asked for again after {utc(self.until)}"
            case Fault.BILLING:
                return f"billing{about or ': the provider asks for payment'}; rests{until}"
            case Fault.FORBIDDEN:
                return f"forbidden repeatedly{about}; rests{until}"
            case _:
                return f"{self.fault.value.replace('_', ' ')}{about}; rests{until}"


def utc(moment: float) -> str:
    """Unix seconds as `2026-01-31T12:00:00Z`."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{moment:.0f}"


# ---- stored form -----------------------------------------------------------------------------------


def write_state(rests: Iterable[Rest], forbidden_at: list[float], served: set[str]) -> dict[str, Any]:
    """JSON-able: an infinite rest is written as `until: null`, since JSON has no infinity."""
    return {
        "version": 1,
        "rests": [
            {
                "fault": rest.fault.value,
                "model": rest.model,
                "until": None if math.isinf(rest.until) else rest.until,
                "level": rest.level,
                "since": rest.since,
                "reason": rest.reason,
                "source": rest.source.value,
            }
            for rest in rests
        ],
        "forbidden_at": list(forbidden_at),
        "served": sorted(served),
    }


def read_state(state: dict[str, Any]) -> tuple[list[Rest], list[float], set[str]]:
    """The inverse. An entry that does not read is left out: an older or newer version wrote it, and
    the next answer teaches it again."""
    rests = [rest for entry in _list(state, "rests") if (rest := _read_rest(entry)) is not None]
    forbidden_at = [float(moment) for moment in _list(state, "forbidden_at") if _is_number(moment)]
    served = {model for model in _list(state, "served") if isinstance(model, str)}
    return rests, forbidden_at, served


def _read_rest(entry: object) -> Rest | None:
    if not isinstance(entry, dict):
        return None
    until, since, level = entry.get("until"), entry.get("since", 0.0), entry.get("level", 0)
    model, fault = entry.get("model"), _FAULTS.get(str(entry.get("fault")))
    is_readable = (
        (until is None or _is_number(until))
        and _is_number(since)
        and isinstance(level, int)
        and (model is None or isinstance(model, str))
    )
    if fault is None or not is_readable:
        return None
    return Rest(
        fault=fault,
        model=model,
        until=math.inf if until is None else float(until),
        level=max(level, 0),
        since=float(since),
        reason=str(entry.get("reason", "")),
        source=_SOURCES.get(str(entry.get("source")), Source.ESTIMATE),
    )


def _list(state: dict[str, Any], key: str) -> list[Any]:
    value = state.get(key)
    return value if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
