"""What can be wrong with a SQLite file, in words that say why and what mends it."""

import os
from pathlib import Path

from headgate.errors import StorageError
from headgate.storage.holders import in_words, lock_holders
from headgate.storage.location import permission_denied

_WRITE_LOCK = 120
"""The byte of `-shm` that a writer locks (https://sqlite.org/walformat.html)."""

_RESTORE = (
    "Move it away (mv {path} {path}.broken) and put a copy in its place: one of `headgate db backup`, or "
    "{path}.before-… of an upgrade. Without one a start makes a new, empty database."
)


def explain(path: Path, reason: str) -> StorageError | None:
    """SQLite's own word for it as an error of ours; None: a word that needs no more than its repetition."""
    said = f"Database error: {path}: {reason}"
    if "readonly database" in reason or "unable to open database file" in reason:
        return permission_denied(path)
    if "is locked" in reason or "is busy" in reason:
        return _held(path)
    if "not a database" in reason:
        return StorageError(said, hint=_RESTORE.format(path=path))
    if "malformed" in reason:
        rescue = f"`sqlite3 {path} .recover` saves what can be read."
        return StorageError(f"{said} (the file is damaged)", hint=f"{_RESTORE.format(path=path)} {rescue}")
    if "disk is full" in reason or "disk I/O error" in reason:
        return StorageError(said, hint=f"Make room on its disk (df -h {path.parent}), then try again.")
    return None


def _held(path: Path) -> StorageError:
    """Never SQLite's "database is locked": that says neither by whom nor what to do."""
    others = [
        pid for pid in lock_holders(Path(f"{path}-shm"), kind="POSIX", byte=_WRITE_LOCK) if pid != os.getpid()
    ]
    who = ", ".join(map(in_words, others)) or "another program"
    return StorageError(
        f"Database error: {path}: {who} is writing to it and did not let go in time",
        hint="End what that program does with the file, such as an open transaction; then try again.",
    )


def refuse_broken(path: Path) -> None:
    """A look at the header: StorageError for a file that was cut short. Costs one small read.

    A file whose write-ahead log still holds pages may rightly be shorter than it says.
    """
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        return  # empty, or for SQLite to refuse
    page_size = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65536 if page_size == 1 else page_size)
    is_valid = header[24:28] == header[92:96]
    if is_valid and size < expected:
        raise StorageError(
            f"Database error: {path}: the file was cut short: it has {size} of {expected} bytes",
            hint=_RESTORE.format(path=path),
        )
