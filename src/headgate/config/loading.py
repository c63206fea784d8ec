"""Four sources become one: flag over environment over file over default.

Whatever is wrong is said with the place it came from, all of it at once.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from headgate.config import environment, files, places, table
from headgate.config.files import Position
from headgate.config.settings import Settings
from headgate.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Source:
    """Where a setting's value comes from, in words fit for a message."""

    description: str
    position: Position | None = None
    """Only of a file."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and where they come from."""

    settings: Settings
    path: Path
    """The settings file, whether it exists or not."""
    data_folder: Path
    """Absolute; it need not exist."""
    warnings: tuple[str, ...]
    """Sentences for the owner: unknown variables, a file that others can read."""
    sources: Mapping[str, Source]
    """By dotted path; what is missing here has its default."""


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], path: Path | None = None) -> Loaded:
    """Load the settings.

    `flags` maps dotted paths to values; None is a flag that was not given. `path` is the file that a
    flag names. Raises SettingsError; a missing file is none (`saving.write_default_file` makes one).
    """
    variables = environment.with_upper_names(environ)
    named = environment.config_path(variables)
    file = (path or (Path(named) if named else places.config_file(variables))).expanduser().absolute()
    parsed = files.read(file, environ) or files.Parsed()
    merged = _Merged(file, parsed)
    for assignment in environment.assignments(variables):
        source = Source(f"environment variable {assignment.variable}")
        merged.put(assignment.path, assignment.value, source)
    for name, value in flags.items():
        if value is not None:
            merged.put(name, value, Source(f"flag {name}"))
    return Loaded(
        settings=_validated(merged),
        path=file,
        data_folder=places.data_folder(variables),
        warnings=(*environment.warnings(variables), *_mode_warnings(file, parsed)),
        sources=merged.sources,
    )


_NAME_ITSELF = "[key]"
"""Pydantic's step to the name of a map's entry, where that is what is wrong."""


class _Merged:
    """Nested values, the stronger source over the weaker, each path with its source."""

    def __init__(self, file: Path, parsed: files.Parsed) -> None:
        self.file = file
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
        while path and path not in self.sources:
            path = path.rpartition(".")[0]
        return self.sources.get(path)


def _is_section(name: str) -> bool:
    return name in Settings.model_fields


def _validated(merged: _Merged) -> Settings:
    try:
        return Settings.model_validate(merged.values)
    except ValidationError as error:
        raise _complaint(merged, error.errors()) from error


def _complaint(merged: _Merged, errors: list[ErrorDetails]) -> SettingsError:
    """One error for all that is wrong; those of the file first, under the file's own words."""
    in_file: list[str] = []
    elsewhere: list[str] = []
    first: Position | None = None
    for error in errors:
        path = ".".join(str(step) for step in error["loc"] if step != _NAME_ITSELF)
        what = f"{path}: {_words(error)}"
        source = merged.source_of(path)
        if source and source.position:
            in_file.append(what if first is None else f"{source.position}: {what}")
            first = first or source.position
        else:
            elsewhere.append(f"Invalid setting {what}" + (f" ({source.description})" if source else ""))
    if not in_file:
        return SettingsError("; ".join(elsewhere), hint="docs/settings.md lists every setting.")
    return files.failed(merged.file, first, "; ".join(in_file + elsewhere))


def _words(error: ErrorDetails) -> str:
    """The complaint without the value: a value may be a secret."""
    match error["type"]:
        case "extra_forbidden":
            return "unknown setting" + _suggestion(error["loc"])
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a section with settings below it"
        case "json_invalid" | "json_type":
            return "is not a valid JSON list"
        case _:
            words = error["msg"].removeprefix("Value error, ")
            return words.replace("Input should be", "must be")


def _suggestion(loc: tuple[int | str, ...]) -> str:
    """The valid name that was probably meant: at the top of the file that of a setting without its
    section too; elsewhere what may stand there."""
    *groups, name = (str(step) for step in loc)
    paths = [row.path for row in table.rows()]
    if not groups:
        beside = list(Settings.model_fields)
        if full := next((path for path in paths if path.rpartition(".")[2] == name), None):
            return f", did you mean {full}?"
    else:
        beside = [
            path.rpartition(".")[2] for path in paths if _matches(path.rpartition(".")[0], ".".join(groups))
        ]
    near = table.nearest(name, beside)
    return f", did you mean {near}?" if near else f"; there are {', '.join(beside)}"


def _matches(group: str, here: str) -> bool:
    """Whether a group of the table is the one that a concrete path names."""
    wanted, found = group.split("."), here.split(".")
    free = (table.ANY_NAME, table.ANY_ITEM)
    return len(wanted) == len(found) and all(w in (f, *free) for w, f in zip(wanted, found, strict=True))


def _mode_warnings(file: Path, parsed: files.Parsed) -> list[str]:
    """A file with secrets in it should be readable by its owner only."""
    secrets = [row.path for row in table.rows() if row.is_secret]
    holds_secret = any(_matches(secret, path) for secret in secrets for path in parsed.positions)
    if holds_secret and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        return [
            f"Config file {file} holds secrets and others can read it (mode {mode:04o}): chmod 600 {file}"
        ]
    return []
