"""Settings of prices: the owner's own, and the list that is fetched."""

from typing import Annotated, Any

from pydantic import AfterValidator

from headgate.config.fields import MOST_DAYS, Address, Mapped, Section, setting

RATES = (
    *("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning"),
    *("audio_input", "image_input", "audio_output", "image_output", "web_search"),
    *("batch", "priority", "flex", "fast", "us"),
)
"""Named here, below the room that reckons with them, so that a misspelt one is refused with its place."""
_MOST = 1_000_000.0
_MOST_MODELS = 10_000
_LONGEST_NAME = 200


def _check_models(models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(models) > _MOST_MODELS:
        raise ValueError(f"must have at most {_MOST_MODELS} models")
    for model, rates in models.items():
        if not model or len(model) > _LONGEST_NAME or not model.isprintable() or "*" in model[:-1]:
            raise ValueError(f"has the model {model[:50]!r}: a name is wanted, or the beginning of one and *")
        _check_rates(model, rates)
    return models


def _check_rates(model: str, rates: dict[str, Any]) -> None:
    for name, rate in rates.items():
        if name not in RATES:
            raise ValueError(f"has {name!r} for the model {model}; there are {', '.join(RATES)}")
        is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not (is_number and 0 <= rate <= _MOST):  # false for NaN too
            raise ValueError(f"must have numbers from 0 to {_MOST:g}: {name} of the model {model}")
    if missing := [name for name in ("input", "output") if name not in rates]:
        raise ValueError(f"lacks {missing[0]} for the model {model}, in USD per million tokens")


ModelPrices = Annotated[dict[str, dict[str, Any]], AfterValidator(_check_models)]
"""By model, or by the beginning of names with `*` behind it."""


class PricingSettings(Section):
    """What models cost."""

    refresh_hours: float = setting(
        24.0, "How often prices are fetched; 0: never.", unit="hours", ge=0, le=MOST_DAYS * 24
    )
    url: Address | None = setting(
        None, "Where prices are fetched, in LiteLLM's form; null: LiteLLM's own list.", unit="URL"
    )
    models: Annotated[ModelPrices, Mapped] = setting(
        {},
        "Own prices by model, before all others: {NAME: {input: 3, output: 15}}, in USD per million "
        "tokens; a name may end in `*`.",
        unit="map",
    )
