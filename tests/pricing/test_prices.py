"""From tokens to money."""

import pytest

from headgate.dialects.usage import Usage
from headgate.pricing.prices import NANO, cost_of, is_known, known_cost_of

MILLION = 1_000_000
ALL = Usage(MILLION, MILLION, MILLION, MILLION, MILLION)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-opus-5-5", Usage(MILLION, MILLION), 24.0),
        ("claude-opus-5", Usage(MILLION, MILLION), 30.0),
        ("claude-opus-4-1-20250805", Usage(MILLION), 15.0),
        ("claude-opus-4-20250514", Usage(0, MILLION), 75.0),
        (
            "claude-sonnet-4-5-20250929",
            ALL,
            3 + 15 + 0.3 + 3.75 + 6,
        ),
        ("claude-haiku-4-5", Usage(MILLION, MILLION), 6.0),
        (
            "claude-3-haiku-20240307",
            ALL,
            0.25 + 1.25 + 0.03 + 0.3 + 0.5,
        ),
        ("claude-fable-5-1", Usage(None, None, MILLION), 0.25),
        ("claude-fable-5", Usage(None, None, MILLION), 1.0),
        ("claude-haiku-5-5", Usage(100_000, 0), 0.01),
        ("claude-haiku-5-5", Usage(50_000, 0, 50_001), (50_000 * 0.5 + 50_001 * 0.05) / MILLION),
        ("claude-haiku-5-5-20261007", Usage(1, 2), (0.1 + 2 * 0.5) / MILLION),
    ],
)
def test_an_answer_costs_what_the_provider_lists(model: str, usage: Usage, usd: float) -> None:
    assert cost_of(model, usage) == round(usd * NANO)
    assert cost_of(model, usage) == round(usd * NANO)  # from memory
    assert is_known(model)


@pytest.mark.parametrize("model", ["", "gpt-5", "claude", "claude-opus", "claude-opusx-5", "claude-opus-55"])
def test_an_unknown_model_costs_as_the_dearest(model: str) -> None:
    """A budget must not be passed by a name that the table lacks."""
    assert not is_known(model)
    assert cost_of(model, Usage(MILLION, MILLION)) == 90 * NANO


def test_what_was_not_said_costs_nothing() -> None:
    assert cost_of("claude-opus-5", Usage()) == 0


def test_a_record_says_nothing_where_nothing_is_known() -> None:
    """Null, never 0: no price, no usage, or counts that cannot be."""
    assert known_cost_of("claude-opus-5", Usage(MILLION, 0)) == 5 * NANO
    assert known_cost_of("claude-opus-5", Usage(0, 0)) == 0
    assert known_cost_of("gpt-unheard-of", Usage(MILLION, MILLION)) is None
    assert known_cost_of(None, Usage(MILLION, MILLION)) is None
    assert known_cost_of("claude-opus-5", Usage()) is None
    assert known_cost_of("claude-opus-5", Usage(2**63 - 1, 1)) is None
