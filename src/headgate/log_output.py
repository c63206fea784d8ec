"""Where log lines go: the console and the log file of a process.

Both processes of a gateway append to the same file. The one that owns it (the recorder) rotates it; the
other sees that the file has moved and opens the new one.
"""

import errno
import io
import logging
import os
import select
import stat
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TextIO

_COLORS = {
    logging.DEBUG: "\x1b[2m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
_PLAIN = "\x1b[0m"

_WRITE_CHARACTERS = 16 << 10
"""So many gathered ones are written: beyond this a write costs by its bytes, not by its being one."""

_MOST_UNREAD_CHARACTERS = 1 << 20
_LAST_READ_SECONDS = 1.0

_GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.EINVAL)
"""A reader that left, a terminal that was closed; EINVAL is what Windows says of a broken pipe."""


def occupy_standard_streams() -> None:
    """Open nothing where a standard stream was closed before our start.

    Otherwise the next file or socket that is opened gets its number, and a child process takes it for
    its own standard output; uvloop aborts when it is one of its own.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class Output(logging.Handler):
    """The console and the file of this process. A record is formatted once, for both."""

    def __init__(self, console: "Console | None", file: "LogFile | None") -> None:
        super().__init__()
        self.is_gathering = False
        """Lines wait for `flush`, or for enough of them to fill a write."""
        self._console = console
        self._file = file
        self._lines: list[str] = []
        self._painted: list[str] = []
        self._waiting = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:  # wrong arguments of a log call are no reason to fail what it tells of
            self.handleError(record)
            return
        self._lines.append(line)
        if self._console is not None:
            self._painted.append(self._console.paint(line, record))
        self._waiting += len(line)
        if not self.is_gathering or self._waiting >= _WRITE_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        self.acquire()
        try:
            lines, painted = "".join(self._lines), "".join(self._painted)
            self._lines.clear()
            self._painted.clear()
            self._waiting = 0
            # The file first: a console may keep us waiting.
            if self._file is not None and lines:
                self._file.write(lines)
            if self._console is not None and painted:
                self._console.write(painted)
        finally:
            self.release()

    def close(self) -> None:
        self.flush()
        if self._console is not None:
            self._console.close()
        if self._file is not None:
            self._file.close()
        super().close()


class Console:
    """Standard output. When its reader is gone, or does not read, the file still has the lines.

    Into a pipe or a terminal a thread writes, so that a reader who does not read holds up nobody: what he
    left unread beyond `_MOST_UNREAD_CHARACTERS` is dropped and counted, and the end waits for him a moment.
    """

    def __init__(self, stream: TextIO, *, color: str) -> None:
        """`color` as the setting `log.color` has it."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without our characters loses no line
        self._stream = stream
        self._descriptor = _may_block(stream)
        self._unread: deque[str] = deque()
        self._unread_characters = 0
        self._dropped = 0
        self._is_gone = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_colored = color == "always" or (color == "auto" and stream.isatty())

    def paint(self, line: str, record: logging.LogRecord) -> str:
        color = _COLORS.get(record.levelno) if self._is_colored else None
        return f"{color}{line[:-1]}{_PLAIN}\n" if color else line

    def write(self, lines: str) -> None:
        """Whole lines. Raises nothing."""
        if self._descriptor is not None:
            self._hand_over(lines)
            return
        try:
            self._stream.write(lines)
            self._stream.flush()
        except ValueError:  # somebody has closed the stream
            return
        except OSError as error:
            if error.errno in _GONE:
                self._let_go()

    def close(self) -> None:
        """What is unread has a moment to be read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unread or self._is_gone, _LAST_READ_SECONDS)

    def _hand_over(self, lines: str) -> None:
        with self._changed:
            if self._is_gone:
                return
            if self._unread_characters + len(lines) > _MOST_UNREAD_CHARACTERS:
                self._dropped += lines.count("\n")
                return
            if self._dropped:
                lines = f"({self._dropped} lines are missing here: nobody read them)\n{lines}"
                self._dropped = 0
            self._unread.append(lines)
            self._unread_characters += len(lines)
            self._changed.notify_all()
            if self._thread is None:
                # Python's own stream would be locked at exit by a write that waits; a descriptor is not.
                self._thread = threading.Thread(target=self._write_on, name="console", daemon=True)
                self._thread.start()

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unread)
                lines = self._unread[0]
            self._write_out(lines)
            with self._changed:
                self._unread.popleft()
                self._unread_characters -= len(lines)
                self._changed.notify_all()

    def _write_out(self, lines: str) -> None:
        descriptor = self._descriptor
        data = lines.encode(self._stream.encoding or "utf-8", "backslashreplace")
        while data and descriptor is not None and not self._is_gone:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:  # another program made the pipe we share one that does not wait
                select.select((), (descriptor,), ())
            except OSError as error:
                if error.errno in _GONE:
                    self._is_gone = True
                    self._let_go()
                return

    def _let_go(self) -> None:
        """Nobody comes back to a broken pipe. What the stream still holds must go somewhere, or Python
        tries it once more at exit and makes the exit code 120."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()


