"""Writing the settings file: one key at a time, comments and order kept, never half-written."""

import io
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from headgate.config import first_file, json_text
from headgate.config.commented import uncommented
from headgate.config.comparing import are_same_but_for
from headgate.config.files import REFERENCE
from headgate.config.other_names import name_in
from headgate.config.reading import SETTINGS_BYTES, read_bytes

_log = logging.getLogger("headgate.config")

_MOST_TRIES = 5

_SKIPPED = r"(?:[ \t]*(?:#[^\n]*)?\n)*"
"""Blank lines and comments between a key and what it holds."""
_NESTED_MAP = re.compile(rf"^[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n{_SKIPPED}( +)[^\s#-]", re.MULTILINE)
_NESTED_LIST = re.compile(rf"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n{_SKIPPED}( *)-( +)\S", re.MULTILINE)


def save_settings(
    path: Path, changes: Mapping[str, Any], *, before: "Before | None" = None, raw: bool = False
) -> bool:
    """Write settings by their paths into the file; everything else in it stays as it is.

    False when the file cannot be written or is broken (a WARN line says why): the file is untouched then.
    Whether the values are any good is for the caller to know (`changing.py`). `before` is told what was
    written. `raw`: the values are as a file has them, with `${NAME}` for a variable.
    """
    target = path.resolve()
    try:
        for _ in range(_MOST_TRIES):
            found = _content_of(target)
            text = old = first_file.text() if found is None else _text_of(found)
            # Where the file has another guide's name it goes on with that: both would be one too many.
            values = YAML(typ="rt").load(old)
            places = {name_in(values, key): value for key, value in changes.items()}
            for place, value in places.items():
                text = _with(text, place.split("."), value if raw else _literal(value))
            _refuse_other_changes(old, text, places)
            with suppress(_Changed):  # then theirs is changed
                _replace(target, text.encode(), expected=found)
                break
        else:
            _log.warning("%s could not be saved to %s: it changes all the time", ", ".join(changes), path)
            return False
        if before is not None:
            before.written = text.encode()
    except (OSError, UnicodeError, YAMLError) as error:
        _log.warning("%s could not be saved to %s: %s", ", ".join(changes), path, _why(error))
        return False
    return True


def save_text(path: Path, text: str, *, before: "Before") -> bool:
    """Another text in the file's place, which is as `before` has it. False, and a WARN line, when the file
    cannot be written, or was changed meanwhile."""
    try:
        _replace(path.resolve(), text.encode(), expected=before.content)
    except _Changed:
        _log.warning("%s was changed by somebody else meanwhile and stays as it is", path)
        return False
    except OSError as error:
        _log.warning("The settings could not be saved to %s: %s", path, error.strerror)
        return False
    before.written = text.encode()
    return True


def written(path: Path, key: str) -> Any:
    """A value as the file has it, `${NAME}` and `file:` as they stand; None where it says nothing.

    Raises YAMLError and OSError for a file that cannot be read.
    """
    target = path.resolve()
    node = YAML(typ="safe", pure=True).load(target.read_text("utf-8-sig")) if target.exists() else None
    for step in key.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return node


class Before:
    """A settings file as it was, for a change that turns out to be none."""

    def __init__(self, path: Path) -> None:
        self._target = path.resolve()
        self.content = _content_of(self._target)
        """None: there was no file."""
        self.written: bytes | None = None
        """What the change made of it; None: nothing was written."""

    def put_back(self) -> None:
        """Raises nothing: an ERROR line says when it cannot be done. What somebody else has saved since
        stays."""
        try:
            if self.content is not None:
                _replace(self._target, self.content, expected=self.written)
            elif _content_of(self._target) == self.written:
                self._target.unlink(missing_ok=True)
        except _Changed:
            _log.warning("%s was changed by somebody else meanwhile and stays as it is", self._target)
        except OSError as error:
            _log.error("%s holds settings that are not in force: %s", self._target, error.strerror)


def _content_of(target: Path) -> bytes | None:
    """None: there is no file."""
    return read_bytes(target, SETTINGS_BYTES) if target.exists() else None


def write_default_file(path: Path) -> bool:
    """Write the commented default file where none is; False when it is there or cannot be written."""
    if path.exists():
        return False
    try:
        _replace(path.resolve(), first_file.text().encode())
    except _Changed:
        return False
    except OSError as error:
        _log.warning("Running on defaults; no settings file could be made at %s: %s", path, error.strerror)
        return False
    return True


