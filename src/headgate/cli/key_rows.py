"""Client keys as rows: what a key may use, with what it has used, in words."""

from collections.abc import Iterator
from typing import Any

from headgate.cli.terminal import clock_time, state
from headgate.pricing.amounts import usd

COLUMNS = (
    *("name", "=status", "=expires_at|expires", "?limits", "beginning|begins", "models", "accounts"),
    *("owner", "?domain", "?origin", "?note"),
)
"""What says least comes last: whether a key opens, and until when, is seen in the narrowest terminal."""


def row(key: dict[str, Any]) -> tuple[Any, ...]:
    return (
        key["name"],
        state(key["status"]),
        clock_time(None if key["expires_at"] is None else key["expires_at"] / 1000),
        ", ".join(_limits(key["limits_in_force"], key["used"])) or "-",
        key["beginning"] or "-",
        ", ".join(key["models"]) or "all",
        ", ".join(key["accounts"]) or "all",
        key["owner"] or "-",
        key["domain"] or ", ".join(key["hosts"]) or "-",
        "-" if key["origin"] == "owner" else key["origin"],
        key["note"] or "-",
    )


def _limits(limits: dict[str, Any], used: dict[str, Any]) -> Iterator[str]:
    """Those in force, budgets first: they are what a key runs out of for long."""
    for name, of, words in (
        ("daily_usd", "day_usd", "a day"),
        ("weekly_usd", "week_usd", "a week"),
        ("total_usd", "total_usd", "in all"),
    ):
        if (most := limits[name]) is not None:
            yield f"{usd(used[of])} of {usd(most)} {words}"
    if (most := limits["window_tokens"]) is not None:
        yield f"{used['window_tokens']:,} of {most:,} tokens in 5 h"
    if (most := limits["concurrency"]) is not None:
        yield f"{used['running']:,} of {most:,} at once"
    for name in ("rpm", "tpm"):
        if (most := limits[name]) is not None:
            yield f"{most:,} {name}"
