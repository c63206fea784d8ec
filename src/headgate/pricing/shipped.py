"""The price list that comes with the program: `shipped.json`, which says where and when it was read."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_FILE = Path(__file__).with_name("shipped.json")
_WHERE = ("provider", "model", "source")


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(_FILE.read_bytes())
    return document


def read_on() -> str:
    """The day."""
    day: str = _document()["read_at"]
    return day


def shipped_prices() -> list[tuple[str, str, dict[str, Any], str]]:
    """Provider, model, rates, source."""
    return [
        (
            *(one[name] for name in _WHERE[:2]),
            {name: one[name] for name in one if name not in _WHERE},
            one["source"],
        )
        for one in _document()["prices"]
    ]
