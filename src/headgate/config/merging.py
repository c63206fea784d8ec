"""Values from several sources, the stronger over the weaker, each with where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.config import files
from headgate.config.files import Position
from headgate.config.settings import Settings

SET_WHILE_RUNNING = "set while running, not in the file"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a setting's value comes from, in words fit for a message."""

    description: str
    position: Position | None = None
    """Only of a file."""


class Merged:
    """Nested values, the stronger source over the weaker, each path with its source."""

    def __init__(self, file: Path, parsed: files.Parsed) -> None:
        self.file = file
        self.parsed = parsed
        # An empty section (`server:` with nothing below) says nothing: the defaults stand.
        self.values = {
            name: value for name, value in parsed.values.items() if value is not None or not _is_section(name)
        }
        self.sources = {name: Source(f"file {file}", place) for name, place in parsed.positions.items()}

    def put(self, path: str, value: Any, source: Source) -> None:
        *sections, name = path.split(".")
        group: Any = self.values
        for section in sections:
            # A section that is no map is the file's error: left as it is, for the validation to say so.
            if not isinstance(group, dict):
                return
            group = group.setdefault(section, {})
        if not isinstance(group, dict):
            return
        group[name] = value
        self.sources = {known: s for known, s in self.sources.items() if not known.startswith(path + ".")}
        self.sources[path] = source

    def source_of(self, path: str) -> Source | None:
        """Of the path itself, else of what stands below it, else of the nearest group that holds it."""
        if path not in self.sources:
            path = next((known for known in self.sources if known.startswith(path + ".")), path)
        return source_of(self.sources, path)


def source_of(sources: Mapping[str, Source], path: str) -> Source | None:
    while path and path not in sources:
        path = path.rpartition(".")[0]
    return sources.get(path)


def _is_section(name: str) -> bool:
    return name in Settings.model_fields
