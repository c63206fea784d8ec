"""`headgate db backup`: database, encryption key and settings file, copied while the gateway runs."""

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headgate.cli import on_demand
from headgate.cli.terminal import CommandFailed

if TYPE_CHECKING:
    from headgate.config.loading import Loaded

_DOING = "Cannot back up the database"
KEY_FILE = "secret.key"


@dataclass(frozen=True, slots=True)
class Copied:
    what: str
    path: Path
    size_bytes: int


def back_up(loaded: "Loaded", target: Path, *, force: bool, with_key: bool) -> list[Copied]:
    """A new set of files, or none: what is in the way is seen before the first is written."""
    database = on_demand.database_location(loaded)
    if database.path is None:
        raise _not_ours(database.shown, loaded, target)
    if not database.path.exists():
        raise CommandFailed(
            _DOING, f"Database file not found: {database.path}", "Start the gateway once: `headgate serve`."
        )
    others = {"settings": loaded.path} if loaded.path.exists() else {}
    key = database.path.parent / KEY_FILE
    if with_key and key.exists():
        others["encryption key"] = key
    targets = dict(_targets(database.path, others, target))
    taken = [path for path in targets.values() if path.exists()]
    if taken and not force:
        names = ", ".join(map(str, taken))
        raise CommandFailed(
            _DOING, f"there is a file already: {names}", "Name another place, or add --force."
        )
    before = key.read_bytes() if "encryption key" in others else b""
    size = on_demand.copy_database(database.path, targets["database"], force=force)
    copied = [Copied("database", targets["database"], size)]
    return [*copied, *(_copy(what, source, targets[what], before=before) for what, source in others.items())]


def _targets(database: Path, others: dict[str, Path], target: Path) -> Iterator[tuple[str, Path]]:
    """In a folder under their own names; beside a file under its name with theirs behind it."""
    if _is_folder(target):
        yield "database", target / database.name
        yield from ((what, target / source.name) for what, source in others.items())
        return
    yield "database", target
    yield from ((what, Path(f"{target}.{source.name}")) for what, source in others.items())


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandFailed(
            _DOING, f"{path} cannot be used: {error.strerror}", "Name another place."
        ) from error


def _copy(what: str, source: Path, target: Path, *, before: bytes) -> Copied:
    """`before`: the key file as it was before the database was copied. Should the key have been changed
    meanwhile, one of the two opens the copy, and both go along."""
    try:
        data = source.read_bytes()
        if what == "encryption key" and before != data:
            data = b"".join(
                dict.fromkeys(line + b"\n" for line in [*data.splitlines(), *before.splitlines()])
            )
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        raise CommandFailed(
            _DOING,
            f"{source} cannot be copied to {target}: {error.strerror}",
            "Mend that and run the command again with --force: the database is copied already.",
        ) from error
    return Copied(what, target, len(data))


def _not_ours(shown: str, loaded: "Loaded", target: Path) -> CommandFailed:
    parts = urlsplit(loaded.settings.storage.address or "")
    user = f"{parts.username}@" if parts.username else ""
    query = f"?{parts.query}" if parts.query else ""
    address = f"postgresql://{user}{parts.netloc.rpartition('@')[2]}{parts.path}{query}"
    command = f"pg_dump --format=custom --file={shlex.quote(str(target))} {shlex.quote(address)}"
    return CommandFailed(
        _DOING,
        f"{shown} is a PostgreSQL database, which has a tool of its own for that",
        f"{command} (the password in PGPASSWORD); copy {KEY_FILE} and the settings file as well: "
        "headgate config path --all",
    )
