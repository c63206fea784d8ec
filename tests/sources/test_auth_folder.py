"""The auth folder changed on its owner's word."""

import json
from pathlib import Path

import pytest

from headgate.errors import HeadgateError, InvalidRequest, NotFound, StorageError
from headgate.sources import auth_folder

GOOD = b'{ "type": "claude",  "access_token": "t", "refresh_token": "r", "email": "a@b.c", "x": 1.50 }\n'
OTHER = b'{"type": "codex", "access_token": "t"}'


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_put_listed_switched_and_removed(tmp_path: Path) -> None:
    """To the letter, for the owner alone; nothing is left beside it."""
    assert auth_folder.put(tmp_path, "b.json", GOOD) == "claude"
    assert auth_folder.put(tmp_path, "a.json", OTHER) == "codex"
    file = tmp_path / "b.json"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (GOOD, 0o600)
    (tmp_path / ".hidden.json").write_bytes(GOOD)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "c.txt").write_bytes(GOOD)
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.json").symlink_to("nowhere")
    found = auth_folder.files_in(tmp_path)
    assert [(one.name, one.type, one.email, bool(one.wrong)) for one in found] == [
        ("a.json", "codex", "", False),
        ("b.json", "claude", "a@b.c", False),
        ("c.json", "", "", True),
    ]
    auth_folder.set_disabled(tmp_path, "b.json", is_disabled=False)
    assert file.read_bytes() == GOOD
    auth_folder.set_disabled(tmp_path, "b.json", is_disabled=True)
    assert file.read_bytes() == GOOD.replace(b"1.50", b'1.50, "disabled": true')
    assert [one.is_disabled for one in auth_folder.files_in(tmp_path)] == [False, True, False]
    auth_folder.set_disabled(tmp_path, "b.json", is_disabled=False)
    assert json.loads(file.read_text())["disabled"] is False
    auth_folder.remove(tmp_path, "b.json")
    assert not file.exists()
    assert names_in(tmp_path) == [
        ".hidden.json",
        "a.json",
        "c.json",
        "c.txt",
        "d.json",
        "folder.json",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".json",
            "..",
            "../a.json",
            "/etc/a.json",
            "a/b.json",
            "a\\b.json",
            "c:a.json",
            ".a.json",
            "a.JSON",
        ),
        *(
            "a.json/",
            "a.json\0",
            "a\n.json",
            "a\ud800.json",
            "a.txt",
            "x" * 196 + ".json",
            "ä" * 100 + ".json",
        ),
    ],
)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """Whatever is asked for it."""
    folder = tmp_path / "auths"
    folder.mkdir()
    (tmp_path / "a.json").write_bytes(GOOD)
    for change in (
        lambda: auth_folder.put(folder, name, GOOD),
        lambda: auth_folder.remove(folder, name),
        lambda: auth_folder.set_disabled(folder, name, is_disabled=True),
    ):
        with pytest.raises(InvalidRequest, match="The name of a file is wrong"):
            change()
    assert ((tmp_path / "a.json").read_bytes(), names_in(folder)) == (GOOD, [])


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"{",
            b"[]",
            b"7",
            b"null",
            b"{}",
            b'{"type": 7}',
            b'{"type": "claude"}',
            b"\xff",
            b"[" * 10_000,
        ),
        *(
            b'{"type": "claude", "access_token": "s3cret with space"}',
            b'{"type": "claude", "type": "claude"}',
        ),
        *(b'{"type": "claude", "access_token": "t", "expired": "s3cret"}', b'{"type": NaN}'),
    ],
)
def test_what_is_no_sign_in_is_not_written(tmp_path: Path, content: bytes) -> None:
    """What was there stays."""
    (tmp_path / "a.json").write_bytes(GOOD)
    with pytest.raises(InvalidRequest) as refused:
        auth_folder.put(tmp_path, "a.json", content)
    assert "s3cret" not in refused.value.message
    assert ((tmp_path / "a.json").read_bytes(), names_in(tmp_path)) == (GOOD, ["a.json"])


def test_links_are_never_followed_out(tmp_path: Path) -> None:
    """They are replaced or removed; what they lead to stays."""
    folder, outside = tmp_path / "auths", tmp_path / "outside.json"
    folder.mkdir()
    outside.write_bytes(GOOD)
    for change in (
        lambda: auth_folder.put(folder, "a.json", OTHER),
        lambda: auth_folder.remove(folder, "a.json"),
    ):
        (folder / "a.json").unlink(missing_ok=True)
        (folder / "a.json").symlink_to(outside)
        change()
        assert outside.read_bytes() == GOOD
        assert not (folder / "a.json").is_symlink()
    (folder / "a.json").symlink_to(outside)
    with pytest.raises(InvalidRequest, match="is a link"):
        auth_folder.set_disabled(folder, "a.json", is_disabled=True)
    assert outside.read_bytes() == GOOD


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """A file that is not there, a folder that is away, a name that is taken by a folder."""
    away = tmp_path / "away"
    (tmp_path / "taken.json").mkdir()
    failing: list[tuple[type[HeadgateError], object]] = [
        (NotFound, lambda: auth_folder.remove(tmp_path, "a.json")),
        (NotFound, lambda: auth_folder.set_disabled(tmp_path, "a.json", is_disabled=True)),
        (StorageError, lambda: auth_folder.files_in(away)),
        (StorageError, lambda: auth_folder.put(away, "a.json", GOOD)),
        (StorageError, lambda: auth_folder.put(tmp_path, "taken.json", GOOD)),
        (StorageError, lambda: auth_folder.remove(tmp_path, "taken.json")),
        (StorageError, lambda: auth_folder.set_disabled(tmp_path, "taken.json", is_disabled=True)),
    ]
    for kind, change in failing:
        with pytest.raises(kind):
            change()  # type: ignore[operator]
    assert names_in(tmp_path) == ["taken.json"]
