"""What one key uses: reserved when a request is let in, settled when its record is written."""

import msgspec

from headgate.access.demand import Appetite
from headgate.access.limits import Rate, Spending
from headgate.access.slices import What
from headgate.dialects.usage import Usage
from headgate.pricing.prices import Prices

_OLDER_COUNT = 2
"""The guess for the next request is a quarter of the last one and three of those before."""
_USUAL_OUTPUT = 500
"""Tokens of an answer, before there was one. What a client says is the most that it would take, and tools say
some ten thousand: by that a small budget would let in one request at a time."""


_FIRST_GUESS = "anthropic"
"""Whose prices a first request is guessed by: who will serve it is not known yet."""


def tokens_of(usage: Usage) -> int:
    """What counts against a limit of tokens: as with the provider, not what the prompt cache gave."""
    return (
        (usage.input_tokens or 0)
        + (usage.output_tokens or 0)
        + (usage.cache_write_5m_tokens or 0)
        + (usage.cache_write_1h_tokens or 0)
    )


class Sold(msgspec.Struct, frozen=True, gc=False):
    """What a price is looked up by."""

    model: str | None
    provider: str = "anthropic"
    account: str | None = None


class KeyMeter:
    """What one key uses."""

    __slots__ = (
        *(
            "_prices",
            "appetites",
            "for_requests",
            "for_tokens",
            "mean_nano",
            "mean_tokens",
            "requests",
            "reserved",
        ),
        *("reserved_tokens", "running", "spending", "tokens", "tpm"),
    )

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self.spending = Spending()
        self.requests = Rate()
        self.tokens = Rate()
        self.running = 0
        self.reserved = 0
        """Nano-USD that the running requests may cost."""
        self.reserved_tokens = 0
        self.mean_tokens = -1
        """Of the requests so far; negative: there was none."""
        self.mean_nano = -1
        self.tpm: int | None = None
        """What is let in of tokens a minute: the limit, or this process's part of it."""
        self.for_requests, self.for_tokens = Appetite(), Appetite()
        self.appetites: dict[What, Appetite] = {
            "requests": self.for_requests,
            "tokens": self.for_tokens,
            "running": Appetite(),
        }

    def guess_nano(self, model: str | None, tokens: int) -> int:
        """What a request may cost that sends so many tokens."""
        if self.mean_nano >= 0:
            return self.mean_nano
        return self._prices.table.budget_cost_of(_FIRST_GUESS, model, Usage(tokens, _USUAL_OUTPUT))

    def settle(self, sold: Sold, usage: Usage, began: float) -> int:
        """Tokens that were used."""
        tokens = tokens_of(usage)
        nano = self._prices.table.budget_cost_of(sold.provider, sold.model, usage, sold.account)
        if usage.requests is not None:
            # A batch: it costs money, but it ran at some other time and says nothing of the next request.
            self.spending.add(nano, 0, began)
            return 0
        self.spending.add(nano, tokens, began)
        if self.mean_tokens < 0:
            self.mean_tokens, self.mean_nano = tokens, nano
        else:
            self.mean_tokens += (tokens - self.mean_tokens) >> _OLDER_COUNT
            self.mean_nano += (nano - self.mean_nano) >> _OLDER_COUNT
        return tokens


class Reservation(msgspec.Struct, eq=False, gc=False):
    """One request that was let in. Made for every one, so it is a struct."""

    _meter: KeyMeter | None
    _tokens: int
    _nano: int
    _tpm: int | None
    _began: float

    def settle(self, sold: Sold | None, usage: Usage | None) -> None:
        """What it used takes the place of what was guessed. A second time changes nothing."""
        meter, self._meter = self._meter, None
        if meter is None:
            return
        meter.running -= 1
        meter.reserved -= self._nano
        meter.reserved_tokens -= self._tokens
        tokens = 0 if usage is None or sold is None else meter.settle(sold, usage, self._began)
        if self._tpm is not None and meter.tpm:
            meter.tokens.give_back(self._tokens - tokens, meter.tpm)