def _may_block(stream: TextIO) -> int | None:
    """Its descriptor, where a write into it can wait for a reader."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else descriptor


class LogFile:
    """A log file of mode 0600 that several processes append to and one of them rotates.

    Raises OSError when the file cannot be opened, or when its folder is somebody else's: in a
    temporary folder that all may write to, a stranger could have put it there.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int, is_shared_place: bool = False) -> None:
        """`max_bytes`: rotate before the file grows beyond it; 0: the file is another's to rotate."""
        _prepare_folder(path.parent, is_shared_place=is_shared_place)
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._has_complained = False
        self._file = self._open()

    def write(self, lines: str) -> None:
        """Whole lines, in one write, so that two processes' lines never mix. Raises nothing."""
        data = lines.encode("utf-8", "backslashreplace")
        try:
            self._follow_name(len(data))
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._complain(error)

    def close(self) -> None:
        self._file.close()

    def _follow_name(self, coming_bytes: int) -> None:
        """Another process may have rotated the file: what we hold open then is the old one."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._reopen()
            return
        if self._file.closed or not os.path.samestat(found, os.fstat(self._file.fileno())):
            self._reopen()
        elif self._max_bytes and found.st_size and found.st_size + coming_bytes > self._max_bytes:
            self._rotate()

    def _rotate(self) -> None:
        """`app.log` becomes `app.log.1` and so on; without backups it is begun anew."""
        names = [self._path, *(Path(f"{self._path}.{n}") for n in range(1, self._backups + 1))]
        self._file.close()
        with suppress(OSError):  # then the lines go on where they are
            for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                if newer.exists():
                    newer.replace(older)
            if not self._backups:
                self._path.unlink()
        self._file = self._open()

    def _reopen(self) -> None:
        self._file.close()
        self._file = self._open()

    def _open(self) -> io.FileIO:
        def open_private(path: str, flags: int) -> int:
            # A pipe that nobody reads would keep us waiting for ever.
            descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
            os.set_blocking(descriptor, True)
            return descriptor

        return io.FileIO(self._path, "a", opener=open_private)

    def _complain(self, error: OSError) -> None:
        """A full disk is said once, not with every line."""
        if self._has_complained or sys.stderr is None:
            return
        self._has_complained = True
        with suppress(OSError, ValueError):  # nobody reads it
            sys.stderr.write(f"Cannot write log file {self._path}: {error.strerror}\n")


def why_not(path: Path) -> str | None:
    """Why no log can be written there, as far as a look can tell: nothing is made and nothing opened."""
    try:
        if path.is_dir():
            return os.strerror(errno.EISDIR)
        nearest = next(place for place in (path, *path.parents) if place.exists())
        if nearest != path and not nearest.is_dir():
            return f"{nearest} is not a folder"
        wanted = os.W_OK if nearest == path else os.W_OK | os.X_OK
        return None if os.access(nearest, wanted) else os.strerror(errno.EACCES)
    except OSError as error:
        return error.strerror


def _prepare_folder(folder: Path, *, is_shared_place: bool) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)
    if is_shared_place and hasattr(os, "getuid"):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(
                13, "its folder belongs to another user; set log.file to a path of your own"
            )
        folder.chmod(0o700)
