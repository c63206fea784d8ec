import json
import time
from typing import Any

import pytest

from headgate.pool.accounts import Kind
from headgate.sources.accounts_json import EMPTY, read
from headgate.sources.found import Contents
from headgate.sources.json_text import JsonText, Malformed


def _read(document: Any) -> Contents:
    return read(JsonText(json.dumps(document).encode()))


TOKENS = {"accessToken": "a", "refreshToken": "r", "expiresAt": 1_700_000_000_000}


def test_the_empty_file_has_no_account() -> None:
    contents = read(JsonText(EMPTY))
    assert (contents.found, contents.wrong) == ([], [])


@pytest.mark.parametrize(
    ("document", "name", "kind"),
    [
        ({"accounts": {"work": TOKENS}}, "work", Kind.OAUTH),
        ({"work": {}, "accounts": {"my team!": TOKENS}}, "my-team", Kind.OAUTH),
        ([{"id": "7", **TOKENS}], "7", Kind.OAUTH),
        ({"accounts": [{"name": "n", "email": "e", "api_key": "k"}]}, "n", Kind.API_KEY),
        ({"accounts": [{"email": "me@x.test", "oauth": TOKENS}]}, "me@x.test", Kind.OAUTH),
        ({"accounts": {"…": TOKENS}}, "account", Kind.OAUTH),
    ],
)
def test_every_form_is_understood(document: Any, name: str, kind: Kind) -> None:
    contents = _read(document)
    assert not contents.wrong
    assert [(one.name, one.kind) for one in contents.found] == [(name, kind)]


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (1_700_000_000_000, 1_700_000_000),
        (1_700_000_000, 1_700_000_000),
        ("1700000000", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20.123456789+00:00", 1_700_000_000.123456),
        (0, None),
        (None, None),
    ],
)
def test_moments_are_read_as_they_are_written_about(moment: Any, seconds: float | None) -> None:
    (found,) = _read({"accounts": {"w": {**TOKENS, "expiresAt": moment}}}).found
    assert found.credential.expires_at == seconds


def test_a_scope_that_is_no_text_is_passed_over() -> None:
    """Half of a surrogate pair can be written in JSON, and nowhere else."""
    (found,) = _read({"accounts": {"w": {**TOKENS, "scopes": ["a:b", "\ud800", 7]}}}).found
    assert found.credential.scopes == ("a:b",)


def test_ten_thousand_entries_are_read_in_seconds() -> None:
    """All want one name, and every second one is complained about; each used to look at all before it."""
    began = time.process_time()
    contents = _read({"accounts": [TOKENS, {"filler": "x" * 200}] * 5000})
    assert (len(contents.found), len(contents.wrong)) == (5000, 5000)
    assert contents.found[-1].name == "account-9999"
    assert time.process_time() - began < 8


def test_names_are_unique() -> None:
    contents = _read({"accounts": [{"email": "me", **TOKENS}, {"email": "me", **TOKENS}]})
    assert [one.name for one in contents.found] == ["me", "me-2"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (7, "must be an object"),
        ({}, "neither accessToken, access_token nor api_key"),
        ({**TOKENS, "accessToken": ""}, "accessToken is missing or empty"),
        ({**TOKENS, "accessToken": "a b"}, "printable ASCII"),
        ({**TOKENS, "refreshToken": 5}, "refreshToken must be a text"),
        ({**TOKENS, "expiresAt": "soon"}, "expiresAt must be a moment"),
        ({**TOKENS, "expiresAt": 10**30}, "expiresAt must be a moment"),
        ({**TOKENS, "expiresAt": -5}, "expiresAt must be a moment"),
        ({**TOKENS, "expiresAt": -(10**400)}, "expiresAt must be a moment"),
        ({**TOKENS, "provider": "else"}, "unknown provider"),
        ({**TOKENS, "priority": 1.5}, "priority must be a whole number"),
        ({**TOKENS, "email": "x" * 300}, "email must be a text"),
        ({**TOKENS, "models": ["a", "\ud800"]}, "models must be a list of texts"),
    ],
)
def test_a_wrong_entry_is_told_and_the_others_are_read(entry: Any, words: str) -> None:
    contents = _read({"accounts": {"good": TOKENS, "bad": entry}})
    assert [one.name for one in contents.found] == ["good"]
    ((_, wrong),) = contents.wrong
    assert words in wrong.words
    assert wrong.column > 60


@pytest.mark.parametrize("document", [{}, {"accounts": 7}, "text", {"accounts": None}])
def test_another_file_is_none_of_accounts(document: Any) -> None:
    with pytest.raises(Malformed, match="expected"):
        _read(document)
