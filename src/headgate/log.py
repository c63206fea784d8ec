"""Log lines: one form for standard output and the log file, for the gateway and the recorder.

`pretty` is `[time] LEVEL: [Component] message {extras}`, `json` one object a line; in both, extras are
compact JSON (`"status_code":403`). Secrets are blanked in the finished line, wherever they came from.
Where lines go is in `log_output.py`.
"""

import asyncio
import json
import logging
import re
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from headgate.log_output import Console, LogFile, Output, occupy_standard_streams

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LEVEL_WORDS = {"WARNING": "WARN", "CRITICAL": "ERROR"}

REQUEST_ID_PREFIX = "hgr_"

_OWN_ATTRIBUTES = len(vars(logging.makeLogRecord({})))
"""So many stand at the front of every record; the rest came by `extra=` or from a formatter."""
_FORMATTED = frozenset({"message", "asctime", "color_message"})

_SHORTEST_SECRET = 8
"""Shorter ones would blank words."""

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
    if not _may_hold_secret(line):
        return line
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}…", line)


def blank(text: str, secrets: Iterable[str]) -> str:
    """The text without these, whatever form they have: plain, as in an address, in JSON, in base64.

    `redact` knows secrets by their looks; this is for what somebody says who was given one.
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            for spelling in _spellings(secret):
                text = text.replace(spelling, "…")
    return text


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    # In base64 what stands around it decides how its ends look: they are left out.
    for before in range(3):
        coded = b64encode(b"\0" * before + secret.encode()).decode()
        inner = coded[4 if before else 0 : -4]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


class _Known:
    """The secrets that this process has been given, asked for when a stack trace is written."""

    secrets: Callable[[], Iterable[str]] = tuple


def hide_in_traces(secrets: Callable[[], Iterable[str]]) -> None:
    """What it yields is blanked in stack traces, where words of anybody may stand."""
    _Known.secrets = staticmethod(secrets)


def _may_hold_secret(line: str) -> bool:
    """False only where `_SECRETS` finds nothing: the expression takes fifty times as long as this.

    Each alternative of it has a text here that all its matches contain. Beyond ASCII the expression
    knows more spellings of a letter than `lower` does (`ſ`, `ı`), so such lines are not judged here.
    """
    if not line.isascii():
        return True
    line = line.lower()
    return (
        "sk-" in line
        or "hg_" in line
        or "aiza" in line
        or "bearer" in line
        or "basic" in line
        or ("@" in line and "://" in line)
        or 'key"' in line
        or 'token"' in line
        or 'secret"' in line
        or 'password"' in line
        or 'authorization"' in line
        # `key=` and `key\\"`: rare characters, so that the names before them need no look of their own.
        or "=" in line
        or "\\" in line
    )


def default_file() -> Path:
    """In the system's temporary folder, so that it is found without asking where Headgate was started."""
    return Path(tempfile.gettempdir()) / "headgate-logs" / "app.log"


