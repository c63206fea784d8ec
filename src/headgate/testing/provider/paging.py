"""Lists in pages, in the two forms the provider has.

Models and batches page by ids (https://platform.claude.com/docs/en/api/models/list: `after_id`, `before_id`;
`first_id`, `last_id`, `has_more`), files by an opaque cursor (https://platform.claude.com/docs/en/api/files/list:
`page`; `next_page`).
"""

from typing import Any

from headgate.testing.provider.answer import ProviderError

_DEFAULT_LIMIT, _MAX_LIMIT = 20, 1000
_CURSOR_PREFIX = "page_"


def id_page(items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
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


def cursor_page(items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """One page of `items`; the cursor names the last item shown."""
    limit, start = _limit(query.get("limit", "")), 0
    if (cursor := query.get("page")) is not None:
        start = _place([item["id"] for item in items], cursor.removeprefix(_CURSOR_PREFIX), "page") + 1
    shown = items[start : start + limit]
    has_more = len(items) > start + limit
    return {"data": shown, "next_page": _CURSOR_PREFIX + shown[-1]["id"] if has_more else None}


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
