"""Who holds a file's lock, as far as the kernel tells (Linux)."""

import os
from pathlib import Path

import psutil

_KERNEL_LOCKS = Path("/proc/locks")


def lock_holders(file: Path | int, *, kind: str, byte: int | None = None) -> list[int]:
    """Processes, other than this one for `POSIX`, that hold a lock on the file (a path or a descriptor).

    `kind`: FLOCK or POSIX; `byte`: only locks that cover it. Empty where nothing can be known.
    """
    try:
        found = os.stat(file)  # noqa: PTH116 - a descriptor will do as well
        rows = [line.split() for line in _KERNEL_LOCKS.read_text().splitlines()]
    except OSError:
        return []
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    pids = {int(row[4]) for row in rows if row[1] == kind and place in row and _covers(row[-2:], byte)}
    return sorted(pid for pid in pids if psutil.pid_exists(pid))


def _covers(span: list[str], byte: int | None) -> bool:
    first, last = span
    return byte is None or int(first) <= byte <= (1 << 63 if last == "EOF" else int(last))


def in_words(pid: int) -> str:
    """`process 123 (sqlite3)`."""
    try:
        return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"process {pid}"
