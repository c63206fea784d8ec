"""Reading the log file: its last entries, and those to come, over rotations.

An entry is a line that begins as `log.py` writes them, in either form, and what follows it up to the next:
a stack trace belongs to the line above. What is read is redacted again: not everything in the
file need be ours.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any

from headgate.log import LEVELS, redact

_HEADER = re.compile(r"\[(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)\] (?P<level>[A-Z]+): \[(?P<component>[^\]]*)\] ")
_BLOCK = 256 << 10
_LONGEST_LINE = 1 << 20
"""Bytes; a longer line is passed over."""
_MOST_BYTES = 64 << 20
"""Looked through for entries that a filter lets pass: half a second's work."""
_MOST_TRIES = 8
_MOST_WALKS = 20
"""Along the names of a file that is rotated all the time; the rest waits for the next look."""
_KEPT_OPEN = 5
"""Files that are still read after they were rotated: a writer may have opened one just before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`text` is the whole of it; the other fields are None where it does not begin as ours do."""

    text: str
    at_ms: int | None = None
    level: str | None = None
    """`debug`, `info`, `warn` or `error`, as in the setting."""
    component: str | None = None
    message: str | None = None
    request_id: str | None = None

    def is_at_least(self, level: str | None) -> bool:
        """Lines of strangers have no level: only who asks for everything sees them."""
        return level is None or (self.level is not None and LEVELS[self.level] >= LEVELS[level])


def last_entries(
    path: Path, limit: int, *, level: str | None = None, since_ms: int | None = None, end: int | None = None
) -> list[Entry]:
    """The newest that pass, oldest first; from rotated files too. `end`: of the file only so many bytes.

    Raises OSError when the file cannot be read; FileNotFoundError when there is none.
    """
    found: list[Entry] = []
    for entry in _entries_backwards(_lines_backwards(path, end)):
        if since_ms is not None and entry.at_ms is not None and entry.at_ms < since_ms:
            break
        if entry.is_at_least(level):
            found.append(entry)
            if len(found) == limit:
                break
    return found[::-1]


def read_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Those of lines in their order."""
    waiting: list[str] = []
    for line in lines:
        if waiting and (_is_header(line) or not _is_header(waiting[0])):
            yield _entry("\n".join(waiting))
            waiting = []
        waiting.append(line)
    if waiting:
        yield _entry("\n".join(waiting))


class Follower:
    """The lines that come to a log file after this was made, whoever rotates or truncates it.

    The file need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open_files: list[FileIO] = []
        """Those that were rotated away and may still get a line, then the present one."""
        self._older: tuple[int, int] | None = None
        """The youngest file that was rotated away before the present one was begun."""
        self._partial = b""
        self.start = 0
        """Where in the file it begins: what is before can be read by `last_entries`."""
        if file := _opened(path):
            self._open_files.append(file)
            self.start = file.seek(0, os.SEEK_END)
            self._older = _identity(Path(f"{path}.1"))

    @property
    def is_waiting(self) -> bool:
        """Whether there has been no file so far."""
        return not self._open_files

    def close(self) -> None:
        for file in self._open_files:
            file.close()

    def new_lines(self) -> list[str]:
        """Whole lines that came since the last call. A line that is still being written waits."""
        data = self._partial
        self._find_successors()
        for file in self._open_files:
            if file.tell() > os.fstat(file.fileno()).st_size:
                file.seek(0)  # truncated: it begins anew
            data += file.read()
        while len(self._open_files) > _KEPT_OPEN:
            self._open_files.pop(0).close()
        whole, _, self._partial = data.rpartition(b"\n")
        if len(self._partial) > _LONGEST_LINE:
            self._partial = b""
        return [_decoded(line) for line in whole.split(b"\n")] if whole else []

    def _find_successors(self) -> None:
        """Opens what has come in the place of the present file.

        Several rotations may have happened since the last look: all files younger than ours are read.
        """
        # Asked before: afterwards there may have been rotations, and what has that name is younger then.
        older = _identity(Path(f"{self._path}.1"))
        for _ in range(_MOST_WALKS):
            if (younger := self._younger_files()) is not None:
                break
        else:
            return  # at the next look
        self._open_files += reversed(younger)
        if not younger:
            self._older = older or self._older

    def _younger_files(self) -> list[FileIO] | None:
        """The youngest first; None: the names moved on while they were walked along."""
        present = self._open_files[-1] if self._open_files else None
        younger: list[FileIO] = []
        seen: set[tuple[int, int]] = set()
        for number, name in enumerate(_names(self._path)):
            file = _opened(name)
            if file is None and name == self._path and present is not None:
                continue  # between two names
            if file is None:
                if number and Path(f"{self._path}.{number + 1}").exists():
                    _close(younger)  # a rotation is under way, from the oldest name on
                    return None
                break
            found = os.fstat(file.fileno())
            identity = found.st_dev, found.st_ino
            is_known = present is not None and os.path.samestat(found, os.fstat(present.fileno()))
            if is_known or identity == self._older:
                file.close()
                break
            younger.append(file)
            if identity in seen:
                _close(younger)  # it has got the next name meanwhile
                return None
            seen.add(identity)
            if present is None:
                break  # what is older is not to come
        return younger


