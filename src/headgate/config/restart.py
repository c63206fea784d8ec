"""Settings that a running gateway keeps as they were when it started: its sockets, processes and stores."""

from typing import Any

from pydantic import BaseModel

from headgate.config import table
from headgate.config.settings import Settings

KEPT = tuple(row.path for row in table.rows() if row.needs_restart)


def kept(new: Settings, running: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The new settings as they can take effect now, and the paths of those that wait for a restart."""
    waiting = tuple(path for path in KEPT if table.value_at(new, path) != table.value_at(running, path))
    for path in waiting:
        new = _with(new, path.split("."), table.value_at(running, path))
    return new, waiting


def _with(section: Any, steps: list[str], value: Any) -> Any:
    """A copy in which one value is another one."""
    name, *rest = steps
    inner = _with(getattr(section, name), rest, value) if rest else value
    assert isinstance(section, BaseModel)
    return section.model_copy(update={name: inner})
