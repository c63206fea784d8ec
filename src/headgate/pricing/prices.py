"""Which price a model has: the owner's own, the fetched list's, or the one that came with the program.

A provider's list names models as a request does, or without the version behind a name: `claude-opus-4-5` is
also `claude-opus-4-5-20251101`. A name that no list has is not guessed at: its cost is unknown, and only
budgets count it, as the dearest.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from headgate.dialects.usage import Usage, shares_of
from headgate.pricing.rates import MOST_USD, NANO, Price, dearest, price_of
from headgate.pricing.shipped import shipped_prices

_VERSION = re.compile(r"(?:[-@]20\d{6}|-20\d\d-\d\d-\d\d|-latest|-\d{3})$")
"""What providers put behind a name: the day of a release, its number."""
_CONTEXT = re.compile(r"\[\d+m\]$")
"""Clients write the size of the context so behind a name."""

_MOST_FOUND = 2_000
ANY_PROVIDER = ""
_FIRST = ("anthropic", "openai", "gemini")
"""Providers of models of their own; others sell those of others."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One price of a list, with where it comes from."""

    origin: str
    """`account`, `settings`, `fetched` or `shipped`."""
    provider: str
    model: str
    """A name, or with `*` behind it all that begin so."""
    rates: Mapping[str, Any]
    """As `price_of` reads them."""
    source: str
    valid_from_ms: int | None = None
    account: str | None = None
    """Of one account alone."""

    def price(self) -> Price:
        return price_of(self.rates, is_claude=self.provider == "anthropic" or self.model.startswith("claude"))


ORIGINS = ("account", "settings", "fetched", "shipped")
"""The first that has a price for a name is the one that counts."""


class PriceTable:
    """Never changes; `Prices` holds the one in force."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        self.listed = sorted(listed, key=lambda one: ORIGINS.index(one.origin))
        self._exact: dict[tuple[str | None, str, str], Listed] = {}
        self._beginnings: dict[tuple[str | None, str, str], Listed] = {}
        for one in self.listed:
            names = self._beginnings if one.model.endswith("*") else self._exact
            names.setdefault((one.account, one.provider, one.model.removesuffix("*")), one)
        self._ways = tuple(dict.fromkeys((one.origin, one.account, one.provider) for one in self.listed))
        """Where to look for a name, in turn."""
        self._providers = tuple(dict.fromkeys((*_FIRST, *(one.provider for one in self.listed))))
        self._prices: dict[tuple[str | None, str, str], Price | None] = {}
        # Of the models that came with the program: a list of the whole world has some that nobody uses.
        known = [one.price() for one in self.listed if one.origin == "shipped"]
        self._unknown = dearest(known or [one.price() for one in self.listed])

    def find(self, provider: str, model: str, account: str | None = None) -> Listed | None:
        """The list's own entry; None: no list has the model."""
        plain = _CONTEXT.sub("", model)
        names = [plain, cut] if (cut := _VERSION.sub("", plain)) != plain else [plain]
        for origin, of_account, of_provider in self._ways:
            if of_account not in (None, account) or of_provider not in (ANY_PROVIDER, provider):
                continue
            for name in names:
                one = self._exact.get((of_account, of_provider, name))
                if one is not None and one.origin == origin:
                    return one
            if (one := self._longest_beginning(of_account, of_provider, plain)) is not None:
                return one
        return None

    def price(self, provider: str, model: str, account: str | None = None) -> Price | None:
        at = (account, provider, model)
        try:
            return self._prices[at]
        except KeyError:
            found = self.find(provider, model, account)
            if len(self._prices) >= _MOST_FOUND:
                self._prices.clear()  # names are the callers'
            price = self._prices[at] = None if found is None else found.price()
            return price

    def price_anywhere(self, model: str) -> Price | None:
        """Where nobody says who served it: of the first provider that has it."""
        for provider in self._providers:
            if (price := self.price(provider, model)) is not None:
                return price
        return None

    def known_cost_of(
        self, provider: str, model: str | None, usage: Usage, account: str | None = None
    ) -> int | None:
        """What a record says, in nano-USD. None: no list has the model, the provider told no usage, or none
        that can be true."""
        is_told = usage.input_tokens is not None or usage.output_tokens is not None
        if usage.parts is not None and is_told:
            return self._known_cost_of_parts(provider, model, usage, account)
        if model is None or not is_told or (price := self.price(provider, model, account)) is None:
            return None
        cost = price.nano_of(usage)
        return cost if cost <= MOST_USD * NANO else None

    def budget_cost_of(
        self, provider: str, model: str | None, usage: Usage, account: str | None = None
    ) -> int:
        """What a budget counts: a model without a price as the dearest, or it would be passed by a name."""
        if usage.parts is not None:
            return sum(
                self.budget_cost_of(provider, part.model or model, part.usage, account)
                for part in shares_of(usage)
            )
        price = self._prices.get((account, provider, model or ""))
        if price is None:  # for every request of a key: most find it at once
            price = (None if model is None else self.price(provider, model, account)) or self._unknown
        return price.nano_of(usage)

    def _known_cost_of_parts(
        self, provider: str, model: str | None, usage: Usage, account: str | None
    ) -> int | None:
        """None where that of one of them is not known: half of a cost is none."""
        total = 0
        for part in shares_of(usage):
            cost = self.known_cost_of(provider, part.model or model, part.usage, account)
            if cost is None:
                return None
            total += cost
        return total if total <= MOST_USD * NANO else None

    def _longest_beginning(self, account: str | None, provider: str, name: str) -> Listed | None:
        for length in range(len(name), -1, -1) if self._beginnings else ():
            if (one := self._beginnings.get((account, provider, name[:length]))) is not None:
                return one
        return None


def table_of(own: Iterable[Listed] = (), kept: Iterable[Listed] = ()) -> PriceTable:
    """`kept`: of the database; where that has none of the program's own list, the file that came along."""
    kept = list(kept)
    has_shipped = any(one.origin == "shipped" for one in kept)
    return PriceTable([*own, *kept, *(() if has_shipped else shipped())])


def shipped() -> list[Listed]:
    return [
        Listed("shipped", provider, model, rates, source)
        for provider, model, rates, source in shipped_prices()
    ]


@cache
def shipped_table() -> PriceTable:
    """What holds where nobody said anything else."""
    return table_of()


def own_prices(
    models: Mapping[str, Mapping[str, Any]], accounts: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> list[Listed]:
    """Of the settings: by model, and by account and model."""
    found = [
        Listed("account", ANY_PROVIDER, model, rates, "settings", account=account)
        for account, its in accounts.items()
        for model, rates in its.items()
    ]
    found += [Listed("settings", ANY_PROVIDER, model, rates, "settings") for model, rates in models.items()]
    return found


class Prices:
    """The table in force, for who lives longer than one."""

    def __init__(self, table: PriceTable | None = None) -> None:
        self.table = table or shipped_table()
