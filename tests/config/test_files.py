import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config import files
from headgate.config.files import Position
from headgate.errors import SettingsError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_no_file_is_no_error(tmp_path: Path) -> None:
    """Defaults are enough to start (F8)."""
    assert files.read(tmp_path / "none.yaml", {}) is None


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    """As the commented file of the first start."""
    parsed = files.read(written(tmp_path, text), {})
    assert parsed is not None
    assert (parsed.values, parsed.is_blank) == ({}, not text)


def test_every_value_has_its_place(tmp_path: Path) -> None:
    """Counted from 1; block and flow style, lists, and a byte order mark."""
    text = "\ufeffserver:\n  port: 80\naccounts:\n  - {name: a, weight: 2}\n  - name: b\n"
    parsed = files.read(written(tmp_path, text), {})
    assert parsed is not None
    assert parsed.values == {
        "server": {"port": 80},
        "accounts": [{"name": "a", "weight": 2}, {"name": "b"}],
    }
    assert parsed.positions["server.port"] == Position(2, 9)
    assert parsed.positions["accounts.0.weight"] == Position(4, 23)
    assert parsed.positions["accounts.1.name"] == Position(5, 11)
    assert parsed.positions["server"] == Position(1, 1)


def test_values_are_plain(tmp_path: Path) -> None:
    """Nothing of the parser's own types goes on: settings outlive the file."""
    parsed = files.read(written(tmp_path, "a: 0x10\nb: 1.5\nc: 'x'\nd: true\ne: null\nf: off\n"), {})
    assert parsed is not None
    assert {name: type(value) for name, value in parsed.values.items()} == {
        "a": int, "b": float, "c": str, "d": bool, "e": type(None), "f": str,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("server: {port: 1\n", "line 2, column 1"),
        ("server:\n\tport: 1\n", "line 2, column 1"),
        ("a: 1\na: 2\n", "line 2, column 1"),
        ("- a\n", "line 1, column 1"),
        (b"a: 1\nb: \xff\n", "line 2, column 4"),
        ("a: *gone\n", "line 1, column 4"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1"),
    ],
    ids=["open brace", "tab", "twice", "list", "not utf-8", "no anchor", "two documents"],
)
def test_a_broken_file_is_answered_with_line_and_column(
    tmp_path: Path, text: str | bytes, where: str
) -> None:
    """F4; the file is left as it is."""
    path = written(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(SettingsError) as caught:
        files.read(path, {})
    assert caught.value.message.startswith(f"Failed to parse config file {path}: {where}: ")
    assert path.read_bytes() == before


@given(st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """No other exception ever leaves the parser."""
    path = written(tmp_path_factory.mktemp("any"), content)
    try:
        files.read(path, {})
    except SettingsError as error:
        assert error.message.startswith("Failed to parse config file")


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    """The parser is recursive; Python's own limit must not look like a crash."""
    with pytest.raises(SettingsError, match="nesting is too deep"):
        files.read(written(tmp_path, "a: " + "[" * 1000), {})


def test_merged_keys_count(tmp_path: Path) -> None:
    """`<<` saves owners of many accounts the repetition."""
    text = "accounts:\n  - &base {name: a, weight: 2}\n  - {<<: *base, name: b}\n"
    parsed = files.read(written(tmp_path, text), {})
    assert parsed is not None
    assert parsed.values["accounts"][1] == {"name": "b", "weight": 2}


def test_names_are_replaced_from_the_environment(tmp_path: Path) -> None:
    """`$$` keeps the text as it stands."""
    path = written(tmp_path, 'a: "x-${ONE}-${TWO}"\nb: ["${ONE}"]\nc: "$${ONE}"\nd: $5\n')
    parsed = files.read(path, {"ONE": "1", "TWO": ""})
    assert parsed is not None
    assert parsed.values == {"a": "x-1-", "b": ["1"], "c": "${ONE}", "d": "$5"}


def test_a_name_that_the_environment_lacks_is_an_error(tmp_path: Path) -> None:
    """An empty API key would fail later and say less."""
    parsed = files.read(written(tmp_path, 'a:\n  b: "${ONE}"\n'), {})
    assert parsed is not None
    assert parsed.unresolved == {"a.b": "the environment has no variable 'ONE'"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("admin:\n  key: s3cret\n  key: s3cret2\n", "the key key is there twice"),
        ("admin: {key: *s3cret}\n", "put it in quotes"),
        ("server:\n\tport: 1\n", "a tab"),
        ("admin: {key: 2020-13-99}\n", ""),
        ("admin: {key: %s3cret}\n", ""),
        ("admin: {key: !s3cret x}\n", ""),
        ("admin: {key: 'a'\n  s3cret: [}\n", ""),
        ('admin: {key: "\\qs3cret"}\n', ""),
        ("admin: {key: 1s3cret: }]\n", ""),
    ],
)
def test_no_complaint_repeats_a_value(tmp_path: Path, text: str, words: str) -> None:
    """It may be a secret, and the complaint goes to the log."""
    try:
        files.read(written(tmp_path, text), {})
    except SettingsError as error:
        assert words in error.message
        assert "s3cret" not in error.message
    else:
        assert not words


def test_a_folder_in_the_file_s_place_is_named_with_its_owner(tmp_path: Path) -> None:
    """F8: an unreadable path says whose it is."""
    with pytest.raises(SettingsError, match=r"Cannot read config file .* \(owned by ") as caught:
        files.read(tmp_path, {})
    assert "--config" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """The reason is the system's own."""
    path = written(tmp_path, "a: 1\n")
    path.chmod(0)
    with pytest.raises(SettingsError, match="Permission denied"):
        files.read(path, {})
