"""Foreign files and the values in them, read with care: bounded, never changed, and whatever is wrong is said
in words that hold no secret."""

import json
import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from headgate.errors import ForeignDataUnreadable
from headgate.pricing.rates import MOST_USD, nano_of
from headgate.wire.headers import is_visible_ascii

MOST_BYTES = 16 << 20
MOST_YAML_BYTES = 1 << 20
"""It is read a hundred times more slowly than JSON."""
MOST_FILES = 10_000
MOST_SECRET = 16_384

_FIRST_MILLISECONDS = 10**11
"""A number above it is a time in milliseconds: as seconds it would be the year 5138."""
_LAST_SECONDS = 10**11
_WHOLE = re.compile(r"-?\d{1,18}")
MEND = "Give the file as the other program wrote it; it is not changed by reading."


def bytes_of(path: Path, most: int = MOST_BYTES) -> bytes:
    """Raises ForeignDataUnreadable."""
    try:
        if path.exists() and not path.is_file():
            raise ForeignDataUnreadable(f"{path}: this is no file.", hint=MEND)
        with path.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise ForeignDataUnreadable(f"{path}: {error.strerror}", hint=MEND) from error
    except ValueError as error:  # a NUL in the name
        raise ForeignDataUnreadable(f"{str(path)[:100]!r}: this is no path.", hint=MEND) from error
    if len(content) > most:
        raise ForeignDataUnreadable(f"{path}: it is larger than {most >> 20} MiB.", hint=MEND)
    return content


def text_of(path: Path, most: int = MOST_BYTES) -> str:
    try:
        return bytes_of(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ForeignDataUnreadable(f"{path}: this is not UTF-8 text.", hint=MEND) from error


def json_of(path: Path, most: int = MOST_BYTES) -> Any:
    try:
        return json.loads(text_of(path, most))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise ForeignDataUnreadable(f"Failed to parse {path}: {place}", hint=MEND) from error
    except (ValueError, RecursionError) as error:  # a number of ten thousand digits; brackets without end
        raise ForeignDataUnreadable(f"Failed to parse {path}: it is no sensible JSON.", hint=MEND) from error


def yaml_of(path: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text_of(path, MOST_YAML_BYTES))
    except (YAMLError, RecursionError, ValueError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        words = error.problem if isinstance(error, MarkedYAMLError) else type(error).__name__
        raise ForeignDataUnreadable(f"Failed to parse {path}: {place}{words}", hint=MEND) from error


def files_in(folder: Path, pattern: str) -> list[Path]:
    """In order of their names, and not more of them than anybody has."""
    try:
        found = sorted(one for one in folder.glob(pattern) if not one.is_dir())
    except OSError as error:
        raise ForeignDataUnreadable(f"{folder}: {error.strerror}", hint=MEND) from error
    if len(found) > MOST_FILES:
        raise ForeignDataUnreadable(f"{folder} holds more than {MOST_FILES} such files.", hint=MEND)
    return found


# ---- values: what is not what it should be is None -----------------------------------------------


def words(value: object, most: int = 256) -> str | None:
    """A text without what a database or a terminal would choke on; None where there is none."""
    if not isinstance(value, str):
        return None
    clean = value[: most * 4].replace("\0", "").encode("utf-8", "replace").decode()
    return clean.strip()[:most] or None


def secret(value: object) -> str | None:
    """Fit to travel in a header: printable ASCII without white space."""
    text = value.strip() if isinstance(value, str) else ""
    is_fit = len(text) <= MOST_SECRET and is_visible_ascii(text)
    return text if is_fit else None


def integer(value: object, low: int = 0, high: int = 2**63 - 1) -> int | None:
    """Within the bounds, or the nearer of them; a text of digits is a number too."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value.strip())
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return min(max(value, low), high)


def count(value: object) -> int | None:
    """One that cannot be is not said."""
    number = integer(value, -1)
    return None if number is None or number < 0 or number == 2**63 - 1 else number


def nano_usd(value: object) -> int | None:
    """From USD; nothing, or more than a request can cost, is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return nano_of(value) if 0 < value <= MOST_USD else None


def milliseconds(value: object) -> float | None:
    """A duration."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 10**12 else None  # false for NaN too


def moment(value: object) -> float | None:
    """Unix seconds, of seconds, milliseconds or an ISO time."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
            value = found.timestamp() if found.tzinfo else None
        except (ValueError, OverflowError):
            value = integer(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    seconds = seconds / 1000 if seconds >= _FIRST_MILLISECONDS else seconds
    return seconds if 0 < seconds < _LAST_SECONDS else None  # false for NaN too


def switch(value: object) -> bool | None:
    """As files and environments write one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    word = value.strip().lower() if isinstance(value, str) else ""
    return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False}.get(
        word, False if word in ("no", "off") else None
    )


def texts(value: object, most: int = 1000) -> tuple[str, ...]:
    """The texts in a list."""
    if not isinstance(value, list):
        return ()
    return tuple(text for one in value[:most] if (text := words(one)))
