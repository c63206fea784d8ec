"""Foreign files and the values in them."""

import math
import os
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import reading


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 200_000, b"\xff", b"1" * 10_000, b'{"a": ' * 100_000, b"\xef\xbb\xbf{,}"],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever it is instead; with its place where there is one."""
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(ForeignDataUnreadable) as refused:
        reading.json_of(file)
    assert str(file) in refused.value.message


def test_nothing_is_read_without_end(tmp_path: Path) -> None:
    """A pipe that nobody writes into, a device, a file without bounds, a folder."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    with large.open("wb") as opened:
        opened.truncate(reading.MOST_BYTES + 1)
    for path in (pipe, large, tmp_path, Path("/dev/zero"), tmp_path / "missing", Path("nul\0")):
        with pytest.raises(ForeignDataUnreadable):
            reading.text_of(path)


def test_yaml_that_names_itself_is_no_harm(tmp_path: Path) -> None:
    """Aliases are references: nine lists of nine each take no more room than they say."""
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))
    file = tmp_path / "config.yaml"
    file.write_text(f"l0: &l0 [x]\n{levels}\n")
    assert reading.yaml_of(file)["l1"][0] == ["x"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000_123, 1_700_000_000.123),
        ("1700000000123", 1_700_000_000.123),
        ("2026-01-01T00:00:00Z", 1_767_225_600.0),
        ("2026-01-01T08:00:00.5+08:00", 1_767_225_600.5),
        ("2026-01-01T00:00:00", None),
        ("soon", None),
        (0, None),
        (-1, None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (10**30, None),
        (10**400, None),
        (None, None),
        ([], None),
    ],
)
def test_a_moment(value: Any, found: float | None) -> None:
    """Seconds, milliseconds, or an ISO time that says its zone."""
    assert reading.moment(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a", "a"),
        (" a \n", "a"),
        ("", None),
        ("a b", None),
        ("\N{SNOWMAN}", None),
        (5, None),
        ("a" * 16_385, None),
    ],
)
def test_a_secret(value: Any, found: str | None) -> None:
    """It has to travel in a header."""
    assert reading.secret(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [("a\0b", "ab"), ("\ud800x", "?x"), ("  ", None), (5, None), ("y" * 999, "y" * 256), (b"x", None)],
)
def test_words(value: Any, found: str | None) -> None:
    """What PostgreSQL, UTF-8 and terminals take."""
    assert reading.words(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(5, 5), ("5", 5), (5.9, 5), (-5, 0), (10**30, 2**63 - 1), (True, None), ("x", None), (math.nan, None)],
)
def test_an_integer(value: Any, found: int | None) -> None:
    """Out of bounds is the bound; a switch is no number."""
    assert reading.integer(value) == found


def test_counts_and_durations() -> None:
    """What cannot be was not said."""
    assert [reading.count(one) for one in (3, 0, -1, 2**63, "x", None)] == [3, 0, None, None, None, None]
    numbers = (3, 0, -1, 1e300, math.nan, 10**400, True, "3")
    assert [reading.milliseconds(one) for one in numbers] == [3.0, 0.0, *[None] * 6]


def test_switches() -> None:
    """Of files and of environments."""
    asked = (True, 1, "YES", "on", False, 0, "no", "Off", "", "maybe", None, 2.5)
    assert [reading.switch(one) for one in asked] == [*[True] * 4, *[False] * 4, *[None] * 4]
