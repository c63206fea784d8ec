"""Tokens that were renewed here, written into the file that they came from.

Only the tokens change; everything else stays as it stands there, to the last character. The file is replaced
whole (0600, by rename), and only while it still says what was read: another program's word is never lost.
"""

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path as File
from typing import Any

from headgate.config import fingerprints
from headgate.config.reading import read_bytes
from headgate.pool.accounts import Credential
from headgate.sources.found import Found, written_tokens
from headgate.sources.json_text import JsonText, Malformed, Path
from headgate.sources.survey import MOST_BYTES, Reader


class Overtaken(Exception):
    """The file says something else by now: it is to be read first."""


def write_tokens(file: File, reader: Reader, news: Collection[tuple[Found, Credential]]) -> bool:
    """`news`: accounts as they were read, each with the tokens in force. False: the file had them already.

    Raises Overtaken, and OSError. For a thread.
    """
    target = File(os.path.realpath(file))  # of a link the file it leads to; the link stays
    fingerprint = fingerprints.of([target])
    try:
        text = JsonText(read_bytes(target, MOST_BYTES))
        there = {one.name: one for one in reader(text).found}
    except Malformed:
        raise Overtaken from None
    changes: dict[Path, Any] = {}
    for known, credential in news:
        found = there.get(known.name)
        if found is None or found.tokens is None:
            raise Overtaken
        if _is_same(found.credential, credential):
            continue
        if not _is_same(found.credential, known.credential):
            raise Overtaken
        changes.update(written_tokens(text, found.tokens, credential))
    if not changes:
        return False
    content = text.changed(changes)
    JsonText(content)  # what cannot be read back is not written
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _write(part, content, target)
        if fingerprints.of([target]) != fingerprint:
            raise Overtaken
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    sync_folder(target.parent)
    return True


def write_new(file: File, content: bytes) -> None:
    """A first file, for its owner alone; one that has come meanwhile stays. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError), os.fdopen(_open_new(file), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def put_file(file: File, content: bytes) -> None:
    """A new file, or in an old one's place, for its owner alone; a link is replaced, not followed. Raises
    OSError."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        _write(part, content, file if file.exists() else file.parent)
        part.replace(file)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    sync_folder(file.parent)


def _write(part: File, content: bytes, target: File) -> None:
    """Whose `target` is, the file and the folder alike."""
    part.unlink(missing_ok=True)
    owner = target.stat()
    with os.fdopen(_open_new(part), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
        if hasattr(os, "fchown") and (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            # As root for another user's program: the file stays that user's.
            with suppress(PermissionError):
                os.fchown(opened.fileno(), owner.st_uid, owner.st_gid)


def _open_new(path: File) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


def _is_same(one: Credential, other: Credential) -> bool:
    return (one.secret, one.refresh_token) == (other.secret, other.refresh_token)


def sync_folder(folder: File) -> None:
    """So that the new name outlives a power cut, where the system lets a folder be synced."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
