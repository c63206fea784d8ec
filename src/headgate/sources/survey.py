"""What the files of the owner's sources say, read all at once: for a thread, because files may be slow.

A file that is as it was at the last survey is not read again.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headgate.access.hosts import SUFFIX
from headgate.config import fingerprints, texts
from headgate.config.fingerprints import Fingerprint
from headgate.config.reading import read_bytes
from headgate.config.sources import SourceSettings
from headgate.errors import StorageError
from headgate.sources import accounts_json, auth_files, domain_files
from headgate.sources.found import Contents
from headgate.sources.json_text import JsonText, Malformed
from headgate.storage.drafts import FILES
from headgate.storage.location import permission_denied

MOST_BYTES = 4 << 20
_MOST_FILES = 10_000

Reader = Callable[[JsonText], Contents]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file or folder that cannot be used; `origin` None: the folder itself."""

    what: str
    hint: str
    path: Path
    is_wrong: bool = True
    """False: it may be right, and cannot be read."""


@dataclass(slots=True)
class Reading:
    """One file as it was read last."""

    path: Path
    origin: str
    fingerprint: Fingerprint
    reader: Reader
    digest: bytes = b""
    """Of the content: whether a file that was written again says something else."""
    contents: Contents | None = None
    trouble: Trouble | None = None


@dataclass(slots=True)
class Survey:
    readings: dict[str, Reading] = field(default_factory=dict)
    """By origin."""
    unread: dict[str, Trouble] = field(default_factory=dict)
    """By the beginning of an origin: whole sources whose folder is away."""
    missing: set[Path] = field(default_factory=set)
    """Accounts files that are not there, in a folder that is."""

    def troubles(self) -> Iterator[Trouble]:
        yield from self.unread.values()
        yield from (one.trouble for one in self.readings.values() if one.trouble)

    @property
    def has_client_keys(self) -> bool:
        """Some host has a client key of its own."""
        return any(one.contents is not None and one.contents.client_key for one in self.readings.values())

    def is_like(self, other: "Survey") -> bool:
        mine = {origin: (one.digest, one.trouble) for origin, one in self.readings.items()}
        its = {origin: (one.digest, one.trouble) for origin, one in other.readings.items()}
        return (mine, self.unread, self.missing) == (its, other.unread, other.missing)


ACCOUNTS, DOMAINS, AUTHS = FILES, FILES + "credentials/", FILES + "auth/"
"""How the origins of the three sources begin."""


def take_survey(settings: SourceSettings, before: Survey, *, insists: bool = False) -> Survey:
    """`insists`: read everything, also what looks as it did."""
    survey = Survey()
    known: Mapping[str, Reading] = {} if insists else before.readings
    if settings.accounts_path is not None:
        _look_at_accounts(survey, settings.accounts_path, known)
    if settings.credentials_path is not None:
        for file in _files_in(survey, settings.credentials_path, SUFFIX, DOMAINS):
            _read(survey, file, DOMAINS + file.name, known, _domain_reader(file))
    if settings.auth_path is not None:
        for file in _files_in(survey, settings.auth_path, ".json", AUTHS):
            _read(survey, file, AUTHS + file.name, known, _auth_reader(file))
    return survey


def _look_at_accounts(survey: Survey, file: Path, known: Mapping[str, Reading]) -> None:
    try:
        if not file.parent.is_dir():
            survey.unread[ACCOUNTS + file.name] = _gone(file.parent)
            return
        file.stat()
    except FileNotFoundError:
        if not file.is_symlink():  # a link that leads nowhere is no removal
            survey.missing.add(file)
            return
    except OSError:
        pass  # reading says why
    _read(survey, file, ACCOUNTS + file.name, known, accounts_json.read)


def _files_in(survey: Survey, folder: Path, suffix: str, origin: str) -> list[Path]:
    """In the order of their names; those whose name begins with a dot are somebody's working files."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                one.name for one in entries if one.name.endswith(suffix) and not one.name.startswith(".")
            )
    except FileNotFoundError:
        survey.unread[origin] = _gone(folder)
        return []
    except OSError as error:
        survey.unread[origin] = _unreadable(folder, error)
        return []
    if len(names) > _MOST_FILES:
        hint = "Take out what is not used."
        survey.unread[origin] = Trouble(f"{folder} holds more than {_MOST_FILES} files", hint, folder, False)
        return []
    return [folder / name for name in names]


def _domain_reader(file: Path) -> Reader:
    return lambda text: domain_files.read(text, file)


def _auth_reader(file: Path) -> Reader:
    return lambda text: auth_files.read(text, file)


def _read(survey: Survey, file: Path, origin: str, known: Mapping[str, Reading], reader: Reader) -> None:
    if texts.is_broken(file.name):
        _refuse_name(survey, file, origin, reader)
        return
    fingerprint = fingerprints.of([file])[file]
    before = known.get(origin)
    if before is not None and before.path == file and before.fingerprint == fingerprint:
        survey.readings[origin] = before
        return
    reading = survey.readings[origin] = Reading(file, origin, fingerprint, reader)
    try:
        content = read_bytes(file, MOST_BYTES)
        reading.digest = hashlib.sha256(content).digest()
        reading.contents = reader(JsonText(content))
    except Malformed as wrong:
        where = f"line {wrong.line} column {wrong.column}"
        reading.trouble = Trouble(
            f"Failed to parse {file.name}: {where}: {wrong.words} ({file})",
            f"Correct {file}, or put a good copy in its place.",
            file,
        )
    except OSError as error:
        reading.trouble = _unreadable(file, error)


def _refuse_name(survey: Survey, file: Path, origin: str, reader: Reader) -> None:
    """A name stands in the database, in answers and in the log, which take nothing but text."""
    shown = file.with_name(file.name.encode("utf-8", "backslashreplace").decode())
    trouble = Trouble(f"Cannot use {shown}: its name is no UTF-8 text", "Rename it.", shown, is_wrong=False)
    origin = origin[: -len(file.name)] + shown.name
    survey.readings[origin] = Reading(shown, origin, (), reader, trouble=trouble)


def _gone(folder: Path) -> Trouble:
    return Trouble(
        f"The folder {folder} is not there", "Put it back, or name another one in `sources`.", folder, False
    )


def _unreadable(path: Path, error: OSError) -> Trouble:
    if isinstance(error, PermissionError):
        denied = read_denied(path)
        return Trouble(denied.message, denied.hint, path, False)
    return Trouble(
        f"Cannot read {path}: {error.strerror}",
        "Put a readable file there, or change `sources`.",
        path,
        False,
    )


def read_denied(path: Path) -> StorageError:
    return permission_denied(path, named_by="the setting `sources`")


def mode_warnings(survey: Survey) -> list[str]:
    """Files of tokens that others can read."""
    if os.name != "posix":
        return []
    found = []
    for reading in survey.readings.values():
        try:
            mode = stat.S_IMODE(reading.path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077 and reading.contents is not None and reading.contents.found:
            path = reading.path
            found.append(f"{path} holds secrets and others can read it (mode {mode:04o}): chmod 600 {path}")
    return found
