"""Settings before and after a change, as the audit record has them: of a secret only that it changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.admin.configuration import Configuration, Swap
from headgate.config import table
from headgate.config.other_names import ours
from headgate.config.settings import Settings
from headgate.config.shown import masked

ALL = "settings"
"""The object of a change of several, or of none that is known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in force, and what waits for a restart."""

    settings: Settings
    waiting: Mapping[str, Any]

    def shown(self, paths: Iterable[str]) -> dict[str, Any]:
        """By path; what waits counts as changed, for the file has it."""
        return {path: _shown(path, self._value(path)) for path in paths}

    def _value(self, path: str) -> Any:
        return self.waiting[path] if path in self.waiting else table.value_at(self.settings, path)


def seen(configuration: Configuration) -> Seen:
    return Seen(configuration.settings, configuration.waiting)


def differing(before: Seen, now: Configuration, swap: Swap) -> list[str]:
    """What a reload has changed, or has found changed and left for a restart."""
    waiting = [path for path in swap.waiting if before.waiting.get(path, before) != now.waiting.get(path)]
    back = [path for path in before.waiting if path not in now.waiting and path not in swap.changed]
    return [*swap.changed, *waiting, *back]


def named(changes: Iterable[str], swap: Swap) -> list[str]:
    """What the owner named, also where it was so before: it is written in the file now."""
    return [*dict.fromkeys([*map(ours, changes), *swap.changed])]


def name_of(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else ALL


def _shown(path: str, value: Any) -> Any:
    row = table.row_of(path)
    return _plain(masked(value, is_secret=row is not None and row.is_secret, path=path))


def _plain(value: Any) -> Any:
    """As JSON has it: a moment or an enumeration by its words."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
