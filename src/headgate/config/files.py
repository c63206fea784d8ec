"""The settings file: YAML in, plain values with their line and column out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from headgate.config import texts, yaml_words
from headgate.config.reading import SETTINGS_BYTES, read_bytes
from headgate.errors import SettingsError

REFERENCE = re.compile(r"\$(\$?)\{([^}]*)\}")
"""`${NAME}`, and `$${NAME}` for the text itself."""
_MEND = "Correct the file, or take the line out to have the default; `headgate config docs` lists them all."


class Position(NamedTuple):
    """Counted from 1, as editors do."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(slots=True)
class Parsed:
    """What a file says: nested plain values, and where each dotted path stands."""

    values: dict[str, Any] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    is_blank: bool = False
    """There is not a word in it, not even a comment."""
    unresolved: dict[str, str] = field(default_factory=dict)
    """By path: in words, the `${NAME}` that the environment has not."""


def failed(path: Path, where: Position | None, what: str) -> SettingsError:
    """The one form of every complaint about a settings file."""
    place = f"{where}: " if where else ""
    return SettingsError(f"Failed to parse config file {path}: {place}{what}", hint=_MEND)


def read(path: Path, environ: Mapping[str, str]) -> Parsed | None:
    """Read a settings file; None when there is none.

    Raises SettingsError with line and column; the file is never touched.
    """
    try:
        text = read_bytes(path, SETTINGS_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise failed(path, _at_byte(error), "this is not UTF-8 text") from error
    except OSError as error:
        raise SettingsError(
            f"Cannot read config file {path}: {error.strerror}{owner_of(path)}",
            hint="Give the user that runs headgate the right to read it, or name another file with --config.",
        ) from error
    return parse(path, text, environ)


def parse(path: Path, text: str, environ: Mapping[str, str]) -> Parsed:
    """What a text for that file says. `${NAME}` is replaced from `environ`. Raises SettingsError."""
    return _Reader(path, environ).read(text)


def owner_of(path: Path) -> str:
    """` (owned by NAME)`, or nothing where that cannot be told."""
    try:
        return f" (owned by {path.owner()})"
    except (OSError, KeyError, NotImplementedError):
        return ""


def _at_byte(error: UnicodeDecodeError) -> Position:
    before = bytes(error.object[: error.start])
    return Position(before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)


class _Reader:
    """One reading of one file."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._parsed = Parsed()

    def read(self, text: str) -> Parsed:
        self._parsed.is_blank = not text.strip()
        try:
            tree = YAML(typ="rt").load(text)
            if tree is None:
                return self._parsed
            if not isinstance(tree, CommentedMap):
                raise failed(self._path, Position(1, 1), "expected sections such as `server:` at the top")
            self._parsed.values = self._plain_map(tree, "")
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = Position(mark.line + 1, mark.column + 1) if mark else None
            # Not chained: the parser's own words may repeat a value.
            raise failed(self._path, where, yaml_words.words_of(error, text)) from None
        except (YAMLError, ValueError):
            what = "a value begins like a number or a date and is none: put it in quotes"
            raise failed(self._path, None, what) from None
        except RecursionError as error:
            raise failed(self._path, None, "the nesting is too deep") from error
        return self._parsed

    def _plain_map(self, mapping: CommentedMap, path: str) -> dict[str, Any]:
        plain = {}
        for key, value in mapping.items():
            name, where = str(key), self._place(mapping, key, value)
            if texts.is_broken(name):
                raise failed(self._path, where, f"the name {texts.shown(name)!r} {texts.WORDS}")
            plain[name] = self._plain(value, f"{path}.{name}" if path else name, where)
        return plain

    def _plain(self, node: Any, path: str, where: Position | None) -> Any:
        if where:
            self._parsed.positions[path] = where
        if isinstance(node, CommentedMap):
            return self._plain_map(node, path)
        if isinstance(node, CommentedSeq):
            return [
                self._plain(item, f"{path}.{index}", self._place(node, index, item) or where)
                for index, item in enumerate(node)
            ]
        if node is None or isinstance(node, bool):
            return node
        for plain in (int, float):
            if isinstance(node, plain):
                return plain(node)
        return self._substituted(str(node), path)

    @staticmethod
    def _place(parent: CommentedMap | CommentedSeq, key: Any, node: Any) -> Position | None:
        """A scalar's own place, else its key's; what `<<` merged in has none of its own."""
        place = (parent.lc.data or {}).get(key)
        if place is None:
            return None
        is_group = isinstance(node, CommentedMap | CommentedSeq)
        line, column = place[:2] if is_group or len(place) < 4 else place[2:4]
        return Position(line + 1, column + 1)

    def _substituted(self, text: str, path: str) -> str:
        def value_of(found: re.Match[str]) -> str:
            escaped, name = found.groups()
            if escaped:
                return found[0][1:]
            if name not in self._environ:
                self._parsed.unresolved[path] = f"the environment has no variable {name!r}"
                return ""
            return self._environ[name]

        return REFERENCE.sub(value_of, text)
