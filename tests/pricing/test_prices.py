"""From tokens to money: which price a name has, and what is unknown."""

import pytest

from headgate.dialects.usage import Part, Usage
from headgate.pricing.prices import Listed, Prices, PriceTable, own_prices, shipped, shipped_table, table_of
from headgate.pricing.rates import NANO
from headgate.pricing.shipped import read_on
from tests.pricing.costs import cost_of, known_cost_of

MILLION = 1_000_000
ALL = Usage(MILLION, MILLION, MILLION, MILLION, MILLION)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-opus-5-5", Usage(MILLION, MILLION), 24.0),
        ("claude-opus-5", Usage(MILLION, MILLION), 30.0),
        ("claude-fable-5-2", ALL, 8 + 40 + 0.2 + 10 + 16),
        ("claude-opus-4-1-20250805", Usage(MILLION), 15.0),
        ("claude-opus-4-20250514", Usage(0, MILLION), 75.0),
        ("claude-sonnet-4-5-20250929", ALL, 3 + 15 + 0.3 + 3.75 + 6),
        ("claude-sonnet-4-5[1m]", Usage(MILLION), 3.0),
        ("claude-haiku-4-5", Usage(MILLION, MILLION), 6.0),
        ("claude-3-haiku-20240307", ALL, 0.25 + 1.25 + 0.03 + 0.3 + 0.5),
        ("claude-3-5-haiku-latest", Usage(MILLION), 0.8),
        ("claude-fable-5-1", Usage(None, 0, MILLION), 0.25),
        ("claude-fable-5", Usage(None, 0, MILLION), 1.0),
        ("claude-haiku-5-5", Usage(100_000, 0), 0.01),
        ("claude-haiku-5-5", Usage(50_000, 0, 50_001), (50_000 * 0.5 + 50_001 * 0.05) / MILLION),
        ("claude-haiku-5-5-20261007", Usage(1, 2), (0.1 + 2 * 0.5) / MILLION),
    ],
)
def test_an_answer_costs_what_the_provider_lists(model: str, usage: Usage, usd: float) -> None:
    assert cost_of(model, usage) == round(usd * NANO)
    assert known_cost_of(model, usage) == round(usd * NANO)  # from memory


@pytest.mark.parametrize(
    "model", ["", "gpt-5", "claude", "claude-opus", "claude-opusx-5", "claude-opus-55", "claude-opus-5-7"]
)
def test_an_unknown_model_costs_a_budget_as_the_dearest(model: str) -> None:
    """A budget must not be passed by a name that no list has; a record says that nobody knows."""
    assert known_cost_of(model, Usage(MILLION, MILLION)) is None
    assert cost_of(model, Usage(MILLION, MILLION)) == 90 * NANO


def test_what_was_not_said_costs_nothing() -> None:
    assert cost_of("claude-opus-5", Usage()) == 0


def test_a_record_says_nothing_where_nothing_is_known() -> None:
    """Null, never 0: no price, no usage, or counts that cannot be."""
    assert known_cost_of("claude-opus-5", Usage(MILLION, 0)) == 5 * NANO
    assert known_cost_of("claude-opus-5", Usage(0, 0)) == 0
    assert known_cost_of(None, Usage(MILLION, MILLION)) is None
    assert known_cost_of("claude-opus-5", Usage()) is None
    assert known_cost_of("claude-opus-5", Usage(2**63 - 1, 1)) is None
    assert shipped_table().known_cost_of("openai", "claude-opus-5", Usage(1, 1)) is None  # not theirs


def listed(origin: str, model: str, rate: float, *, provider: str = "anthropic") -> Listed:
    return Listed(origin, provider, model, {"input": rate, "output": rate}, "test")


def table(*, kept: list[Listed]) -> PriceTable:
    models = {"claude-opus-5*": {"input": 2, "output": 2}, "claude-opus-5-5": {"input": 3, "output": 3}}
    accounts = {"work": {"claude-*": {"input": 1, "output": 1}}}
    return table_of(own_prices(models, accounts), kept)


@pytest.mark.parametrize(
    ("account", "model", "origin", "usd"),
    [
        ("work", "claude-opus-5", "account", 1),
        ("work", "gpt-5", None, None),
        ("other", "claude-opus-5-20260101", "settings", 2),
        ("other", "claude-opus-5-9", "settings", 2),
        (None, "claude-opus-5-5", "settings", 3),
        (None, "claude-sonnet-5", "fetched", 7),
        (None, "claude-haiku-4-5", "shipped", 1),
    ],
)
def test_who_comes_first(account: str | None, model: str, origin: str | None, usd: float | None) -> None:
    """The account's price, the owner's, the fetched one, the shipped one; the longest name of each."""
    prices = table(kept=[listed("fetched", "claude-sonnet-5", 7)])
    found = prices.find("anthropic", model, account)
    assert (found.origin if found else None) == origin
    cost = prices.known_cost_of("anthropic", model, Usage(MILLION, 0), account)
    assert cost == (None if usd is None else usd * NANO)


def test_a_list_kept_in_the_database_takes_the_files_place() -> None:
    """Also where it has fewer: what an older version of the program knew is not added to."""
    kept = [listed("shipped", "claude-opus-5", 4)]
    assert table_of((), kept).find("anthropic", "claude-sonnet-5") is None
    assert len(table_of().listed) == len(shipped())


def test_every_shipped_price_is_whole() -> None:
    """With its source; and the day on which the list was read is a day."""
    names = [one.model for one in shipped()]
    assert len(names) == len(set(names))
    for one in shipped():
        assert {"input", "output", "cache_read", "cache_write_5m", "cache_write_1h"} <= one.rates.keys()
        assert one.source.startswith("https://")
        assert one.price().rates.output > one.price().rates.input > one.price().rates.cache_read > 0
    year, month, day = map(int, read_on().split("-"))
    assert (year >= 2026, 1 <= month <= 12, 1 <= day <= 31) == (True, True, True)


def test_the_table_in_force_is_swapped_as_one() -> None:
    prices = Prices()
    assert prices.table.find("anthropic", "new") is None
    prices.table = table_of((), [listed("fetched", "new", 1)])
    assert prices.table.find("anthropic", "new") is not None


def test_each_part_of_an_answer_costs_what_its_own_model_does() -> None:
    """An advisor's at the advisor's price, a compaction's as a prompt of its own; a budget knows no gap."""
    advice = Part("claude-opus-5", Usage(MILLION, MILLION, requests=3))
    usage = Usage(3 * MILLION, 2 * MILLION, parts=(advice,))
    assert (
        known_cost_of("claude-sonnet-5", usage)
        == (30 + 2 * 2 + 10) * NANO
        == cost_of("claude-sonnet-5", usage)
    )
    assert known_cost_of(None, Usage(MILLION, MILLION, parts=(advice,))) == 30 * NANO
    assert known_cost_of(None, usage) is None
    unknown = Part("gpt-5", Usage(MILLION, MILLION))
    assert known_cost_of("claude-sonnet-5", Usage(MILLION, MILLION, parts=(unknown,))) is None
    assert cost_of("claude-sonnet-5", Usage(MILLION, MILLION, parts=(unknown,))) == 90 * NANO
    short = Usage(160_000, 0, parts=(Part(None, Usage(80_000, 0, requests=1)),))
    assert known_cost_of("claude-haiku-5-5", short) == 16_000_000, "two prompts of 80,000 are no long one"
    assert known_cost_of("claude-haiku-5-5", Usage(300_000, 0, requests=3)) == 30_000_000
