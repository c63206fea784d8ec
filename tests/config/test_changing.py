from pathlib import Path
from typing import Any

import pytest

from headgate.config import table
from headgate.config.changing import change, mend_one
from headgate.config.loading import Origin
from headgate.errors import SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("# mine\nretry: {attempts: 2}   # why\n")
    path.chmod(0o600)
    return path


def origin(path: Path, flags: dict[str, Any] | None = None, **environ: str) -> Origin:
    return Origin(flags or {}, environ, path)


def test_a_change_is_written_and_loaded(path: Path) -> None:
    """Comments stay; what was set before stays."""
    changed = change(origin(path), path, {"routing.strategy": "weighted", "access.api_keys": ["a", "b"]})
    assert (changed.is_saved, changed.needs_restart, changed.warnings) == (True, (), ())
    assert changed.loaded.settings.routing.strategy == "weighted"
    assert len(changed.loaded.settings.access.api_keys) == 2
    assert path.read_text().startswith("# mine\nretry: {attempts: 2}   # why\n")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("routing.strategie", "session", "did you mean routing.strategy?"),
        ("strategy", "session", "did you mean routing.strategy?"),
        ("server", 1, "is a section"),
        ("accounts", [], "accounts are a list"),
        ("accounts.0.weight", 2, "accounts are a list"),
        ("routing.strategy", "foo", "Invalid strategy: foo"),
        ("server.port", 70000, "server.port"),
        ("server.port", True, "must be a number"),
        ("access.api_keys", 5, "must be a list"),
        ("providers.nobody.base_url", "http://x", "unknown provider"),
    ],
)
def test_what_would_not_load_is_not_written(path: Path, key: str, value: object, words: str) -> None:
    """The next start would fail on it."""
    before = path.read_text()
    with pytest.raises(SettingsError) as caught:
        change(origin(path), path, {"retry.attempts": 9, key: value})
    assert words in caught.value.message
    assert path.read_text() == before


def test_a_secret_is_not_repeated_by_its_refusal(path: Path) -> None:
    """It came from a command line or a request, and goes to a log."""
    with pytest.raises(SettingsError) as caught:
        change(origin(path), path, {"admin.key": "$argon2-s3cret"})
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_wrong_value_can_be_set_right(path: Path) -> None:
    """The file is wrong before, not after."""
    path.write_text("server: {port: x}\n")
    assert change(origin(path), path, {"server.port": 9}).loaded.settings.server.port == 9


def test_a_variables_name_is_answered_with_its_setting(path: Path) -> None:
    """Guides speak of variables; what is set here are settings."""
    with pytest.raises(SettingsError, match=r"ENABLE_CLIENT_AUTH, did you mean access\.client_auth"):
        change(origin(path), path, {"ENABLE_CLIENT_AUTH": True})


def test_a_stronger_source_is_named_and_the_change_holds_here(path: Path) -> None:
    """The file has it as well, for the day when the variable is gone."""
    changed = change(origin(path, PORT="5"), path, {"server.port": 9})
    assert changed.loaded.settings.server.port == 9
    assert changed.warnings[0].startswith("environment variable PORT overrides the settings file")
    assert "takes 5 again" in changed.warnings[0]
    stopped = change(origin(path, ROTATION_ENABLED="no"), path, {"routing.rotation": True})
    assert "takes false again" in stopped.warnings[0]  # as it is written in the file
    assert changed.needs_restart == ("server.port",)
    assert origin(path).load().settings.server.port == 9
    again = change(changed.loaded.origin, path, {"server.port": 5})
    assert again.warnings == ()
    assert again.loaded.origin.overrides == {}


def test_what_cannot_be_written_holds_here(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    start = origin(tmp_path / "none.yaml")
    changed = change(start, tmp_path / "file" / "config.yaml", {"retry.attempts": 9})
    assert (changed.is_saved, changed.loaded.settings.retry.attempts) == (False, 9)
    later = change(changed.loaded.origin, tmp_path / "none.yaml", {"retry.delay_ms": 9})
    assert (later.loaded.settings.retry.attempts, later.loaded.settings.retry.delay_ms) == (9, 9)


def test_one_of_two_faults_can_be_set_right(path: Path) -> None:
    """It is written, and what is left is told; a value that is no help is not written."""
    path.write_text("server: {port: x}\nretry: {attempts: y}   # why\n")
    before = path.read_text()
    assert mend_one(origin(path), path, "server.port", "z") == ()
    assert mend_one(origin(path), path, "log.level", "debug") == ()
    assert path.read_text() == before
    (left,) = mend_one(origin(path), path, "server.port", 9)
    assert str(left) == "line 2, column 19: retry.attempts: must be a whole number"
    assert path.read_text() == before.replace("port: x", "port: 9")
    assert mend_one(origin(path), path, "retry.attempts", 2) == ()  # the last one is an ordinary change


@pytest.mark.parametrize("key", ["retry.attempts", "routing.strategy", "access.api_keys", "admin.key"])
def test_null_gives_the_default(path: Path, key: str) -> None:
    """Also where the setting itself is never null."""
    changed = change(origin(path), path, {key: None})
    default = Origin({}, {}, path.with_name("none.yaml")).load().settings
    assert table.value_at(changed.loaded.settings, key) == table.value_at(default, key)