def _close(files: list[FileIO]) -> None:
    for file in files:
        file.close()


def _opened(path: Path) -> FileIO | None:
    try:
        return FileIO(path, "r")
    except FileNotFoundError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _names(path: Path) -> Iterator[Path]:
    """The file and those that it was rotated to, youngest first; the first that is missing ends them."""
    yield path
    for number in count(1):
        yield Path(f"{path}.{number}")


# ---- lines and entries -----------------------------------------------------------------------------


def _lines_backwards(path: Path, end: int | None) -> Iterator[str | None]:
    """The last line first; None stands between two files."""
    left = _MOST_BYTES
    for name in _names(path):
        if (file := _opened(name)) is None:
            if name == path and not Path(f"{path}.1").exists():
                raise FileNotFoundError(2, "No such file or directory", str(path))
            if name == path:
                continue
            return
        with file:
            place = file.seek(0, os.SEEK_END)
            place = min(place, end) if end is not None and name == path else place
            tail, place_is_end = b"", True
            while place > 0 and left > 0:
                start = max(0, place - _BLOCK)
                file.seek(start)
                data = file.read(place - start) + tail
                left -= place - start
                place = start
                lines = data.split(b"\n")
                tail = lines.pop(0) if place else b""
                if len(tail) > _LONGEST_LINE:
                    tail = b"\0" * (_LONGEST_LINE + 1)  # remembered as too long, not kept
                if place_is_end and lines and not lines[-1]:
                    lines.pop()  # behind the last line's end
                place_is_end = False
                yield from (_decoded(line) for line in reversed(lines) if len(line) <= _LONGEST_LINE)
        if left <= 0:
            return
        yield None


def _entries_backwards(lines: Iterator[str | None]) -> Iterator[Entry]:
    """The last entry first."""
    below: list[str] = []
    for line in lines:
        if line is not None and not _is_header(line):
            below.append(line)
        elif line is not None:
            yield _entry("\n".join((line, *reversed(below))))
            below = []
        else:  # the file begins here: these lines have no header
            yield from (_entry(one) for one in below if one)
            below = []
    yield from (_entry(one) for one in below if one)


def _decoded(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def _is_header(line: str) -> bool:
    return line.startswith('{"time":"') or _HEADER.match(line) is not None


def _entry(text: str) -> Entry:
    text = redact(text)
    first = text.partition("\n")[0]
    if match := _HEADER.match(first):
        message, fields = _split_extras(first[match.end() :])
        return _filled(text, match["time"], match["level"], match["component"], message, fields)
    if first.startswith('{"time":"') and (line := _object(text)) is not None:
        get = line.get
        return _filled(text, get("time"), get("level"), get("component"), get("message"), line)
    return Entry(text)


def _filled(text: str, time: Any, level: Any, component: Any, message: Any, fields: dict[str, Any]) -> Entry:
    request_id = fields.get("request_id")
    level = str(level).lower()
    return Entry(
        text,
        _milliseconds(str(time)),
        level if level in LEVELS else None,
        str(component),
        str(message),
        request_id if isinstance(request_id, str) else None,
    )


def _split_extras(rest: str) -> tuple[str, dict[str, Any]]:
    """The extras are JSON up to the line's end; the message may hold braces as well."""
    place = -1
    if rest.endswith("}"):
        for _ in range(_MOST_TRIES):
            place = rest.find(' {"', place + 1)
            if place < 0:
                break
            if (fields := _object(rest[place + 1 :])) is not None:
                return rest[:place], fields
    return rest, {}


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _milliseconds(time: str) -> int | None:
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None
