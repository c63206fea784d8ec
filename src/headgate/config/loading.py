"""Five sources become one: flag over environment over `.env` over file over default.

Whatever is wrong is said with the place it came from, all of it at once.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headgate.config import env_file, environment, files, fingerprints, places, table
from headgate.config.complaints import Complaint, path_of, words_of
from headgate.config.env_file import EnvFile
from headgate.config.files import Position
from headgate.config.fingerprints import Fingerprint
from headgate.config.settings import Settings
from headgate.errors import SettingsError

SET_WHILE_RUNNING = "set while running, not in the file"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a setting's value comes from, in words fit for a message."""

    description: str
    position: Position | None = None
    """Only of a file."""


@dataclass(frozen=True, slots=True, repr=False)
class Origin:
    """What a process was started with: enough to load its settings once more."""

    flags: Mapping[str, Any]
    """Dotted paths; None is a flag that was not given."""
    environ: Mapping[str, str]
    """The real environment."""
    path: Path | None = None
    """The settings file that a flag names."""
    folder: Path | None = None
    """Where `.env` is looked for; None: nowhere."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Set while the process runs, and not to be had from the file: stronger than all else."""

    def overridden(self, overrides: Mapping[str, Any]) -> "Origin":
        return replace(self, overrides=overrides)

    def file(self) -> Path:
        """The settings file, whether it exists or not."""
        return self._file(self._variables(self._below()))

    def data_folder(self) -> Path:
        return places.data_folder(self._variables(self._below()))

    def _below(self) -> EnvFile:
        return env_file.read(self.folder / env_file.NAME, self.environ) if self.folder else EnvFile(Path())

    def _variables(self, below: EnvFile) -> dict[str, str]:
        return {
            **environment.with_upper_names(below.variables),
            **environment.with_upper_names(self.environ),
        }

    def _file(self, variables: Mapping[str, str]) -> Path:
        named = self.path or environment.config_path(variables)
        return Path(named or places.config_file(variables)).expanduser().absolute()

    def load(self) -> "Loaded":
        """Raises SettingsError with all that is wrong. Writes nothing."""
        return self.examine().or_raise()

    def examine(self) -> "Examined":
        """Raises SettingsError only for a file that cannot be read or is no YAML at all."""
        env_path = (self.folder / env_file.NAME,) if self.folder else ()
        seen = {**fingerprints.of(env_path)}  # before reading: what is saved meanwhile is seen later
        below = self._below()
        real = environment.with_upper_names(self.environ)
        variables = self._variables(below)
        file = self._file(variables)
        seen |= fingerprints.of([file])
        found = files.read(file, {**below.variables, **self.environ})
        merged = _Merged(file, found or files.Parsed())
        for assignment in environment.assignments(variables):
            kind = "environment variable" if assignment.variable in real else f"file {below.path}: variable"
            merged.put(assignment.path, assignment.value, Source(f"{kind} {assignment.variable}"))
        for name, value in self.flags.items():
            if value is not None:
                merged.put(name, value, Source(f"flag {name}"))
        for name, value in self.overrides.items():
            merged.put(name, value, Source(SET_WHILE_RUNNING))
        settings, complaints = _validated(merged)
        warnings = (
            *environment.warnings(variables),
            *below.warnings,
            *_mode_warnings(file, merged.parsed),
            *(_later_warnings(settings, merged) if settings is not None else ()),
        )
        seen |= fingerprints.of(_secret_files(merged.values))
        data_folder = places.data_folder(variables)
        loaded = None
        if settings is not None:
            loaded = Loaded(
                settings=settings,
                path=file,
                data_folder=data_folder,
                warnings=warnings,
                sources=merged.sources,
                secret_key=variables.get(places.SECRET_KEY_VARIABLE),
                has_file=found is not None,
                is_named=bool(self.path or environment.config_path(variables)),
                watched=seen,
                origin=self,
            )
        return Examined(
            file,
            found is not None,
            data_folder,
            loaded,
            complaints,
            warnings,
            seen,
            found is None or found.is_blank,
        )


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
    origin: Origin
    secret_key: str | None = field(default=None, repr=False)
    """The encryption key, where a variable holds it."""
    has_file: bool = True
    is_named: bool = False
    """By a flag or a variable; else it is the platform's own."""
    watched: Mapping[Path, Fingerprint] = field(default_factory=dict)
    """All files that had a say, as they were then: settings, `.env`, secrets."""

    def source_of(self, path: str) -> Source | None:
        """Of the setting itself or of the group that gave it; None: the default stands."""
        return _source_of(self.sources, path)


