"""LiteLLM's list: what of it is a price, and what makes all of it unusable."""

import json
from typing import Any

import pytest

from headgate.dialects.usage import Usage
from headgate.pricing.litellm import UnusableList, read_list
from headgate.pricing.prices import Listed, table_of

MILLION = 1_000_000
OPUS = {
    "litellm_provider": "anthropic",
    "mode": "chat",
    "max_tokens": "what nobody here reads",
    "input_cost_per_token": 4e-06,
    "output_cost_per_token": 2e-05,
    "cache_read_input_token_cost": 2e-07,
    "cache_creation_input_token_cost": 5e-06,
    "cache_creation_input_token_cost_above_1hr": 8e-06,
    "input_cost_per_token_batches": 2e-06,
    "output_cost_per_token_batches": 1e-05,
    "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    "provider_specific_entry": {"us": 1.1, "fast": 2},
}
LONG = {
    "litellm_provider": "gemini",
    "input_cost_per_token": 1.25e-06,
    "input_cost_per_token_above_200k_tokens": 2.5e-06,
    "input_cost_per_token_above_200k_tokens_batches": 1.25e-06,
    "output_cost_per_token": 1e-05,
    "output_cost_per_token_above_200k_tokens": 1.5e-05,
    "output_cost_per_token_priority": None,
    "input_cost_per_audio_token": 3e-06,
}


def read(**models: Any) -> list[Listed]:
    return read_list(json.dumps({name.replace("_", "-"): one for name, one in models.items()}).encode(), "u")


def test_a_model_is_read_with_all_its_rates() -> None:
    (one,) = read(claude_opus_5_5=OPUS)
    assert (one.origin, one.provider, one.model, one.source) == (
        "fetched",
        "anthropic",
        "claude-opus-5-5",
        "u",
    )
    assert one.rates == {
        **{"input": 4.0, "output": 20.0, "cache_read": 0.2, "cache_write_5m": 5.0, "cache_write_1h": 8.0},
        **{"tiers": {"batch": {"input": 2.0, "output": 10.0}}, "web_search": 0.01, "us": 1.1, "fast": 2.0},
    }
    price = one.price()
    usage = Usage(MILLION, MILLION, MILLION, MILLION, MILLION)
    assert price.nano_of(usage) == 37_200_000_000
    batch = Usage(MILLION, MILLION, MILLION, MILLION, MILLION, service_tier="batch")
    assert price.nano_of(batch) == 18_600_000_000  # what the list leaves out is half as well


def test_long_prompts_and_prefixed_names() -> None:
    found = read_list(
        json.dumps(
            {"gemini/gemini-x": LONG, "gemini-x": {**LONG, "litellm_provider": "vertex_ai-language-models"}}
        ).encode(),
        "u",
    )
    assert [(one.provider, one.model) for one in found] == [("gemini", "gemini-x"), ("vertex", "gemini-x")]
    table = table_of((), found)
    assert table.known_cost_of("gemini", "gemini-x", Usage(200_001, 0)) == 200_001 * 2500
    assert table.known_cost_of("gemini", "gemini-x", Usage(100, 0, audio_input_tokens=100)) == 100 * 3000
    assert table.known_cost_of("openai", "gemini-x", Usage(1, 1)) is None


def test_what_is_no_price_of_a_known_provider_is_passed_over() -> None:
    image = {"litellm_provider": "openai", "output_cost_per_image": 0.04}
    reseller = {**OPUS, "litellm_provider": "fireworks_ai", "input_cost_per_token": "odd"}
    found = read_list(
        json.dumps(
            {
                "sample_spec": {"input_cost_per_token": "a number"},
                "fallback_generalizations": {"rules": []},
                **{"dall-e": image, "claude-opus-5": reseller, "claude-opus-5-5": OPUS},
            }
        ).encode(),
        "u",
    )
    assert [one.model for one in found] == ["claude-opus-5-5"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON object"),
        (b"<html>", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"a": 1}', "'a' is no object"),
        (b"{}", "no price of a provider that is known"),
        (b"\xff", "no JSON object"),
        *(
            (json.dumps({"good": OPUS, "bad": {**OPUS, **odd}}).encode(), words)
            for odd, words in (
                ({"input_cost_per_token": "0.1"}, "'bad' has a input_cost_per_token that is no number"),
                ({"output_cost_per_token": -1e-06}, "'bad' has a output_cost_per_token of -1e-06"),
                ({"input_cost_per_token": True}, "that is no number"),
                ({"input_cost_per_token": 50.0}, "'bad' says 'input' of 5e"),
                ({"cache_read_input_token_cost": []}, "that is no number"),
                ({"provider_specific_entry": {"us": "1.1"}}, "that is no number"),
            )
        ),
        (json.dumps({"x" * 300: OPUS}).encode(), "no name that one can have"),
        (json.dumps({"a*": OPUS}).encode(), "no name that one can have"),
        (json.dumps({str(number): {} for number in range(50_001)}).encode(), "50,001 models"),
    ],
)
def test_odd_content_is_taken_whole_or_not_at_all(data: bytes, words: str) -> None:
    with pytest.raises(UnusableList, match=words):
        read_list(data, "u")
