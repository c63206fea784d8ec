"""An account's quota windows, rests and conversations in words, for `account list` and `account show`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.cli.terminal import clock_time

Window = Mapping[str, Any]


def fullest(windows: Sequence[Window]) -> str:
    """`5h 41%`: the window with the least left, by what is expected now. `-`: none is known."""
    known = [(used, one["name"]) for one in windows if (used := _used(one)) is not None]
    if not known:
        return "-"
    used, name = max(known)
    return f"{name} {used:.0%}"


def in_words(field: str, value: Any) -> str | None:
    """A field of an account; None: it is none of these."""
    match field:
        case "windows":
            stated = [one for one in value if (one["utilization"], one["resets_at"]) != (None, None)]
            return "\n".join(_window(one) for one in stated) or "-"
        case "rests":
            return "\n".join(_rest(one) for one in value) or "-"
        case "sessions":
            return _sessions(value)
    return None


def _used(window: Window) -> float | None:
    forecast = window["forecast"]
    used: float | None = forecast["utilization"] if forecast else window["utilization"]
    return used


def _window(window: Window) -> str:
    used = _used(window)
    share = "?" if used is None else f"{used:.0%}"
    words = f"{window['name']}: {share} used, resets {clock_time(window['resets_at'])}"
    forecast = window["forecast"]
    if not forecast or forecast["at_reset"] is None:
        return words
    if forecast["full_at"] is None:
        expected = f"about {forecast['at_reset']:.0%} used by then"
        early = forecast["full_at_earliest"]
        return f"{words}, {expected}" + (f", full at {clock_time(early)} at the earliest" if early else "")
    if used is not None and used >= 1:
        return words  # full already: a time for that would be the one of looking
    first, last = forecast["full_at_earliest"], forecast["full_at_latest"]
    later = f"to {clock_time(last)}" if last else "or later"
    return f"{words}, full at about {clock_time(forecast['full_at'])} ({clock_time(first)} {later})"


def _rest(rest: Mapping[str, Any]) -> str:
    about = f" {rest['model']}" if rest["model"] else ""
    until = f" until {clock_time(rest['until'])}" if rest["until"] is not None else ""
    by = " by our own reckoning" if rest["source"] == "estimate" and until else ""
    return f"{rest['kind'].replace('_', ' ')}{about} since {clock_time(rest['since'])}{until}{by}"


def _sessions(sessions: Mapping[str, Any]) -> str:
    if not sessions["count"]:
        return "none"
    since, until = clock_time(sessions["since"]), clock_time(sessions["until"])
    return f"{sessions['count']}, the oldest since {since}, the last until {until}"
