"""Foreign files and the values in them."""

import json
import math
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import ccflare, claude_code_proxy, cliproxyapi, reading
from headgate.moving.found import Found, with_fitting_names, without_twins
from tests.moving import theirs


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
    [
        *[(5, 5), ("5", 5), (5.9, 5), (-5, 0), (10**30, 2**63 - 1)],
        *[(True, None), ("x", None), (math.nan, None), ("--5", None), ("-", None)],
    ],
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


# ---- any bytes -----------------------------------------------------------------------------------


def _left_behind(folder: Path) -> dict[str, Path]:
    """One of each, right as it is."""
    with theirs.ccflare(folder / "ccflare.db", is_better=True) as database:
        account = theirs.ccflare_account(database, "work")
        theirs.ccflare_account(database, "key", provider="claude-console-api", api_key="sk-ant-1")
        for number in range(30):
            theirs.ccflare_request(database, account, number)
    database.close()
    (folder / "accounts.json").write_text(json.dumps(theirs.accounts_json("by hand", "a", "b")))
    (folder / "auths").mkdir()
    (folder / "auths" / "claude-a.json").write_text(json.dumps(theirs.cliproxyapi_credential("a")))
    text = theirs.CLIPROXYAPI_CONFIG.format(port=1, auths=folder / "auths", key="k", url="http://a.example")
    (folder / "config.yaml").write_text(text)
    return {
        name: folder / name for name in ("ccflare.db", "accounts.json", "config.yaml", "auths/claude-a.json")
    }


def _changed(content: bytes, random: Random) -> bytes:
    """Some bytes are others, or gone, or there twice, or cut off."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        at, length = random.randrange(len(changed) + 1), random.choice((1, 1, 4, 100))
        how = random.randrange(5)
        if how == 0:
            changed[at : at + length] = random.randbytes(length)
        elif how == 1:
            del changed[at : at + length]
        elif how == 2:
            changed[at:at] = changed[at : at + length]
        elif how == 3:
            changed[at:at] = random.choice(
                (b"null", b"-1", b'"', b"{", b"]", b"1e999", b"\\ud800", b": ", b"\0")
            )
        elif random.random() < 0.1:
            del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("name", ["ccflare.db", "accounts.json", "config.yaml", "auths/claude-a.json"])
async def test_whatever_the_bytes_are_a_reader_finds_something_or_refuses(tmp_path: Path, name: str) -> None:
    """And what it finds is fit to be asked for."""
    file = _left_behind(tmp_path)[name]
    right, random = file.read_bytes(), Random(name)
    refused = 0
    for _ in range(60 if name == "ccflare.db" else 250):
        file.write_bytes(_changed(right, random))
        try:
            found = _read(file)
            without_twins(found)
            fitted, _ = with_fitting_names(found.accounts)
            json.dumps([one.carried() for one in fitted]).encode()
            if found.history is not None:
                async for batch in found.history.batches(10):
                    assert all(0 < one.at_ms < 10**14 and one.id for one in batch)
        except ForeignDataUnreadable as error:
            refused += 1
            assert "sk-ant" not in error.message
    assert refused


def _read(file: Path) -> Found:
    if file.name == "ccflare.db":
        return ccflare.read(file)
    if file.name == "accounts.json":
        return claude_code_proxy.read(file)
    if file.name == "config.yaml":
        return cliproxyapi.read(file)
    found = cliproxyapi.read(file.parent)
    if found.left_out and any(one.is_failure for one in found.left_out):
        raise ForeignDataUnreadable(next(one.why for one in found.left_out if one.is_failure))
    return found