@dataclass(frozen=True, slots=True)
class Examined:
    """All that is to be said about settings, good or bad."""

    path: Path
    has_file: bool
    data_folder: Path
    loaded: Loaded | None
    complaints: list[Complaint]
    warnings: tuple[str, ...]
    watched: Mapping[Path, Fingerprint]
    is_blank: bool
    """The file has not a word in it, or there is none."""

    def or_raise(self) -> Loaded:
        if self.loaded is None:
            raise _error_of(self.path, self.complaints)
        return self.loaded


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    path: Path | None = None,
    *,
    folder: Path | None = None,
) -> Loaded:
    """Load the settings; see `Origin`. A missing file is none (`saving.write_default_file` makes one)."""
    return Origin(flags, environ, path, folder).load()


class _Merged:
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
        return _source_of(self.sources, path)


def _source_of(sources: Mapping[str, Source], path: str) -> Source | None:
    while path and path not in sources:
        path = path.rpartition(".")[0]
    return sources.get(path)


def _is_section(name: str) -> bool:
    return name in Settings.model_fields


# ---- what is wrong -------------------------------------------------------------------------------


def _validated(merged: _Merged) -> tuple[Settings | None, list[Complaint]]:
    missing = {
        path: Complaint(path, words, f"file {merged.file}", merged.parsed.positions.get(path))
        for path, words in merged.parsed.unresolved.items()
        if path in merged.sources and merged.sources[path].position
    }
    try:
        settings = Settings.model_validate(merged.values)
    except ValidationError as error:
        wrong = [_complaint(merged, path_of(one), words_of(one)) for one in error.errors()]
        # Whatever else is said of such a value, or compares it with others, follows from its absence.
        wrong = [one for one in wrong if not any(path.startswith(one.path) for path in missing)]
        return None, [*missing.values(), *wrong]
    return (None if missing else settings), list(missing.values())


def _complaint(merged: _Merged, path: str, words: str) -> Complaint:
    source = merged.source_of(path)
    return Complaint(path, words, source.description if source else "", source.position if source else None)


def _error_of(file: Path, complaints: list[Complaint]) -> SettingsError:
    """One error for all that is wrong; those of the file first, under the file's own words."""
    in_file = [str(one) for one in complaints if one.position]
    elsewhere = [
        f"Invalid setting {one}" + (f" ({one.source})" if one.source else "")
        for one in complaints
        if not one.position
    ]
    if not in_file:
        return SettingsError("; ".join(elsewhere), hint="docs/settings.md lists every setting.")
    return files.failed(file, None, "; ".join(in_file + elsewhere))


# ---- what is worth a word ------------------------------------------------------------------------


def _later_warnings(settings: Settings, merged: _Merged) -> Iterator[str]:
    """A setting that nothing obeys yet must not be believed in."""
    for path, value in table.values(settings):
        row = table.row_of(path)
        if row is not None and row.is_later and (row.is_required or value != row.default):
            source = merged.source_of(path)
            yield f"{path} is not in effect yet: this release takes no notice of it{_place(source)}"
    for number, account in enumerate(settings.accounts):
        if account.api_key is None:
            place = _place(merged.source_of(f"accounts.{number}"))
            yield f"The account {account.name} cannot serve: it has no api_key{place}"


def _place(source: Source | None) -> str:
    if source is None:
        return ""
    return f" ({source.description}{f', {source.position}' if source.position else ''})"


def _mode_warnings(file: Path, parsed: files.Parsed) -> list[str]:
    """A file with secrets in it should be readable by its owner only."""
    secrets = [row.path for row in table.rows() if row.is_secret]
    holds_secret = any(table.matches(secret, path) for secret in secrets for path in parsed.positions)
    if holds_secret and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        return [
            f"Config file {file} holds secrets and others can read it (mode {mode:04o}): chmod 600 {file}"
        ]
    return []


def _secret_files(node: Any) -> Iterator[Path]:
    """What `file:` names, anywhere in the values."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _secret_files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _secret_files(value)
    elif isinstance(node, str) and node.strip().startswith("file:"):
        yield Path(node.strip().removeprefix("file:")).expanduser().absolute()
