"""Prices of models in USD per million tokens, as their provider lists them.

Source: Anthropic, "Pricing" (model pricing; prompt caching), read in November 2026. Money is counted in
nano-USD, as whole numbers: a price of $1 per million tokens is 1000 of them for each token.
"""

from dataclasses import dataclass

from headgate.dialects.usage import Usage

NANO = 1_000_000_000
"""Of them are one USD."""

_WRITE_5M, _WRITE_1H = 1.25, 2.0
"""Writing into the prompt cache, in times of the price of input."""


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-USD for one token."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


def _price(
    input: float,
    output: float,
    cache_read: float,
    *,
    write_5m: float | None = None,
    write_1h: float | None = None,
) -> Price:
    """From USD per million tokens."""
    usd = (input, output, cache_read, write_5m or input * _WRITE_5M, write_1h or input * _WRITE_1H)
    return Price(*(round(one * 1000) for one in usd))


_BY_BEGINNING = {
    "claude-fable-5-1": _price(10, 50, 0.25),
    "claude-mythos-5-1": _price(10, 50, 0.25),
    "claude-fable-5": _price(10, 50, 1),
    "claude-mythos-5": _price(10, 50, 1),
    "claude-opus-5-5": _price(4, 20, 0.2),
    "claude-opus-5": _price(5, 25, 0.5),
    "claude-opus-4-8": _price(5, 25, 0.5),
    "claude-opus-4-7": _price(5, 25, 0.5),
    "claude-opus-4-6": _price(5, 25, 0.5),
    "claude-opus-4-5": _price(5, 25, 0.5),
    "claude-opus-4": _price(15, 75, 1.5),
    "claude-3-opus": _price(15, 75, 1.5),
    "claude-sonnet-5-5": _price(2, 10, 0.1),
    "claude-sonnet-5": _price(2, 10, 0.2),
    "claude-sonnet-4": _price(3, 15, 0.3),
    "claude-3-7-sonnet": _price(3, 15, 0.3),
    "claude-3-5-sonnet": _price(3, 15, 0.3),
    "claude-haiku-5-5": _price(0.1, 0.5, 0.01),
    "claude-haiku-4-5": _price(1, 5, 0.1),
    "claude-3-5-haiku": _price(0.8, 4, 0.08),
    "claude-3-haiku": _price(0.25, 1.25, 0.03, write_5m=0.3, write_1h=0.5),
}
"""The longest beginning of a model's name counts: versions carry a date behind it."""

_LONG_PROMPT = {"claude-haiku-5-5": (100_000, _price(0.5, 2.5, 0.05))}
"""Another price for the whole request where its prompt, cached parts included, has more tokens."""

_UNKNOWN = max(_BY_BEGINNING.values(), key=lambda price: price.output)
"""The dearest: a budget must not be passed by a name that the table lacks."""

MOST_USD = 100_000
"""Of one request: more is a provider's nonsense, and sums of such are beyond 64 bits."""

_found: dict[str, tuple[Price, tuple[int, Price] | None]] = {}
_MOST_FOUND = 1_000


def nano_of(usd: float) -> int:
    """In whole ones. `1.07 * NANO` is a hair more than $1.07: who has spent that would have some left."""
    return round(usd * NANO)


def is_known(model: str) -> bool:
    return _beginning_of(model) is not None


def known_cost_of(model: str | None, usage: Usage) -> int | None:
    """What a record says, in nano-USD. None: the table lacks the model, the provider told no usage, or none
    that can be true."""
    is_told = usage.input_tokens is not None or usage.output_tokens is not None
    if model is None or not is_told or not is_known(model):
        return None
    cost = cost_of(model, usage)
    return cost if cost <= MOST_USD * NANO else None


def cost_of(model: str, usage: Usage) -> int:
    """Nano-USD. What the provider did not say counts nothing; a model that the table lacks costs as the
    dearest one."""
    price, longer = _found.get(model) or _find(model)
    read, write_5m, write_1h = (
        usage.cache_read_tokens or 0,
        usage.cache_write_5m_tokens or 0,
        usage.cache_write_1h_tokens or 0,
    )
    fresh = usage.input_tokens or 0
    if longer is not None and fresh + read + write_5m + write_1h > longer[0]:
        price = longer[1]
    return (
        fresh * price.input
        + (usage.output_tokens or 0) * price.output
        + read * price.cache_read
        + write_5m * price.cache_write_5m
        + write_1h * price.cache_write_1h
    )


def _find(model: str) -> tuple[Price, tuple[int, Price] | None]:
    beginning = _beginning_of(model)
    found = (
        _BY_BEGINNING.get(beginning or "", _UNKNOWN),
        _LONG_PROMPT.get(beginning or ""),
    )
    if len(_found) >= _MOST_FOUND:
        _found.clear()  # names are the callers'
    _found[model] = found
    return found


def _beginning_of(model: str) -> str | None:
    parts = model.split("-")
    for end in range(len(parts), 1, -1):
        if (beginning := "-".join(parts[:end])) in _BY_BEGINNING:
            return beginning
    return None