def _text_of(content: bytes) -> str:
    """As an editor has it: with one kind of line end."""
    text = content.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with(text: str, steps: list[str], value: Any) -> str:
    """The file's text with one value set. Raises YAMLError when the text is broken."""
    as_json = json_text.changed(text, steps, value)
    if as_json is not None and are_same_but_for([steps], text, as_json):
        return as_json
    yaml = _yaml_as_in(text)
    if not isinstance(value, list | dict):  # those would come to stand behind the comments that follow
        text = uncommented(text, steps)
    tree = yaml.load(text)
    # In a file of comments only there is no value they could hang on to: the section goes below them.
    kept = "" if tree is not None else text.rstrip("\n") + "\n\n"
    tree = tree if tree is not None else CommentedMap()
    _put(_group_of(tree, steps), steps[-1], _as_written(value))
    out = io.StringIO()
    yaml.dump(tree, out)
    return kept + out.getvalue()


def _put(group: CommentedMap, name: str, value: Any) -> None:
    """A list that only grows keeps the comments within it."""
    old = group.get(name)
    if isinstance(old, CommentedSeq) and isinstance(value, list) and list(old) == value[: len(old)]:
        old.extend(value[len(old) :])
    else:
        group[name] = value


def _literal(value: Any) -> Any:
    """As it has to be written so that `${` in it stands for itself."""
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {name: _literal(item) for name, item in value.items()}
    return REFERENCE.sub(lambda found: f"${found[0]}", value) if isinstance(value, str) else value


def _as_written(value: Any) -> Any:
    """Line breaks and the like come back whole from quotes with escapes only."""
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    if isinstance(value, dict):
        return {_as_written(name): _as_written(item) for name, item in value.items()}
    is_plain = not isinstance(value, str) or value.isprintable()
    return value if is_plain else DoubleQuotedScalarString(value)


def _group_of(tree: Any, steps: list[str]) -> CommentedMap:
    """The section that the setting stands in, made where it is missing."""
    group = tree
    for step in steps[:-1]:
        if isinstance(group, CommentedMap) and group.get(step) is None:
            group[step] = CommentedMap()
        group = group[step] if isinstance(group, CommentedMap) else None
    if not isinstance(group, CommentedMap):
        raise YAMLError(f"{'.'.join(steps[:-1]) or 'the top'} is not a section")
    return group


def _yaml_as_in(text: str) -> YAML:
    """A writer that keeps the text's own indents, quotes and long lines."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 10_000
    nested = _NESTED_MAP.search(text)
    mapping = len(nested[1]) if nested else 2
    listed = _NESTED_LIST.search(text)
    offset = len(listed[2]) - len(listed[1]) if listed else 0
    yaml.indent(mapping=mapping, sequence=offset + 1 + len(listed[3]) if listed else 2, offset=offset)
    return yaml


class _OtherChanges(YAMLError):
    """More than the settings in question would be others."""


def _refuse_other_changes(before: str, after: str, changes: Mapping[str, Any]) -> None:
    """An anchor makes two sections one; and what the writer makes of odd files is not always read again."""
    if not are_same_but_for([key.split(".") for key in changes], before, after):
        raise _OtherChanges("other settings would change with it; do sections share an anchor (&)?")


def _why(error: OSError | UnicodeError | YAMLError) -> str | None:
    if isinstance(error, OSError):
        return error.strerror
    return str(error) if isinstance(error, _OtherChanges) else "it is not what it should be"


class _Changed(Exception):
    """Somebody saved the file meanwhile."""


def _replace(target: Path, content: bytes, *, expected: bytes | None = None) -> None:
    """All or nothing: a new file of mode 0600 takes the old one's place, and keeps its owner.

    `expected` is what stands there; `_Changed` when that is something else by now. None: nothing does.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _keep_owner(target, Path(name))
        # Here, behind the slow part: no system has a rename that compares.
        if _content_of(target) != expected:
            raise _Changed
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _keep_owner(old: Path, new: Path) -> None:
    """Root may edit the file of the user that runs the service, which must still be able to read it."""
    if old.exists() and hasattr(os, "chown"):
        found = old.stat()
        if (found.st_uid, found.st_gid) != (os.getuid(), os.getgid()):
            with suppress(PermissionError):
                os.chown(new, found.st_uid, found.st_gid)
