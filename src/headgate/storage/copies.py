"""Copies of a SQLite file: consistent while others write, whole or not there, readable by the owner alone."""

import glob
import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from headgate.errors import Conflict, StorageError
from headgate.storage.location import permission_denied

KEPT_COPIES = 3
"""Of those that upgrades made: the newest."""

_SPARE_BYTES = 1 << 20

_log = logging.getLogger("headgate.storage")


def copy_database(source: Path, target: Path, *, force: bool = False) -> int:
    """Bytes written. `target` appears when it is whole, with mode 0600; Conflict where there is one."""
    if target.exists() and not force:
        raise Conflict(f"There is a file already: {target}", hint="Name another one, or add --force.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _copy(source, draft)
        size = draft.stat().st_size
        draft.replace(target)
    except PermissionError as error:
        raise permission_denied(target) from error
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"Cannot write the copy: {target}: {reason}", hint=_room(target)) from error
    finally:
        remove(draft, *beside(draft))
    return size


def beside(path: Path) -> tuple[Path, ...]:
    """What SQLite keeps beside a file (https://sqlite.org/tempfiles.html): a full disk or a kill leaves it,
    and it must never meet another file of that name."""
    return tuple(Path(f"{path}{ending}") for ending in ("-journal", "-wal", "-shm"))


def remove(*paths: Path) -> None:
    """Those that are there."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _copy(source: Path, draft: Path) -> None:
    # One step for all pages: with several of them each write of another process would begin it anew.
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(draft)) as copy:
        ours.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, good wherever it is put
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def copy_before(path: Path, revision: str) -> Path:
    """`headgate.db.before-REVISION` beside the file, in place of an older one of that name."""
    target = path.with_name(f"{path.name}.before-{revision}")
    _remove_drafts(path)
    size = sum(one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists())
    free, wanted = shutil.disk_usage(path.parent).free, 2 * size + _SPARE_BYTES
    if free < wanted:
        raise StorageError(
            f"There is no room for the copy that is made before an upgrade: {target} and the upgrade want "
            f"{wanted >> 20} MiB, {path.parent} has {free >> 20} MiB",
            hint="Make room; or, with a copy of your own elsewhere, run `headgate db upgrade --no-copy`.",
        )
    copy_database(path, target, force=True)
    _log.info("Copied the database before its upgrade: %s", target)
    _keep_newest(path)
    return target


def _remove_drafts(path: Path) -> None:
    """Of upgrades that were killed while they copied; whoever upgrades is alone here."""
    remove(*path.parent.glob(f".{glob.escape(path.name)}.before-*"))


def _keep_newest(path: Path) -> None:
    copies = sorted(path.parent.glob(f"{path.name}.before-*"), key=lambda one: one.stat().st_mtime)
    remove(*copies[:-KEPT_COPIES])


def _room(target: Path) -> str:
    return f"See that {target.parent} exists and its disk has room (df -h {target.parent})."
