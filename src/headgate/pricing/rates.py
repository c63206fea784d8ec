"""What one model costs, and what an answer of it does: whole numbers from the price list to the sum.

A rate is in pico-USD for one token: a price of $1 per million tokens is 1,000,000 of them, and the smallest
that any list knows is still a whole number. Sums are nano-USD, rounded once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from headgate.dialects.usage import Usage

NANO = 1_000_000_000
"""Of them are one USD."""
MOST_USD = 100_000
"""Of one request: more is a provider's nonsense, and sums of such are beyond 64 bits."""

MOST_RATE = 1_000_000.0
"""USD per million tokens; more is a unit misread."""
MOST_FACTOR = 1_000.0

PICO_PER_NANO = 1_000
_PICO_PER_RATE = 1_000_000
_THOUSANDTHS = 1_000

_CLAUDE_READ, _CLAUDE_WRITE_5M, _CLAUDE_WRITE_1H = 0.1, 1.25, 2.0
"""The prompt cache of Anthropic's models, in times of the price of input, where a list leaves it out."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-USD for one token."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int

    def times(self, numerator: "Rates", denominator: "Rates") -> "Rates":
        """Each rate by the quotient of its own: a tier's price of a long prompt."""
        return Rates(
            *(
                mine * theirs // of if of else mine
                for mine, theirs, of in zip(
                    _values(self), _values(numerator), _values(denominator), strict=True
                )
            )
        )


def _values(rates: Rates) -> tuple[int, ...]:
    return rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h


_KINDS = tuple(one.name for one in fields(Rates))
_PARTS = {
    "reasoning": ("reasoning_tokens", "output"),
    "audio_input": ("audio_input_tokens", "input"),
    "image_input": ("image_input_tokens", "input"),
    "audio_output": ("audio_output_tokens", "output"),
    "image_output": ("image_output_tokens", "output"),
}
"""Rates of tokens that are part of others: the field of `Usage`, and the rate that they have else."""
WEB_SEARCH = "web_search"
FACTORS = ("batch", "priority", "flex", "fast", "us")

NAMES = (*_KINDS, *_PARTS, WEB_SEARCH, *FACTORS)
"""What a price may say, flat: rates in USD per million tokens, `web_search` in USD each, and factors."""

_AS_LISTED = frozenset({None, "standard", "default", "auto", "on_demand", "global", "not_available"})
"""Words of a provider that change no price; others may have a factor or rates of their own."""


