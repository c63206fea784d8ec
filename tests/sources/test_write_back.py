import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from headgate.pool.accounts import Credential
from headgate.sources import accounts_json
from headgate.sources.found import Found
from headgate.sources.json_text import JsonText
from headgate.sources.write_back import Overtaken, write_new, write_tokens

NEW = Credential("access-2", "refresh-2", 1_800_000_000.0)
DOCUMENT = """{
  "version": 1,
  "accounts": {
    "work": {"accessToken": "access-1", "unknown": 1.0, "refreshToken": "refresh-1"},
    "team": {"accessToken": "t", "refreshToken": "t", "expiresAt": 1700000000000}
  }
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.json"
    path.write_text(DOCUMENT)
    return path


def _found(file: Path) -> Found:
    return accounts_json.read(JsonText(file.read_bytes())).found[0]


def test_only_the_tokens_change(file: Path) -> None:
    file.chmod(0o644)
    assert write_tokens(file, accounts_json.read, [(_found(file), NEW)]) is True
    expected = DOCUMENT.replace("access-1", "access-2").replace(
        '"refresh-1"', '"refresh-2", "expiresAt": 1800000000000'
    )
    assert file.read_text() == expected
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["accounts.json"]


def test_what_is_there_already_is_not_written(file: Path) -> None:
    before = _found(file)
    write_tokens(file, accounts_json.read, [(before, NEW)])
    number = file.stat().st_ino
    assert write_tokens(file, accounts_json.read, [(before, NEW)]) is False
    assert file.stat().st_ino == number


@pytest.mark.parametrize(
    "other",
    [DOCUMENT.replace("refresh-1", "refresh-9"), '{"accounts": {}}', "{", '{"accounts": {"work": 1}}'],
)
def test_another_programs_word_is_not_written_over(file: Path, other: str) -> None:
    before = _found(file)
    file.write_text(other)
    with pytest.raises(Overtaken):
        write_tokens(file, accounts_json.read, [(before, NEW)])
    assert file.read_text() == other


def test_of_a_link_the_file_is_written(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "accounts.json"
    link.symlink_to(file)
    write_tokens(link, accounts_json.read, [(_found(file), NEW)])
    assert link.is_symlink()
    assert "refresh-2" in file.read_text()


def test_a_file_in_the_way_of_the_new_one_is_no_trap(file: Path, tmp_path: Path) -> None:
    """A link planted where the new file is written leads nowhere."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".accounts.json.{os.getpid()}.part").symlink_to(victim)
    write_tokens(file, accounts_json.read, [(_found(file), NEW)])
    assert victim.read_text() == "mine"


def test_a_token_without_an_end_has_none_in_the_file(file: Path) -> None:
    found = accounts_json.read(JsonText(file.read_bytes())).found[1]
    write_tokens(file, accounts_json.read, [(found, replace(NEW, expires_at=None))])
    assert json.loads(file.read_text())["accounts"]["team"]["expiresAt"] is None


def test_a_first_file_does_not_replace_one_that_came_meanwhile(file: Path, tmp_path: Path) -> None:
    write_new(file, accounts_json.EMPTY)
    assert file.read_text() == DOCUMENT
    write_new(tmp_path / "new" / "accounts.json", accounts_json.EMPTY)
    assert stat.S_IMODE((tmp_path / "new" / "accounts.json").stat().st_mode) == 0o600
