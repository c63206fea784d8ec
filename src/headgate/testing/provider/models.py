"""`GET /v1/models` and `/v1/models/{id}`, and the paging that all lists share.

Source: https://platform.claude.com/docs/en/api/models and "Pagination": `limit`, `after_id`, `before_id`;
`first_id`, `last_id`, `has_more`.
"""

from collections.abc import Iterable
from typing import Any

from headgate.testing.provider.answer import ProviderError

MODEL_NAMES = {
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-haiku-5-5": "Claude Haiku 5.5",
    "claude-opus-5": "Claude Opus 5",
    "claude-sonnet-5": "Claude Sonnet 5",
    "claude-opus-4-8": "Claude Opus 4.8",
    "claude-opus-4-7": "Claude Opus 4.7",
    "claude-opus-4-6": "Claude Opus 4.6",
    "claude-sonnet-4-6": "Claude Sonnet 4.6",
    "claude-opus-4-5": "Claude Opus 4.5",
    "claude-opus-4-5-20251101": "Claude Opus 4.5",
    "claude-haiku-4-5": "Claude Haiku 4.5",
    "claude-haiku-4-5-20251001": "Claude Haiku 4.5",
    "claude-sonnet-4-5": "Claude Sonnet 4.5",
    "claude-sonnet-4-5-20250929": "Claude Sonnet 4.5",
    "claude-opus-4-1-20250805": "Claude Opus 4.1",
    "claude-sonnet-4-20250514": "Claude Sonnet 4",
    "claude-3-5-haiku-20241022": "Claude Haiku 3.5",
    "claude-2.1": "Claude 2.1",
}
ALL_MODELS = frozenset(MODEL_NAMES)
_DEFAULT_LIMIT, _MAX_LIMIT = 20, 1000


def model_info(model: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model,
        "display_name": MODEL_NAMES.get(model, model),
        "created_at": "2026-01-15T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "capabilities": None,
    }


def listed_models(models: Iterable[str]) -> list[dict[str, Any]]:
    known = set(models)
    order = [model for model in MODEL_NAMES if model in known] + sorted(known - ALL_MODELS)
    return [model_info(model) for model in order]


def page(items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """One page of `items`, which stand newest first."""
    limit = _limit(query.get("limit", ""))
    ids = [item["id"] for item in items]
    if (after := query.get("after_id")) is not None:
        items = items[_place(ids, after, "after_id") + 1 :]
        shown, has_more = items[:limit], len(items) > limit
    elif (before := query.get("before_id")) is not None:
        items = items[: _place(ids, before, "before_id")]
        shown, has_more = items[-limit:], len(items) > limit
    else:
        shown, has_more = items[:limit], len(items) > limit
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": shown, "has_more": has_more, "first_id": first, "last_id": last}


def _limit(text: str) -> int:
    if not text:
        return _DEFAULT_LIMIT
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_LIMIT:
        raise ProviderError(400, f"limit: Input should be between 1 and {_MAX_LIMIT}")
    return int(text)


def _place(ids: list[str], wanted: str, field: str) -> int:
    if wanted not in ids:
        raise ProviderError(400, f"{field}: Invalid cursor")
    return ids.index(wanted)
