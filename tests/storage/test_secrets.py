import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from headgate.errors import SecretUnreadable, SettingsError, StorageError
from headgate.storage.secrets import SecretBox


def test_a_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    """`secret.key`, 0600 in a 0700 folder; the next start opens what this one sealed."""
    folder = tmp_path / "data"
    sealed = SecretBox.open_or_create(folder).seal("sk-ant-1")
    assert SecretBox.open_or_create(folder).open(sealed) == "sk-ant-1"
    assert "sk-ant-1" not in sealed
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["secret.key"]


def test_a_look_makes_no_key(tmp_path: Path) -> None:
    """Else a new one would stand in the lost one's place, and nobody would know why nothing opens."""
    box = SecretBox.open_or_create(tmp_path / "data")
    with pytest.raises(SecretUnreadable, match="no encryption key that opens the secret of account work"):
        box.open("gAAAA", of="the secret of account work")
    assert not (tmp_path / "data").exists()
    assert "is missing: there is no" in box.explain_closed(["work"])


def test_a_key_made_beside_closed_secrets_does_not_hide_the_loss(tmp_path: Path) -> None:
    """Neither in the process that made it nor in a later one."""
    sealed = SecretBox.open_or_create(tmp_path / "old").seal("x")
    box = SecretBox.open_or_create(tmp_path / "new")
    box.seal("y")
    assert "was missing and a new one was made" in box.explain_closed(["work", "home"])
    assert "work, home" in box.explain_closed(["work", "home"])
    later = SecretBox.open_or_create(tmp_path / "new")
    assert f"in force ({tmp_path / 'new' / 'secret.key'}) is another one" in later.explain_closed(["work"])
    with (tmp_path / "new" / "secret.key").open("a") as file:
        file.write((tmp_path / "old" / "secret.key").read_text())
    assert SecretBox.open_or_create(tmp_path / "new").open(sealed) == "x"


def test_a_key_that_came_back_meanwhile_is_used(tmp_path: Path) -> None:
    """The owner puts it back beside a running gateway; another process may be first as well."""
    sealed = SecretBox.open_or_create(tmp_path).seal("x")
    (tmp_path / "secret.key").rename(tmp_path / "backup")
    box = SecretBox.open_or_create(tmp_path)
    (tmp_path / "backup").rename(tmp_path / "secret.key")
    box.seal("y")
    assert box.open(sealed) == "x"


def test_a14_a_wider_mode_is_warned_about(tmp_path: Path) -> None:
    SecretBox.open_or_create(tmp_path).seal("x")
    assert SecretBox.open_or_create(tmp_path).warnings == ()
    (tmp_path / "secret.key").chmod(0o640)
    assert "chmod 600" in SecretBox.open_or_create(tmp_path).warnings[0]


def test_a_wrong_key_says_what_mends_it(tmp_path: Path) -> None:
    sealed = SecretBox.open_or_create(tmp_path / "a").seal("x")
    SecretBox.open_or_create(tmp_path / "b").seal("y")
    with pytest.raises(SecretUnreadable, match="the secret of account work") as caught:
        SecretBox.open_or_create(tmp_path / "b").open(sealed, of="the secret of account work")
    assert "HEADGATE_SECRET_KEY" in caught.value.hint


def test_a_given_key_touches_no_file(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    sealed = SecretBox.open_or_create(tmp_path, key).seal("x")
    assert Fernet(key).decrypt(sealed) == b"x"
    assert list(tmp_path.iterdir()) == []


def test_any_long_text_is_a_key(tmp_path: Path) -> None:
    """A passphrase gives the same key every time; a short one is refused."""
    sealed = SecretBox.open_or_create(tmp_path, "correct horse battery").seal("x")
    assert SecretBox.open_or_create(tmp_path, " correct horse battery ").open(sealed) == "x"
    with pytest.raises(SettingsError, match="too short: HEADGATE_SECRET_KEY"):
        SecretBox.open_or_create(tmp_path, "hunter2")


def test_a_variable_may_hold_any_bytes(tmp_path: Path) -> None:
    """What is no text arrives from the environment in this form."""
    box = SecretBox.open_or_create(tmp_path, "sixteen bytes \udcff\udcfe")
    assert box.open(box.seal("x")) == "x"


@pytest.mark.parametrize("content", [b"garbage\n", b"\xff\xfe" * 20, b" \n"])
def test_a_broken_key_file_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    """The first mend is a backup: a new key would leave every stored secret closed."""
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    box = SecretBox.open_or_create(tmp_path)
    for use in (box.refuse_broken, lambda: box.seal("x"), lambda: box.digests("x")):
        with pytest.raises(StorageError, match=str(path)) as caught:
            use()
    with pytest.raises(SecretUnreadable, match=str(path)):
        box.open("sealed")
    assert str(path) in box.explain_closed(["work"])
    assert caught.value.hint.startswith("Restore the key from a backup first")
    assert "garbage" not in caught.value.message
    assert path.read_bytes() == content


def test_a_new_key_in_front_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    before = SecretBox.open_or_create(tmp_path, old)
    after = SecretBox.open_or_create(tmp_path, f"{new},{old}")
    assert after.open(before.seal("x")) == "x"
    assert SecretBox.open_or_create(tmp_path, new).open(after.seal("y")) == "y"
    assert before.digests("x")[0] in after.digests("x")


def test_digests_tell_equal_secrets_without_showing_them(tmp_path: Path) -> None:
    box, other = SecretBox.open_or_create(tmp_path / "a"), SecretBox.open_or_create(tmp_path / "b")
    assert box.digests("x") == box.digests("x") != box.digests("y")
    assert box.digests("x") != other.digests("x")


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """By whoever seals next, or meets what does not open; one that is being written disturbs nobody."""
    box, other = SecretBox.open_or_create(tmp_path), SecretBox.open_or_create(tmp_path)
    first = box.seal("x")
    assert other.open(first) == "x"
    other.put_in_front(None)
    assert SecretBox.open_or_create(tmp_path).open(box.seal("y")) == "y"
    other.retire(other.old_keys)
    assert SecretBox.open_or_create(tmp_path).open(box.seal("z")) == "z"
    (tmp_path / "secret.key").write_bytes(b"")
    assert box.open(box.seal("still")) == "still"


def test_a_key_behind_a_link_is_changed_where_it_lies(tmp_path: Path) -> None:
    """The link stays one."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "secret.key").symlink_to(tmp_path / "elsewhere" / "secret.key")
    (tmp_path / "elsewhere" / "secret.key").write_bytes(Fernet.generate_key())
    box = SecretBox.open_or_create(tmp_path)
    sealed = box.seal("x")
    box.put_in_front(None)
    assert (tmp_path / "secret.key").is_symlink()
    assert len((tmp_path / "elsewhere" / "secret.key").read_text().splitlines()) == 2
    assert SecretBox.open_or_create(tmp_path).open(sealed) == "x"