def file_of(name: str | None) -> Path | None:
    """The file that the setting `log.file` names; None when there is to be none."""
    if not name:
        return None
    if name == "default":
        return default_file()
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:  # `~` and a user who is none: taken as it is written
        return Path(name).absolute()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A log whose file is open already: to take it into use cannot fail."""

    output: Output
    level: int
    sql_level: int
    failure: str | None
    """Why it has no file; None: it has, or none is wanted."""


def configure(settings: Mapping[str, Any], *, own_file: bool = False) -> None:
    """Send the log of this process where `settings` say; a second call replaces the first.

    A file that cannot be opened is a WARN line: a gateway without one is better than none.
    """
    install(prepare(settings, own_file=own_file))


def prepare(settings: Mapping[str, Any], *, own_file: bool = False) -> Prepared:
    """`settings` are the fields of `config.settings.LogSettings`, as `model_dump()` gives them.
    `own_file`: this process rotates the file; exactly one may. Install or close what comes back.
    """
    occupy_standard_streams()
    failure: str | None = None
    file: LogFile | None = None
    if path := file_of(settings["file"]):
        try:
            max_bytes = settings["max_bytes"] if own_file else 0
            file = LogFile(
                path,
                max_bytes=max_bytes,
                backups=settings["backups"],
                is_shared_place=path == default_file(),
            )
        except OSError as error:
            failure = f"{path}: {error.strerror or error}"
    # A process may have been started without standard output.
    console = Console(sys.stdout, color=settings["color"]) if sys.stdout is not None else None
    output = Output(console, file)
    output.setFormatter(JsonFormatter() if settings["format"] == "json" else PrettyFormatter())
    # Asked for by itself: at the level debug alone it would drown all else.
    sql_level = logging.DEBUG if settings.get("sql") else logging.WARNING
    return Prepared(output, LEVELS[settings["level"]], sql_level, failure)


def install(prepared: Prepared) -> None:
    """It takes the place of the one before, which is closed."""
    root = logging.getLogger()
    for old in _outputs():
        root.removeHandler(old)
        old.close()
    root.addHandler(prepared.output)
    # Libraries speak up from WARN on: at DEBUG some of them print statements with their secrets.
    root.setLevel(logging.WARNING)
    logging.getLogger("headgate").setLevel(prepared.level)
    logging.getLogger("headgate.sql").setLevel(prepared.sql_level)
    if prepared.failure:
        logging.getLogger("headgate.server").warning("Logging to standard output only: %s", prepared.failure)


def _outputs() -> list[Output]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Output)]


@contextmanager
def gathered() -> Iterator[None]:
    """What is logged inside leaves together, in a few large writes: for the lines of a batch."""
    outputs = _outputs()
    for output in outputs:
        output.is_gathering = True
    try:
        yield
    finally:
        for output in outputs:
            output.is_gathering = False
            output.flush()


_USUAL = vars(logging.makeLogRecord({}))


def record_of(
    name: str,
    level: int,
    seconds: float,
    message: str,
    words: tuple[object, ...],
    extra: Mapping[str, object],
) -> logging.LogRecord:
    """A record of the logger `name` at a moment (Unix seconds), for who writes thousands: logging's own
    looks up file, thread, process and task for each, which no line of ours shows."""
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {
        **_USUAL,
        "name": name,
        "levelno": level,
        "levelname": logging.getLevelName(level),
        "msg": message,
        "args": words,
        "created": seconds,
        **extra,
    }
    return record


# ---- how a line looks ----------------------------------------------------------------------------


class PrettyFormatter(logging.Formatter):
    """`[time] LEVEL: [Component] message {extras}`; a stack trace follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        message = _without_control(record.getMessage())
        line = f"[{_time_of(record)}] {_level_of(record)}: [{component_of(record.name)}] {message}"
        if extras := _extras_of(record):
            line += " " + _compact(extras)
        if trace := _trace_of(self, record):
            line += "\n" + trace.translate(_CONTROL_IN_TRACE)
        return redact(line)


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


@lru_cache
def component_of(logger: str) -> str:
    """`headgate.proxy` is `Proxy`; a name with a dash stays as it is (`async-db-writer`)."""
    parts = logger.split(".")
    name = parts[1] if parts[0] == "headgate" and len(parts) > 1 else parts[0]
    return name if "-" in name else name[:1].upper() + name[1:]


def _time_of(record: logging.LogRecord) -> str:
    seconds, microseconds = divmod(round(record.created * 1_000_000), 1_000_000)
    return f"{_second_of(seconds)}.{microseconds // 1000:03d}Z"


@lru_cache(maxsize=4)
def _second_of(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _level_of(record: logging.LogRecord) -> str:
    return _LEVEL_WORDS.get(record.levelname, record.levelname)


def _extras_of(record: logging.LogRecord) -> dict[str, Any]:
    extras = {
        name: value
        for name, value in islice(vars(record).items(), _OWN_ATTRIBUTES, None)
        if value is not None and name not in _FORMATTED
    }
    if "request_id" not in extras and (request_id := _request_of_this_task()) is not None:
        extras["request_id"] = request_id
    return extras


def _request_of_this_task() -> str | None:
    """The task that serves a request is named after it: so lines of parts that do not know it have it too."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop in this thread
        return None
    name = task.get_name() if task is not None else ""
    return name if name.startswith(REQUEST_ID_PREFIX) else None


def _compact(fields: Mapping[str, Any]) -> str:
    # The control characters that JSON itself lets through.
    return _without_control(_encode(fields))


def _without_control(text: str) -> str:
    # Nothing that `_CONTROL` names is printable, and asking is a tenth of the work.
    return text if text.isprintable() else text.translate(_CONTROL)


# Values that msgspec and `json` write alike; it has ways of its own with others, such as bytes.
_PLAIN_VALUES = frozenset({str, int, bool})
_encode_any = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode


def _encode(fields: Mapping[str, Any]) -> str:
    if _PLAIN_VALUES.issuperset(map(type, fields.values())):
        with suppress(ValueError, OverflowError):  # half of a surrogate pair, an integer over 64 bits
            return msgspec.json.encode(fields).decode()
    return _encode_any(fields)


def _trace_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    whole = "\n".join(part for part in (trace, record.stack_info) if part)
    return blank(whole, _Known.secrets()) if whole else ""
