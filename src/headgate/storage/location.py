"""Where a database is: the setting `storage.url` read, its folder made, its file guarded."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from headgate.config.places import CONTROL_SOCKET, DATA_VARIABLE, path_of
from headgate.config.reading import refuse_other_kinds
from headgate.errors import SettingsError, StorageError

FILE_NAME = "headgate.db"

_POSTGRES = {"postgres", "postgresql", "postgresql+asyncpg"}
_SQLITE = {"sqlite", "sqlite+aiosqlite"}


@dataclass(frozen=True, slots=True)
class Location:
    """`url` is the driver's; `shown` may be printed: it holds no password."""

    url: sa.URL
    shown: str
    path: Path | None
    """The file of a SQLite database, absolute; None for PostgreSQL."""
    named_by: str = "the setting storage.url"
    """What its owner changes to have it elsewhere."""


def locate(url: str | Path | None, folder: Path | None) -> Location:
    """`url` as a person writes it: a path, `sqlite:///path`, `postgresql://…`; None: a file in `folder`."""
    if url is None:
        return replace(_file((folder or Path()) / FILE_NAME), named_by=_DATA_FOLDER)
    if isinstance(url, Path) or "://" not in url:
        return _file(Path(url))
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise SettingsError("storage.url cannot be read as an address.", hint=_FORMS) from error
    if parsed.drivername in _SQLITE and parsed.database and parsed.database != ":memory:":
        return _file(Path(parsed.database))
    if parsed.drivername in _POSTGRES:
        return _server(parsed)
    raise SettingsError(f"storage.url does not name a database we can use: {parsed}", hint=_FORMS)


_DATA_FOLDER = f"the environment variable {DATA_VARIABLE}"
_FORMS = "Give a file path, sqlite:///path or postgresql://user:password@host/database."


def _file(path: Path) -> Location:
    path = path_of(str(path)).absolute()
    return Location(sa.URL.create("sqlite+aiosqlite", database=str(path)), str(path), path)


def _server(url: sa.URL) -> Location:
    # `sslmode` is libpq's word; asyncpg takes the same values under `ssl`.
    query = {"ssl" if key == "sslmode" else key: value for key, value in url.query.items()}
    url = url.set(drivername="postgresql+asyncpg", query=query)
    shown = f"postgresql://{url.host or query.get('host') or 'localhost'}:{url.port or 5432}/{url.database}"
    return Location(url, shown, None)


def state_folder(database: Path | None, data_folder: Path) -> Path:
    """Where journal and key lie: beside the SQLite file, else in the data folder."""
    return database.parent if database else data_folder


def make_data_folder(folder: Path) -> None:
    """0700, where it is missing: the control socket lies in it wherever the database is."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except PermissionError as error:
        raise permission_denied(folder / CONTROL_SOCKET, named_by=_DATA_FOLDER) from error
    except OSError as error:
        reason = f"{folder} is not a folder" if _is_in_the_way(error) else error.strerror
        raise StorageError(
            f"Cannot make the data folder: {folder}: {reason}", hint=_elsewhere(_DATA_FOLDER)
        ) from error


def prepare_file(location: Location, *, create: bool) -> list[str]:
    """Make the folder (0700) and the file (0600) where they are missing; what its owner should know."""
    if (path := location.path) is None:
        return []
    with _failing_as_storage(location):
        if not create:
            _refuse_nothing(path)
        if path.exists():
            refuse_other_kinds(path)  # SQLite would wait for a pipe's other end
        was_emptied = path.exists() and _is_empty(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        mode = stat.S_IMODE(path.stat().st_mode)
    warnings = []
    if mode & 0o077:
        warnings.append(f"{path} is readable by others (mode {mode:04o}). Mend: chmod 600 {path}")
    if was_emptied:
        warnings.append(f"{path} was empty (0 bytes) and is begun anew; put a copy back if it held something")
    return warnings


def _refuse_nothing(path: Path) -> None:
    """Whoever only reads makes nothing, and shows an emptied file as what it is."""
    if not path.exists():
        raise StorageError(
            f"Database file not found: {path}", hint="Start the gateway once: `headgate serve`."
        )
    if _is_empty(path):
        raise StorageError(
            f"Database file is empty (0 bytes): {path}",
            hint="Put a copy in its place, or start the gateway, which begins it anew: `headgate serve`.",
        )


def _is_empty(path: Path) -> bool:
    log = Path(f"{path}-wal")
    return path.stat().st_size == 0 and not (log.exists() and log.stat().st_size)


def make_folder(location: Location) -> None:
    """The folder of a SQLite file (0700), where it is missing. It must be ours to write in: SQLite keeps
    files of its own beside the database, and we a lock."""
    if (path := location.path) is None:
        return
    with _failing_as_storage(location):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError


@contextmanager
def _failing_as_storage(location: Location) -> Iterator[None]:
    path = location.path
    assert path is not None
    try:
        yield
    except PermissionError as error:
        raise permission_denied(path, named_by=location.named_by) from error
    except OSError as error:
        reason = f"{path.parent} is not a folder" if _is_in_the_way(error) else error.strerror
        raise StorageError(
            f"Cannot create database: {path}: {reason}", hint=_elsewhere(location.named_by)
        ) from error


def _is_in_the_way(error: OSError) -> bool:
    return isinstance(error, FileExistsError | NotADirectoryError)


def _elsewhere(named_by: str) -> str:
    return f"Name another place in {named_by}, or clear the way to this one."


def permission_denied(path: Path, *, named_by: str = "") -> StorageError:
    """Names the nearest thing on the way that exists and its owner, and the command that mends it.

    `named_by`: as in a Location, where another place would do as well.
    """
    user = os.geteuid()
    mend = f"Mend: sudo install -d -o {user} -m 700 {path.parent}"
    other = f"; or name another place in {named_by}" if named_by else ""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if place == path and owner == user:
            mend = f"Mend: chmod u+rw{'x' if path.is_dir() else ''} {path}"
        elif place == path:
            mend = f"{mend} && sudo chown {user} {path}"
        return StorageError(
            f"Permission denied: {path} ({place} belongs to user {owner}, this process is user {user})",
            hint=mend + other,
        )
    return StorageError(f"Permission denied: {path}", hint=mend + other)
