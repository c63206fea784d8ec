"""One gateway per folder: a kernel lock that the gateway process holds from before it opens anything.

What stands in the lock file is for a message only. Whether the folder is taken is the kernel's word, so a
killed gateway is no obstacle, and neither is a file that lies.
"""

import asyncio
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from headgate.config.reading import refuse_other_kinds
from headgate.errors import AlreadyRunning, StorageError
from headgate.record.lock import INSTANCE_LOCK, try_lock
from headgate.storage.holders import lock_holders
from headgate.storage.location import permission_denied

_LOOKS = 5
_SECONDS_BETWEEN_LOOKS = 0.02
"""`headgate status` asks by taking the lock for a moment: that must not look like a gateway."""


class InstanceLock:
    """Held until `release`, or until this process dies. The files stay behind, empty of meaning."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self.predecessor: str | None = None
        """The name of the last one that had the folder. It is dead; None of one that is not known to be, as
        where the folder is a copy of another's."""

    async def take(self, folders: Iterable[Path]) -> None:
        """The folders must exist. AlreadyRunning when another gateway has one of them."""
        try:
            # In one order for everybody: two that start at once must not hold one each.
            for folder in sorted({folder.resolve() for folder in folders}):
                await self._take(folder)
        except BaseException:
            self.release()
            raise
        self.announce(None)

    def announce(self, url: str | None, *, name: str | None = None) -> None:
        """Leave word where we can be reached, for whoever finds the folder taken, and by which name those on
        the database know us, for who has it after us."""
        said = {"pid": os.getpid(), "url": url, "name": name}
        for descriptor in self._held:
            line = json.dumps({**said, "inode": os.fstat(descriptor).st_ino}).encode()
            with suppress(OSError):  # a full disk: then a message knows less
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, line, 0)

    def release(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()

    async def _take(self, folder: Path) -> None:
        path = folder / INSTANCE_LOCK
        try:
            if path.exists():
                refuse_other_kinds(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise permission_denied(path) from error
        except OSError as error:
            raise StorageError(
                f"Cannot make the lock file: {path}: {error.strerror}",
                hint="Take it out of the way; the gateway makes its own.",
            ) from error
        try:
            if not await _locks(descriptor, path):
                raise _refusal(folder, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._held.append(descriptor)
        said = _said(descriptor)
        if said.get("inode") == os.fstat(descriptor).st_ino and isinstance(name := said.get("name"), str):
            self.predecessor = name


async def _locks(descriptor: int, path: Path) -> bool:
    for _ in range(_LOOKS):
        try:
            if try_lock(descriptor):
                return True
        except OSError as error:
            raise StorageError(
                f"Cannot lock {path}: {error.strerror}",
                hint="Its file system knows no locks: put the data folder on a local disk.",
            ) from error
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
    return False


def _refusal(folder: Path, descriptor: int) -> AlreadyRunning:
    said = _said(descriptor)
    pid = next(iter(lock_holders(descriptor, kind="FLOCK")), None) or said.get("pid")
    name = f"process {pid}" if pid else "its process id is not known"
    # An address that an earlier process wrote leads nowhere.
    at = f" at {said['url']}" if said.get("url") and said.get("pid") == pid else ""
    stop = f"Stop it (`kill {pid}`)" if pid else "Stop it"
    return AlreadyRunning(
        f"Another gateway runs on this data folder: {name}{at} has {folder}",
        hint=f"{stop}, or give this one a folder of its own: HEADGATE_DATA_DIR, storage.url.",
    )


def _said(descriptor: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(descriptor, 1024, 0))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