@dataclass(frozen=True, slots=True)
class Price:
    rates: Rates
    long: tuple[tuple[int, Rates], ...] = ()
    """From so many tokens of a prompt on, cached ones included: for the whole request; the highest first."""
    tiers: Mapping[str, Rates] | None = None
    factors: Mapping[str, int] | None = None
    """In thousandths, of all tokens."""
    parts: Mapping[str, int] | None = None
    """Rates of kinds of tokens within others, by the names of `_PARTS`."""
    web_search: int = 0
    """Nano-USD each."""

    def nano_of(self, usage: Usage) -> int:
        """What the provider did not say counts nothing."""
        fresh, output, read = usage.input_tokens or 0, usage.output_tokens or 0, usage.cache_read_tokens or 0
        write_5m, write_1h = usage.cache_write_5m_tokens or 0, usage.cache_write_1h_tokens or 0
        rates = self.rates
        if self.long:
            # Of several alike: each of them had such a prompt.
            rates = self._rates_of((fresh + read + write_5m + write_1h) // (usage.requests or 1))
        tier = usage.service_tier
        if tier is not None and self.tiers is not None and (of_tier := self.tiers.get(tier)) is not None:
            rates, tier = of_tier.times(rates, self.rates), None
        pico = (
            fresh * rates.input
            + output * rates.output
            + read * rates.cache_read
            + write_5m * rates.cache_write_5m
            + write_1h * rates.cache_write_1h
        )
        if self.parts is not None:
            pico += self._of_parts(usage, rates)
        if self.factors is not None:
            if tier not in _AS_LISTED:
                pico = pico * self.factors.get(tier or "", _THOUSANDTHS) // _THOUSANDTHS
            if usage.speed not in _AS_LISTED:
                pico = pico * self.factors.get(usage.speed or "", _THOUSANDTHS) // _THOUSANDTHS
            if usage.inference_geo not in _AS_LISTED:
                pico = pico * self.factors.get(usage.inference_geo or "", _THOUSANDTHS) // _THOUSANDTHS
        nano = (pico + PICO_PER_NANO // 2) // PICO_PER_NANO
        if self.web_search and usage.web_search_requests:
            nano += usage.web_search_requests * self.web_search
        return nano

    def _rates_of(self, prompt: int) -> Rates:
        return next((dearer for above, dearer in self.long if prompt > above), self.rates)

    def _of_parts(self, usage: Usage, rates: Rates) -> int:
        """What they cost more or less than the tokens that they are counted among."""
        assert self.parts is not None
        pico = 0
        for name, rate in self.parts.items():
            field, among = _PARTS[name]
            pico += (getattr(usage, field) or 0) * (rate - getattr(rates, among))
        return pico


def price_of(said: Mapping[str, Any], *, is_claude: bool = False) -> Price:
    """From a price list's entry: flat as in `NAMES`, with `long_context` (a list of the same with `above`)
    and `tiers` (a map of the same) beside them. Raises ValueError, in words, for what cannot be a price.

    Left out, a cache costs as input does, or with `is_claude` what Anthropic's usually does.
    """
    unknown = [name for name in said if name not in NAMES and name not in ("long_context", "tiers")]
    if unknown:
        raise ValueError(f"says {unknown[0]!r}; known are {', '.join(NAMES)}")
    rates = _rates(said, is_claude=is_claude)
    long = sorted(
        (
            (_tokens(one.get("above")), _rates({**said, **one}, is_claude=is_claude))
            for one in said.get("long_context", ())
        ),
        key=lambda one: -one[0],
    )
    tiers = {name: _tier(rates, one) for name, one in said.get("tiers", {}).items()}
    factors = {
        name: round(_number(said, name, MOST_FACTOR) * _THOUSANDTHS) for name in FACTORS if name in said
    }
    parts = {name: _rate(said, name) for name in _PARTS if name in said}
    searched = round(_number(said, WEB_SEARCH, MOST_RATE) * NANO) if WEB_SEARCH in said else 0
    return Price(rates, tuple(long), tiers or None, factors or None, parts or None, searched)


def _tier(base: Rates, said: Mapping[str, Any]) -> Rates:
    """What a tier leaves out costs as much more or less as its input does."""
    fresh = _rate(said, "input") if "input" in said else base.input
    scaled = base.times(Rates(*[fresh] * len(_KINDS)), Rates(*[base.input] * len(_KINDS)))
    return replace(scaled, **{kind: _rate(said, kind) for kind in _KINDS if kind in said})


def _rates(said: Mapping[str, Any], *, is_claude: bool) -> Rates:
    for name in ("input", "output"):
        if name not in said:
            raise ValueError(f"lacks {name!r}")
    read, write_5m, write_1h = (
        (_CLAUDE_READ, _CLAUDE_WRITE_5M, _CLAUDE_WRITE_1H) if is_claude else (1.0, 1.0, 1.0)
    )
    fresh = _rate(said, "input")
    short = _rate(said, "cache_write_5m") if "cache_write_5m" in said else round(fresh * write_5m)
    return Rates(
        fresh,
        _rate(said, "output"),
        _rate(said, "cache_read") if "cache_read" in said else round(fresh * read),
        short,
        _rate(said, "cache_write_1h") if "cache_write_1h" in said else max(short, round(fresh * write_1h)),
    )


def _rate(said: Mapping[str, Any], name: str) -> int:
    return round(_number(said, name, MOST_RATE) * _PICO_PER_RATE)


def _number(said: Mapping[str, Any], name: str, most: float) -> float:
    value = said[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"says {name!r} without a number")
    if not (math.isfinite(value) and 0 <= value <= most):
        raise ValueError(f"says {name!r} of {value:g}, which is not between 0 and {most:g}")
    return float(value)


def _tokens(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**40:
        raise ValueError("has a long_context without `above`, in tokens")
    return value


def dearest(prices: list[Price]) -> Price:
    return max(prices, key=lambda price: price.rates.output)


def nano_of(usd: float) -> int:
    """In whole ones. `1.07 * NANO` is a hair more than $1.07: who has spent that would have some left."""
    return round(usd * NANO)
