"""Five sources become one: flag over environment over `.env` over file over default.

Whatever is wrong is said with the place it came from, all of it at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headgate.config import env_file, environment, files, fingerprints, other_names, places
from headgate.config.complaints import Complaint, path_of, words_of
from headgate.config.env_file import EnvFile
from headgate.config.exposure import exposed
from headgate.config.fingerprints import Fingerprint
from headgate.config.merging import SET_WHILE_RUNNING, Merged, Source, source_of
from headgate.config.notices import (
    account_warnings,
    key_warnings,
    later_warnings,
    mode_warnings,
    tls_warnings,
)
from headgate.config.settings import Settings
from headgate.errors import SettingsError


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
        if self.path is not None:
            return places.path_of(str(self.path)).absolute()
        return environment.config_file(variables) or places.config_file(variables)

    def load(self) -> "Loaded":
        """Raises SettingsError with all that is wrong. Writes nothing."""
        return self.examine().or_raise()

    def examine(self, text: str | None = None) -> "Examined":
        """Raises SettingsError only for a file that cannot be read or is no YAML at all.

        `text`: as if the file said that.
        """
        env_path = (self.folder / env_file.NAME,) if self.folder else ()
        seen = {**fingerprints.of(env_path)}  # before reading: what is saved meanwhile is seen later
        below = self._below()
        real = environment.with_upper_names(self.environ)
        variables = self._variables(below)
        file = self._file(variables)
        seen |= fingerprints.of([file])
        known = {**below.variables, **self.environ}
        found = files.read(file, known) if text is None else files.parse(file, text, known)
        translated = tuple(other_names.translate(found)) if found else ()
        merged = Merged(file, found or files.Parsed())
        for assignment in environment.assignments(variables):
            kind = "environment variable" if assignment.variable in real else f"file {below.path}: variable"
            merged.put(assignment.path, assignment.value, Source(f"{kind} {assignment.variable}"))
        for name, value in self.flags.items():
            if value is not None:
                merged.put(name, value, Source(f"flag {name}"))
        for name, value in self.overrides.items():
            merged.put(name, value, Source(SET_WHILE_RUNNING))
        settings, complaints = _validated(merged)
        not_yet = tuple(later_warnings(settings, merged)) if settings is not None else ()
        weak = tuple(exposed(settings, merged)) if settings is not None else ()
        lasting = (*not_yet, *(f"{reason}: {mend}" for reason, mend in weak))
        warnings = (
            *environment.warnings(variables),
            *below.warnings,
            *translated,
            *(mode_warnings(file, merged.parsed) if text is None else ()),
            *lasting,
            *(key_warnings(settings, merged) if settings is not None else ()),
            *(account_warnings(settings, merged) if settings is not None else ()),
            *(tls_warnings(settings) if settings is not None else ()),
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
                lasting=lasting,
                exposed=weak,
                sources=merged.sources,
                secret_key=variables.get(places.SECRET_KEY_VARIABLE),
                has_file=found is not None,
                is_named=bool(self.path or environment.config_file(variables)),
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
    lasting: tuple[str, ...] = ()
    """Those of the warnings that an owner may live with for long (a setting without effect, a gateway that
    stands open): nothing for every command to repeat."""
    exposed: tuple[tuple[str, str], ...] = ()
    """What is weak about a gateway that listens wide, each with its mend."""
    secret_key: str | None = field(default=None, repr=False)
    """The encryption key, where a variable holds it."""
    has_file: bool = True
    is_named: bool = False
    """By a flag or a variable; else it is the platform's own."""
    watched: Mapping[Path, Fingerprint] = field(default_factory=dict)
    """All files that had a say, as they were then: settings, `.env`, secrets."""

    def source_of(self, path: str) -> Source | None:
        """Of the setting itself or of the group that gave it; None: the default stands."""
        return source_of(self.sources, path)


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

    @property
    def lacks_variables_only(self) -> bool:
        """The file may well be right: it is this process that has not what `${NAME}` stands for."""
        return bool(self.complaints) and all(one.lacks_variable for one in self.complaints)

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


# ---- what is wrong -------------------------------------------------------------------------------


def _validated(merged: Merged) -> tuple[Settings | None, list[Complaint]]:
    missing = {
        path: Complaint(path, words, f"file {merged.file}", merged.parsed.positions.get(path), True)
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


def _complaint(merged: Merged, path: str, words: str) -> Complaint:
    source = merged.source_of(path)
    return Complaint(path, words, source.description if source else "", source.position if source else None)


def _error_of(file: Path, complaints: list[Complaint]) -> SettingsError:
    """One error for all that is wrong; those of the file first, under the file's own words."""
    in_file = [str(one) for one in complaints if one.position]
    elsewhere = [
        f"Invalid setting {one}" + (f" ({one.source})" if one.source not in ("", SET_WHILE_RUNNING) else "")
        for one in complaints
        if not one.position
    ]
    if not in_file:
        return SettingsError("; ".join(elsewhere), hint="`headgate config docs` lists every setting.")
    return files.failed(file, None, "; ".join(in_file + elsewhere))


def _secret_files(node: Any) -> Iterator[Path]:
    """What `file:` names, anywhere in the values."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _secret_files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _secret_files(value)
    elif isinstance(node, str) and node.strip().startswith("file:"):
        yield places.path_of(node.strip().removeprefix("file:")).absolute()
