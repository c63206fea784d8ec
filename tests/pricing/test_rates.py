"""The arithmetic, held against the provider's own examples and rules (its page "Pricing")."""

from typing import Any

import pytest

from headgate.config.pricing import RATES
from headgate.dialects.usage import Usage
from headgate.pricing.prices import shipped_table
from headgate.pricing.rates import NAMES, NANO, price_of

MILLION = 1_000_000


def usd(model: str, usage: Usage) -> float:
    cost = shipped_table().known_cost_of("anthropic", model, usage)
    assert cost is not None
    return cost / NANO


def test_the_providers_example_of_an_hour() -> None:
    """An hour of an agent with Opus 4.6: 50,000 tokens in at $5, 15,000 out at $25: $0.625; with 40,000
    of them read from the cache at $0.50: $0.445."""
    assert usd("claude-opus-4-6", Usage(50_000, 15_000)) == pytest.approx(0.625, abs=1e-9)
    assert usd("claude-opus-4-6", Usage(10_000, 15_000, 40_000)) == pytest.approx(0.445, abs=1e-9)


def test_writing_and_reading_the_cache() -> None:
    """1.25 and 2 times the price of input to write, a tenth to read."""
    base = usd("claude-sonnet-4-6", Usage(MILLION, 0))
    assert usd("claude-sonnet-4-6", Usage(0, 0, None, MILLION)) == pytest.approx(1.25 * base)
    assert usd("claude-sonnet-4-6", Usage(0, 0, None, None, MILLION)) == pytest.approx(2 * base)
    assert usd("claude-sonnet-4-6", Usage(0, 0, MILLION)) == pytest.approx(0.1 * base)


def test_a_batch_costs_half() -> None:
    """Input and output, and the cache with them: the discounts multiply."""
    usage = (MILLION, MILLION, MILLION, MILLION, MILLION)
    whole = usd("claude-opus-4-8", Usage(*usage))
    assert usd("claude-opus-4-8", Usage(*usage, service_tier="batch")) == pytest.approx(whole / 2)
    assert usd("claude-opus-4-8", Usage(*usage, service_tier="standard")) == whole
    assert usd("claude-opus-4-8", Usage(*usage, service_tier="priority")) == whole  # a contract's price


def test_inference_in_one_country_and_fast_mode() -> None:
    """1.1 times and twice, of every kind of token; both together multiply."""
    whole = usd("claude-opus-5-5", Usage(MILLION, MILLION))
    assert usd("claude-opus-5-5", Usage(MILLION, MILLION, inference_geo="us")) == pytest.approx(1.1 * whole)
    assert usd("claude-opus-5-5", Usage(MILLION, MILLION, inference_geo="global")) == whole
    assert usd("claude-opus-5-5", Usage(MILLION, MILLION, speed="fast")) == pytest.approx(8 + 40)
    both = Usage(MILLION, MILLION, speed="fast", inference_geo="us")
    assert usd("claude-opus-5-5", both) == pytest.approx(2.2 * whole)


def test_a_long_prompt_costs_more_as_a_whole() -> None:
    """What was read from the cache and written into it counts as prompt; the output does not."""
    assert usd("claude-haiku-5-5", Usage(100_000, 500_000)) == pytest.approx(0.01 + 0.25)
    assert usd("claude-haiku-5-5", Usage(100_001, 1000)) == pytest.approx(
        (100_001 * 0.5 + 1000 * 2.5) / MILLION
    )
    cached = Usage(1, 1000, 60_000, 40_000)
    assert usd("claude-haiku-5-5", cached) == pytest.approx((0.5 + 2500 + 3000 + 25_000) / MILLION)
    assert usd("claude-opus-4-6", Usage(900_000, 0)) == pytest.approx(4.5)  # the same rate all the way


def test_web_searches_cost_a_cent_each() -> None:
    """$10 for a thousand, beside the tokens; no discount touches it. What is fetched costs its tokens."""
    usage = Usage(0, 0, web_search_requests=7, web_fetch_requests=9, service_tier="batch")
    assert usd("claude-sonnet-4-5", usage) == pytest.approx(0.07)


OTHER = {
    "input": 2.5,
    "output": 10,
    "cache_read": 1.25,
    "audio_input": 40,
    "audio_output": 80,
    "reasoning": 12,
    "long_context": [{"above": 200_000, "input": 5}, {"above": 1_000, "input": 3}],
    "tiers": {"priority": {"input": 5, "output": 30}},
    "flex": 0.5,
}


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(1000, 100), 1000 * 2500 + 100 * 10_000),
        (Usage(1001, 0), 1001 * 3000),
        (Usage(200_001, 0), 200_001 * 5000),
        (Usage(100, 0, 100, 100, 100), 100 * 2500 + 100 * 1250 + 200 * 2500),  # writing costs as input
        (Usage(1000, 0, audio_input_tokens=400), 600 * 2500 + 400 * 40_000),
        (Usage(0, 100, audio_output_tokens=40), 60 * 10_000 + 40 * 80_000),
        (Usage(0, 100, reasoning_tokens=50), 50 * 10_000 + 50 * 12_000),
        (Usage(100, 100, 100, service_tier="priority"), 100 * 5000 + 100 * 30_000 + 100 * 2500),
        (Usage(1001, 0, service_tier="priority"), 1001 * 6000),  # as much more as it is without the tier
        (Usage(100, 100, service_tier="flex"), (100 * 2500 + 100 * 10_000) // 2),
        (Usage(100, 0, service_tier="default"), 100 * 2500),
    ],
)
def test_other_providers_rates(usage: Usage, nano: int) -> None:
    assert price_of(OTHER).nano_of(usage) == nano


def test_the_smallest_rates_are_whole() -> None:
    """Rounded once, in the sum."""
    tiny = price_of({"input": 0.0028, "output": 0.0028})
    assert tiny.nano_of(Usage(1000, 0)) == 2800
    assert tiny.nano_of(Usage(1, 0)) == 3
    assert price_of({"input": 0, "output": 0}).nano_of(Usage(MILLION, MILLION)) == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "lacks 'input'"),
        ({"input": 1}, "lacks 'output'"),
        ({"input": "1", "output": 1}, "'input' without a number"),
        ({"input": True, "output": 1}, "'input' without a number"),
        ({"input": -1, "output": 1}, "'input' of -1"),
        ({"input": float("nan"), "output": 1}, "'input' of nan"),
        ({"input": 1, "output": 1e12}, "'output' of 1e+12"),
        ({"input": 1, "output": 1, "cash": 1}, "says 'cash'"),
        ({"input": 1, "output": 1, "batch": -0.5}, "'batch' of -0.5"),
        ({"input": 1, "output": 1, "long_context": [{"input": 1}]}, "without `above`"),
    ],
)
def test_what_cannot_be_a_price_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        price_of(said)


def test_the_settings_know_the_same_names() -> None:
    assert set(RATES) == set(NAMES)
