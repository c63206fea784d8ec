"""A settings file in JSON, which is YAML as well, stays JSON when a setting is changed: others read
it as such, and jq is what guides check it with."""

import json
import re
from typing import Any

_INDENT = re.compile(r"^\{\n([ \t]+)")


class _Unfit(ValueError):
    """Written back, something would be lost."""


def changed(text: str, steps: list[str], value: Any) -> str | None:
    """The text with one value set. None where it is no JSON, or more than that would change."""
    try:
        tree = json.loads(text, object_pairs_hook=_once_each)
        group = tree
        for step in steps[:-1]:
            if group.get(step) is None:
                group[step] = {}
            group = group[step]
        if not isinstance(group, dict):
            return None
        group[steps[-1]] = value
        found = _INDENT.match(text)
        written = json.dumps(tree, indent=found[1] if found else None, ensure_ascii=False, allow_nan=False)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return written + text[len(text.rstrip()) :]


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unfit
    return found
