"""Names that other gateways give to settings: understood in the file and by commands, answered with ours."""

from collections.abc import Iterator
from typing import Any

from headgate.config.files import Parsed

NAMES = {
    "lb_strategy": "routing.strategy",
    "retry_attempts": "retry.attempts",
    "retry_delay_ms": "retry.delay_ms",
    "retry_backoff": "retry.backoff",
    "session_duration_ms": "routing.session_duration_ms",
    "client_id": "providers.anthropic.oauth.client_id",
    "api-keys": "access.api_keys",
    "remote-management.secret-key": "admin.key",
    "excluded-models": "models.excluded",
}


def ours(key: str) -> str:
    """The same for a name that is ours, or nobody's."""
    return NAMES.get(key, key)


def name_in(values: Any, our_path: str) -> str:
    """The name under which a file's values have this setting: ours, unless only another one stands there."""
    theirs = next((theirs for theirs, ours_ in NAMES.items() if ours_ == our_path), None)
    is_theirs = theirs is not None and _stands(values, theirs) and not _stands(values, our_path)
    return theirs if theirs is not None and is_theirs else our_path


def _stands(values: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(values, dict) or step not in values:
            return False
        values = values[step]
    return True


def translate(parsed: Parsed) -> Iterator[str]:
    """Put what stands under another name where it belongs; a sentence for each. What stands there already
    stays: it is the clearer word."""
    for theirs, our_path in NAMES.items():
        steps = theirs.split(".")
        group = _group(parsed.values, steps[:-1])
        if group is None or steps[-1] not in group:
            continue
        value = group.pop(steps[-1])
        _drop_empty(parsed.values, steps[:-1])
        where = parsed.positions.get(theirs)
        place = f" ({where})" if where else ""
        if _put(parsed.values, our_path.split("."), value):
            _move(parsed, theirs, our_path)
            yield f"{theirs} is called {our_path} here{place}"
        else:
            yield f"{theirs} is passed over{place}: {our_path} is set as well"


def _group(values: dict[str, Any], steps: list[str]) -> dict[str, Any] | None:
    for step in steps:
        found = values.get(step)
        if not isinstance(found, dict):
            return None
        values = found
    return values


def _drop_empty(values: dict[str, Any], steps: list[str]) -> None:
    if steps and values.get(steps[0]) == {}:
        del values[steps[0]]


def _put(values: dict[str, Any], steps: list[str], value: Any) -> bool:
    """False: something stands there, or its section is none."""
    for step in steps[:-1]:
        below = values.get(step)
        if below is None:
            below = values[step] = {}
        if not isinstance(below, dict):
            return False
        values = below
    if steps[-1] in values:
        return False
    values[steps[-1]] = value
    return True


def _move(parsed: Parsed, theirs: str, our_path: str) -> None:
    """Places and missing variables go along, those of a list's items too."""
    for table in (parsed.positions, parsed.unresolved):
        for path in [path for path in table if path == theirs or path.startswith(f"{theirs}.")]:
            table[our_path + path[len(theirs) :]] = table.pop(path)  # type: ignore[assignment]
