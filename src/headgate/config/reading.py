"""Small files that somebody names, read without a trap.

A pipe would keep its reader waiting for ever, and a device has no end: only regular files are read, and only
so much of them.
"""

import errno
import os
import stat
from pathlib import Path

SECRET_BYTES = 64 << 10
SETTINGS_BYTES = 4 << 20

_KINDS = (
    (stat.S_ISDIR, os.strerror(errno.EISDIR)),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The whole file. OSError with words of its own for what is none, or is larger."""
    refuse_other_kinds(path)  # a device may do something when it is opened
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _refuse_kind(os.fstat(descriptor).st_mode)  # it may be another one by now
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than {most_bytes >> 10} KiB")
    return content


def refuse_other_kinds(path: Path) -> None:
    """OSError for what is there and no regular file, or not there at all."""
    _refuse_kind(path.stat().st_mode)


def _refuse_kind(mode: int) -> None:
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, words)
