"""Locks that the kernel lets go of when their holder dies, however it dies."""

import os
import sys
from pathlib import Path
from typing import Self

from headgate.errors import StorageError
from headgate.storage.location import permission_denied

INSTANCE_LOCK = "gateway.lock"
"""In the data folder and beside the SQLite file: held by the gateway (`instance.py`)."""

if sys.platform == "win32":
    import msvcrt

    # Windows locks bytes, and a locked byte cannot be read by others: take one that no file reaches.
    _LOCKED_BYTE = 1 << 40

    def try_lock(descriptor: int) -> bool:
        """Take the file's lock for as long as `descriptor` stays open; False when another has it."""
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the file's lock for as long as `descriptor` stays open; False when another has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now; a file that is gone is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """One reader at a time of a journal folder: the recorder, or the gateway that catches up.

    The lock file stays behind, empty of meaning: what counts is the kernel's lock on it.
    """

    FILE_NAME = "recorder.lock"

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(folder / self.FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            # Of the two the folder is more often the one that is somebody else's.
            is_open = os.access(folder, os.W_OK | os.X_OK)
            raise permission_denied(folder / self.FILE_NAME if is_open else folder) from error
        except OSError as error:
            raise StorageError(
                f"Cannot open the journal: {folder}: {error.strerror}",
                hint="It is a folder that the gateway makes: take what is there out of the way.",
            ) from error

    def take(self) -> bool:
        """True once it is ours."""
        if not try_lock(self._descriptor):
            return False
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        return True

    def holder(self) -> str:
        """The process id that took it last, for a message."""
        return os.pread(self._descriptor, 32, 0).decode(errors="replace") or "unknown"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
