"""Log lines: one form for standard output and the log file, for the gateway and the recorder.

`pretty` is `[time] LEVEL: [Component] message {extras}`, `json` one object a line; in both, extras are
compact JSON (`"status_code":403`). Secrets are blanked in the finished line, wherever they came from.

Both processes append to the same file. The one that owns it (the recorder) rotates it; the other sees
that the file has moved and opens the new one.
"""

import io
import json
import logging
import logging.handlers
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LEVEL_WORDS = {"WARNING": "WARN", "CRITICAL": "ERROR"}
_COLORS = {"DEBUG": "\x1b[2m", "WARN": "\x1b[33m", "ERROR": "\x1b[31m"}
_PLAIN = "\x1b[0m"

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What a record has by itself; the rest came by `extra=`."""

_CONTROL = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
"""A caller's text must neither start a line of its own nor steer a terminal."""
_CONTROL_IN_TRACE = {code: text for code, text in _CONTROL.items() if code != ord("\n")}

_SECRETS = re.compile(
    r"(?P<provider>\bsk-(?:ant-)?)[\w-]{6,}"
    r"|(?P<client>\bhg_)[\w-]{6,}"
    r"|(?P<google>\bAIza)[\w-]{20,}"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[^\s\"',;\\]+"
    r"|(?P<url>\b[a-z][a-z0-9+]*://[^\s/:@\"]*:)[^\s@\"/]+(?=@)"
    r"|(?P<named>(?<![a-z0-9])(?:[a-z]+[_-])*(?:key|token|secret|password|authorization)"
    r"(?:\\?\"\s*:\s*\\?\"|=))(?!Bearer|Basic)[^\s&\"',;\\]+",
    re.IGNORECASE,
)


def redact(line: str) -> str:
    """The line with every secret cut down to what kind it is: `sk-ant-…`, `Bearer …`, `key=…`."""
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}…", line)


def default_file() -> Path:
    """In the system's temporary folder, so that it is found without asking where Headgate was started."""
    return Path(tempfile.gettempdir()) / "headgate-logs" / "app.log"


def file_of(name: str | None) -> Path | None:
    """The file that the setting `log.file` names; None when there is to be none."""
    if not name:
        return None
    return default_file() if name == "default" else Path(name).expanduser().absolute()


def configure(settings: Mapping[str, Any], *, own_file: bool = False) -> None:
    """Send the log of this process where `settings` say; a second call replaces the first.

    `settings` are the fields of `config.settings.LogSettings`, as `model_dump()` gives them.
    `own_file`: this process rotates the file; exactly one may.
    """
    is_json = settings["format"] == "json"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale without our characters loses no line
    stdout = _Console(sys.stdout)
    color = settings["color"]
    is_colored = color == "always" or (color == "auto" and sys.stdout.isatty())
    stdout.setFormatter(JsonFormatter() if is_json else PrettyFormatter(is_colored=is_colored))
    handlers: list[logging.Handler] = [stdout]
    failure: str | None = None
    if file := file_of(settings["file"]):
        max_bytes = settings["max_bytes"] if own_file else 0
        try:
            handlers.append(LogFile(file, max_bytes=max_bytes, backups=settings["backups"]))
        except OSError as error:
            failure = f"{file}: {error.strerror or error}"
        else:
            handlers[-1].setFormatter(JsonFormatter() if is_json else PrettyFormatter())
    _install(handlers, LEVELS[settings["level"]])
    if failure:
        logging.getLogger("headgate.server").warning("Logging to standard output only: %s", failure)


def _install(handlers: Iterable[logging.Handler], level: int) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Console | LogFile)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    # Libraries speak up from WARN on: at DEBUG some of them print statements with their secrets.
    root.setLevel(logging.WARNING)
    logging.getLogger("headgate").setLevel(level)


# ---- how a line looks ----------------------------------------------------------------------------


class PrettyFormatter(logging.Formatter):
    """`[time] LEVEL: [Component] message {extras}`; a stack trace follows on lines of its own."""

    def __init__(self, *, is_colored: bool = False) -> None:
        super().__init__()
        self._is_colored = is_colored

    def format(self, record: logging.LogRecord) -> str:
        level = _level_of(record)
        message = record.getMessage().translate(_CONTROL)
        line = f"[{_time_of(record)}] {level}: [{component_of(record.name)}] {message}"
        if extras := _extras_of(record):
            line += " " + _compact(extras)
        if trace := _trace_of(self, record):
            line += "\n" + trace.translate(_CONTROL_IN_TRACE)
        line = redact(line)
        is_painted = self._is_colored and level in _COLORS
        return f"{_COLORS[level]}{line}{_PLAIN}" if is_painted else line


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `component`, `message`, the extras, `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time_of(record),
            "level": _level_of(record),
            "component": component_of(record.name),
            "message": record.getMessage(),
        }
        # An extra never hides what every line has.
        line = _extras_of(record) | line
        ordered = {name: line.pop(name) for name in ("time", "level", "component", "message")} | line
        if trace := _trace_of(self, record):
            ordered["trace"] = trace
        return redact(_compact(ordered))


def component_of(logger: str) -> str:
    """`headgate.proxy` is `Proxy`; a name with a dash stays as it is (`async-db-writer`)."""
    parts = logger.split(".")
    name = parts[1] if parts[0] == "headgate" and len(parts) > 1 else parts[0]
    return name if "-" in name else name[:1].upper() + name[1:]


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _level_of(record: logging.LogRecord) -> str:
    return _LEVEL_WORDS.get(record.levelname, record.levelname)


def _extras_of(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OWN_ATTRIBUTES and value is not None
    }


def _compact(fields: Mapping[str, Any]) -> str:
    # The control characters that JSON itself lets through.
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, default=str).translate(_CONTROL)


def _trace_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    return "\n".join(part for part in (trace, record.stack_info) if part)


# ---- where it goes -------------------------------------------------------------------------------


class _Console(logging.StreamHandler[TextIO]):
    """Standard output. When its reader is gone, the file still has the line."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class LogFile(logging.handlers.RotatingFileHandler):
    """A log file of mode 0600 that several processes append to and one of them rotates.

    Raises OSError when the file cannot be opened, or when its folder is somebody else's: in a
    temporary folder that all may write to, a stranger could have put it there.
    """

    def __init__(self, file: Path, *, max_bytes: int, backups: int) -> None:
        _prepare_folder(file.parent, is_shared_place=file == default_file())
        self._has_complained = False
        super().__init__(file, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._follow_rename()
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _follow_rename(self) -> None:
        """Another process may have rotated the file: what we hold open then is the old one."""
        if self.stream is None:
            return
        held = os.fstat(self.stream.fileno())
        try:
            is_same = os.path.samestat(held, Path(self.baseFilename).stat())
        except FileNotFoundError:
            is_same = False
        if not is_same:
            self.stream.close()
            self.stream = self._open()

    def _open(self) -> Any:
        def open_private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(
            self.baseFilename,
            self.mode,
            encoding=self.encoding,
            errors="backslashreplace",
            opener=open_private,
        )

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk is said once, not with every line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_complained and sys.stderr is not None:
            self._has_complained = True
            sys.stderr.write(f"Cannot write log file {self.baseFilename}: {error.strerror}\n")


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
