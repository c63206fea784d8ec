"""Rows of the roll-ups added up, and what is reckoned from them: rates, money, percentiles."""

from collections.abc import Callable, Iterable
from typing import Any

from headgate.pricing.rates import NANO, PICO_PER_NANO, Price
from headgate.storage.histograms import percentile
from headgate.storage.rollup_tables import (
    BUCKETS,
    DURATIONS,
    FIRST_BYTES,
    SPEED_BOUNDS,
    SPEEDS,
    SUMS,
    TIME_BOUNDS_US,
    TIME_SUMS,
)

Row = dict[str, Any]

_COUNTED = (*SUMS, "errors")
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_TIMED = (*TIME_SUMS, *BUCKETS)


def add_up(rows: Iterable[Row]) -> Row:
    """Of rows of `sums_by`."""
    return _added(rows, _COUNTED)


def add_up_times(rows: Iterable[Row]) -> Row:
    """Of rows of `times_by`."""
    return _added(rows, _TIMED)


def add_up_speed(rows: Iterable[Row]) -> Row:
    """The same without the histograms."""
    return _added(rows, TIME_SUMS)


def _added(rows: Iterable[Row], names: tuple[str, ...]) -> Row:
    sums = dict.fromkeys(names, 0)
    for row in rows:
        for name in names:
            sums[name] += row[name]
    return sums


def grouped(rows: Iterable[Row], name: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return found


# ---- what is shown -------------------------------------------------------------------------------------


def tokens(sums: Row) -> Row:
    return {**{name: sums[name] for name in _TOKENS}, "total_tokens": sum(sums[name] for name in _TOKENS)}


def counts(sums: Row) -> Row:
    """The fields of `Counts`."""
    requests, errors = sums["requests"], sums["errors"]
    return {
        **tokens(sums),
        "requests": requests,
        "errors": errors,
        "cost_usd": cost(sums),
        "unpriced_requests": sums["unpriced"],
        "success_rate": ratio(requests - errors, requests),
        "error_rate": ratio(errors, requests),
        "cache_hit_rate": hit_rate(sums),
        "duration_avg_ms": mean_ms(sums["duration_us"], requests),
    }


def cost(sums: Row) -> float | None:
    """USD. Where nothing that was used has a price, it is not known."""
    if sums["unpriced"] and not sums["nano_usd"]:
        return None
    nano: int = sums["nano_usd"]
    return nano / NANO


def hit_rate(sums: Row) -> float | None:
    read = sums["cache_read_tokens"]
    return ratio(read, read + sums["input_tokens"] + sums["cache_write_tokens"])


def times(sums: Row) -> Row:
    """The fields of `Times`."""
    found: Row = {}
    for name, columns in (("duration", DURATIONS), ("first_byte", FIRST_BYTES)):
        total: int = sums[f"{name}_us"]
        in_buckets = [sums[one] for one in columns]
        for percent in (50, 95, 99):
            value = percentile(in_buckets, TIME_BOUNDS_US, percent, total)
            found[f"{name}_p{percent}_ms"] = None if value is None else round(value / 1000, 1)
    in_buckets = [sums[one] for one in SPEEDS]
    for percent in (50, 95):
        value = percentile(in_buckets, SPEED_BOUNDS, percent)
        found[f"tokens_per_second_p{percent}"] = None if value is None else round(value / 1000, 1)
    found["tokens_per_second"] = speed(sums)
    return found


def speed(sums: Row) -> float | None:
    spoken = sums["spoken_us"]
    return round(sums["spoken_tokens"] * 1_000_000 / spoken, 2) if spoken else None


def saved_nano(price: Price | None, sums: Row) -> int | None:
    """By today's price; None: the model has none. A model's long prompts are taken for short ones."""
    if price is None:
        return None
    rates = price.rates
    read, written = rates.input - rates.cache_read, rates.cache_write_5m - rates.input
    saved: int = sums["cache_read_tokens"] * read - sums["cache_write_tokens"] * written
    return saved // PICO_PER_NANO


def ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def mean_ms(microseconds: int, count: int) -> float | None:
    return round(microseconds / count / 1000, 1) if count else None
