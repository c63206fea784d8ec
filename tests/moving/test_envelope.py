"""The sealed form of an export."""

import json
from typing import Any

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import envelope


def sealed(**kdf: Any) -> dict[str, Any]:
    """One that opens with `a passphrase`, its parameters changed."""
    found: dict[str, Any] = json.loads(envelope.seal(b"content", "a passphrase"))
    found["kdf"] |= kdf
    return found


def test_the_passphrase_opens_it_and_no_other() -> None:
    """And nothing of the content can be read in it."""
    text = envelope.seal(b'{"api_key": "sk-ant-secret"}', "pass\udcffphrase")
    assert "sk-ant" not in text
    found = json.loads(text)
    assert envelope.is_sealed(found)
    assert envelope.open_sealed(found, "pass\udcffphrase") == b'{"api_key": "sk-ant-secret"}'
    with pytest.raises(ForeignDataUnreadable, match="passphrase does not open it"):
        envelope.open_sealed(found, "pass-phrase")
    assert text != envelope.seal(b'{"api_key": "sk-ant-secret"}', "pass\udcffphrase")


@pytest.mark.parametrize(
    "kdf",
    [
        {"n": 1 << 40},
        {"n": 1 << 19, "r": 8},
        {"r": 1 << 30},
        {"p": 1_000_000},
        {"n": 3},
        {"n": 1},
        {"n": 0},
        {"n": -16},
        {"n": True},
        {"n": "65536"},
        {"n": 65536.0},
        {"n": None},
        {"salt": ""},
        {"salt": "AAAA"},
        {"salt": "A" * 100_000},
        {"salt": None},
        {"salt": "\N{SNOWMAN}"},
        {"name": "pbkdf2"},
    ],
)
def test_a_strangers_file_cannot_burn_memory_or_time(kdf: dict[str, Any]) -> None:
    """Parameters out of bounds are refused before a key is made with them."""
    with pytest.raises(ForeignDataUnreadable, match="not a sealed export"):
        envelope.open_sealed(sealed(**kdf), "a passphrase")


@pytest.mark.parametrize(
    "change", [{"sealed": None}, {"sealed": "\N{SNOWMAN}"}, {"kdf": []}, {"version": 2}, {"version": None}]
)
def test_what_is_no_envelope_says_so(change: dict[str, Any]) -> None:
    """Never a stack trace."""
    with pytest.raises(ForeignDataUnreadable):
        envelope.open_sealed({**sealed(), **change}, "a passphrase")


@pytest.mark.parametrize("found", [None, [], {}, {"kind": 1}, "headgate-accounts", {"accounts": []}])
def test_other_files_are_not_taken_for_one(found: object) -> None:
    """A plain export is read as what it is."""
    assert not envelope.is_sealed(found)
