"""`accounts.json` in its three shapes."""

import json
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving.account_files import carried_accounts, contents_of, is_accounts_file, take_accounts
from headgate.moving.found import Found
from headgate.sources import accounts_json
from tests.moving import theirs

SHAPES = ("kept", "exported", "by hand")


def taken(folder: Path, content: Any) -> Found:
    file = folder / "accounts.json"
    file.write_text(json.dumps(content))
    found = Found("claude-code-proxy")
    take_accounts(found, contents_of(file, accounts_json.read)[0])
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read_without_loss(tmp_path: Path, shape: str) -> None:
    """Names, both tokens, and when they end, in whatever unit it is written."""
    content = theirs.accounts_json(shape, "work", "home", ends_ms=1_900_000_000_000)
    assert is_accounts_file(content)
    found = taken(tmp_path, content)
    assert not found.left_out
    names = [one.name for one in found.accounts]
    assert names == (["work", "home"] if shape == "kept" else ["work@example.com", "home@example.com"])
    first = found.accounts[0]
    assert (first.access_token, first.refresh_token) == ("sk-ant-oat01-work", "sk-ant-ort01-work")
    assert (first.expires_at, first.paused) == (1_900_000_000.0, False)


def test_an_account_that_is_off_comes_paused(tmp_path: Path) -> None:
    """`is_active: false`."""
    content = theirs.accounts_json("exported", "work")
    content["accounts"][0]["is_active"] = False
    assert taken(tmp_path, content).accounts[0].paused


@pytest.mark.parametrize(
    ("entry", "is_taken"),
    [
        ({"accessToken": "a"}, True),
        ({"accessToken": "a", "expiresAt": "garbage"}, False),
        ({"refreshToken": "r"}, False),
        ({"accessToken": "two words"}, False),
        ({"oauth_token": []}, False),
        ([], False),
        ("sk-ant", False),
    ],
)
def test_an_entry_that_is_no_account_is_told_of(tmp_path: Path, entry: Any, is_taken: bool) -> None:
    """With its place, and the others come along; as one import of accounts it is all or nothing."""
    content = {"accounts": {"odd": entry, "work": theirs.tokens_of("work")}}
    found = taken(tmp_path, content)
    assert [one.name for one in found.accounts] == ([*["odd"] * is_taken, "work"])
    assert [one.is_failure for one in found.left_out] == [True] * (not is_taken)
    if is_taken:
        assert [one["name"] for one in carried_accounts(json.dumps(content).encode())] == ["odd", "work"]
    else:
        with pytest.raises(ForeignDataUnreadable, match="line 1 column"):
            carried_accounts(json.dumps(content).encode())


@pytest.mark.parametrize("content", [None, "x", {}, {"accounts": None}, {"accounts": 5}, 7])
def test_what_is_no_accounts_file_says_what_is_wanted(tmp_path: Path, content: Any) -> None:
    """Not a word of what it holds instead."""
    assert not is_accounts_file(content)
    with pytest.raises(ForeignDataUnreadable, match="the accounts by name"):
        taken(tmp_path, content)


def test_an_export_of_ours_is_another_file() -> None:
    """Its entries have `api_key` and `oauth`."""
    tokens = {"access_token": "t"}
    assert not is_accounts_file({"accounts": [{"name": "a", "api_key": "k"}, {"name": "b", "oauth": tokens}]})
    assert not is_accounts_file([{"name": "a", "api_key": "k"}])
