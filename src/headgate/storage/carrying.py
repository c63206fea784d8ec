"""Values on their way from one database into another: what that would refuse is made to fit, and counted.

SQLite puts almost anything into a column; PostgreSQL takes what the column says, and no text with a NUL.
Values go by columns: a look at all of them together costs next to nothing, and nearly always is enough.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

Values = Sequence[Any]
_Fit = Callable[[Values], Values]

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
DECODING: Final = "surrogateescape"
"""How bytes that are no UTF-8 are read, so that they are seen here: as halves of surrogate pairs."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_NONE = type(None)


class Carrier:
    """Fits the rows of one table. `changed` counts values that are not what they were, by `table.column`."""

    def __init__(self, table: sa.Table, dialect: str, changed: Counter[str]) -> None:
        self._changed = changed
        self._columns = [
            (f"{table.name}.{column.name}", _fit_of(column, dialect)) for column in table.columns
        ]

    def fit(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """In the order of the table's columns."""
        fitted = []
        for (name, fit), values in zip(self._columns, zip(*rows, strict=True), strict=True):
            made = fit(values)
            if made is not values:
                changes = sum(old != new and old == old for old, new in zip(values, made, strict=True))
                if changes:
                    self._changed[name] += changes
            fitted.append(made)
        return list(zip(*fitted, strict=True))


def _fit_of(column: sa.Column[Any], dialect: str) -> _Fit:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        plain = int if dialect == "sqlite" else bool
        return lambda values: [None if value is None else plain(value) for value in values]
    if isinstance(kind, sa.Integer):
        bits = 63 if dialect == "sqlite" or isinstance(kind, sa.BigInteger) else 31
        return lambda values: _integers(values, 2**bits - 1)
    if isinstance(kind, sa.Float):
        return lambda values: (
            _floats(values, is_needed=not column.nullable) if dialect == "sqlite" else values
        )
    if isinstance(kind, sa.LargeBinary):
        return _blobs
    return _texts


def _integers(values: Values, most: int) -> Values:
    """What is beyond the column is its largest; SQLite may have a number with a point there, too."""
    if set(map(type, values)) <= {int, _NONE}:
        there = [value for value in values if value is not None]
        if not there or (max(there) <= most and min(there) >= -most - 1):
            return values
    return [None if value is None else _integer(value, most) for value in values]


def _integer(value: Any, most: int) -> int:
    if isinstance(value, float) and not math.isfinite(value):
        value = 0 if math.isnan(value) else math.copysign(most, value)
    return max(-most - 1, min(most, int(value)))


def _floats(values: Values, *, is_needed: bool) -> Values:
    """SQLite keeps no number that is none: it takes NULL for it."""
    if all(value is None or value == value for value in values):
        return values
    return [0.0 if is_needed and value != value else value for value in values]


def _blobs(values: Values) -> Values:
    if set(map(type, values)) <= {bytes, _NONE}:
        return values
    return [value.encode() if isinstance(value, str) else value for value in values]


def _texts(values: Values) -> Values:
    """A NUL, and half of a surrogate pair, are no text to PostgreSQL."""
    try:
        together = "".join(filter(None, values))
        together.encode()
    except (TypeError, UnicodeEncodeError):
        return [_text(value) for value in values]
    return [_text(value) for value in values] if "\0" in together else values


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return _NO_TEXT.sub(
        REPLACEMENT, value.decode("utf-8", DECODING) if isinstance(value, bytes) else str(value)
    )
