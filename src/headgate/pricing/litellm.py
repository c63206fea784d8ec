"""The list of prices that is fetched: LiteLLM's `model_prices_and_context_window.json`.

Source: its schema file, and "Model Cost Map" in LiteLLM's documentation. One object, by model: USD for one
token, in fields such as `input_cost_per_token`, with `_above_200k_tokens` for long prompts and `_batches`,
`_priority` and `_flex` for tiers; unknown fields are to be passed over.

It is taken whole or not at all: a price that cannot be one says that the rest is not to be trusted either.
"""

import math
import re
from typing import Any

import msgspec

from headgate.pricing.prices import Listed
from headgate.pricing.rates import MOST_RATE

URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"

_PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "text-completion-openai": "openai",
    "gemini": "gemini",
    "azure": "azure-openai",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "vertex_ai-language-models": "vertex",
    "vertex_ai-anthropic_models": "vertex",
    "vertex_ai-embedding-models": "vertex",
}
"""Theirs, as ours. Prices of others are passed over: the same name costs something else there."""
_NOT_MODELS = frozenset({"sample_spec", "fallback_generalizations"})

_FIELDS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
}
_PARTS = frozenset({"reasoning", "audio_input", "audio_output", "image_input", "image_output"})
_TIERS = {"batches": "batch", "priority": "priority", "flex": "flex"}
_KINDS = "|".join(sorted(_FIELDS, key=len, reverse=True))
_FIELD = re.compile(rf"({_KINDS})(?:_above_(\d+)k_tokens)?(?:_({'|'.join(_TIERS)}))?")
_MILLION = 1_000_000
_MOST_MODELS = 50_000
_LONGEST_NAME = 200

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_entry = msgspec.json.Decoder(dict[str, Any]).decode


class UnusableList(Exception):
    """Why nothing of it is taken, in words."""


def read_list(data: bytes, source: str) -> list[Listed]:
    """All prices of providers that we know, once each. Raises UnusableList."""
    try:
        entries = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnusableList("it is no JSON object of models") from None
    if len(entries) > _MOST_MODELS:
        raise UnusableList(f"it has {len(entries):,} models, more than {_MOST_MODELS:,}")
    found: dict[tuple[str, str], Listed] = {}
    for name, raw in entries.items():
        if name not in _NOT_MODELS and (one := _read_model(name, raw, source)) is not None:
            found.setdefault((one.provider, one.model), one)
    if not found:
        raise UnusableList("it has no price of a provider that is known here")
    return list(found.values())


def _read_model(name: str, raw: msgspec.Raw, source: str) -> Listed | None:
    try:
        entry = _decode_entry(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnusableList(f"the model {name[:80]!r} is no object") from None
    theirs = entry.get("litellm_provider")
    provider = _PROVIDERS.get(theirs) if isinstance(theirs, str) else None
    if provider is None or not {"input_cost_per_token", "output_cost_per_token"} <= entry.keys():
        return None
    # `gemini/…`, `azure/…`: the provider once more.
    model = name.partition("/")[2] if name.startswith((f"{theirs}/", "vertex_ai/")) else name
    if not model or len(model) > _LONGEST_NAME or not model.isprintable() or "*" in model:
        raise UnusableList(f"the model {name[:80]!r} has no name that one can have")
    rates = _rates(name, entry)
    listed = Listed("fetched", provider, model, rates, source)
    try:
        listed.price()
    except ValueError as error:
        raise UnusableList(f"the model {name[:80]!r} {error}") from None
    return listed


def _rates(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """In our form; tiers of long prompts are reckoned from both."""
    flat: dict[str, Any] = {}
    long: dict[int, dict[str, float]] = {}
    tiers: dict[str, dict[str, float]] = {}
    for field, value in entry.items():
        if value is None or (read := _FIELD.fullmatch(field)) is None:
            continue
        kind, above, tier = _FIELDS[read[1]], read[2], read[3]
        rate = _per_million(name, field, value)
        if above is None and tier is None:
            flat[kind] = rate
        elif kind in _PARTS or (above is not None and tier is not None):
            continue
        elif above is not None:
            long.setdefault(int(above) * 1000, {})[kind] = rate
        else:
            tiers.setdefault(_TIERS[tier], {})[kind] = rate
    if long:
        flat["long_context"] = [{"above": above, **rates} for above, rates in sorted(long.items())]
    if tiers:
        flat["tiers"] = tiers
    return flat | _others(name, entry)


def _others(name: str, entry: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    searches, special = entry.get("search_context_cost_per_query"), entry.get("provider_specific_entry")
    if isinstance(searches, dict) and (each := searches.get("search_context_size_medium")) is not None:
        found["web_search"] = _number(name, "search_context_cost_per_query", each)
    if isinstance(special, dict):
        for factor in ("us", "fast"):
            if (times := special.get(factor)) is not None:
                found[factor] = _number(name, factor, times)
    return found


def _per_million(name: str, field: str, value: object) -> float:
    # Their numbers are powers of ten as floats write them: 3e-07 is 0.3 and nothing behind it.
    return round(_number(name, field, value) * _MILLION, 9)


def _number(name: str, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnusableList(f"the model {name[:80]!r} has a {field} that is no number")
    if not 0 <= value <= MOST_RATE:
        raise UnusableList(f"the model {name[:80]!r} has a {field} of {value:g}")
    return float(value)
