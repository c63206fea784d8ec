"""Settings out of another gateway's environment."""

from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving.environments import (
    Counterpart,
    address,
    level,
    required,
    take_settings,
    variables_of,
    whole,
)
from headgate.moving.found import Found

TABLE: dict[str, Counterpart] = {
    "PORT": (whole, ("server.port",)),
    "TIMEOUT": (whole, ("upstream.first_byte_timeout_ms", "upstream.idle_timeout_ms")),
    "LEVEL": (level, ("log.level",)),
    "URL": (address, ("providers.anthropic.base_url",)),
    "AUTH": (required, ("access.client_auth",)),
}


def test_a_name_may_stand_for_several_settings() -> None:
    """Values are written as ours are, so that the same is known to be the same."""
    found = Found("x")
    given = {
        "TIMEOUT": "600000",
        "LEVEL": "CRITICAL",
        "URL": "https://a.example/",
        "AUTH": "TRUE",
        "OTHER": "1",
    }
    take_settings(found, given, TABLE)
    assert [(one.path, one.value) for one in found.settings] == [
        ("upstream.first_byte_timeout_ms", 600_000),
        ("upstream.idle_timeout_ms", 600_000),
        ("log.level", "error"),
        ("providers.anthropic.base_url", "https://a.example"),
        ("access.client_auth", "required"),
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "80a"), ("PORT", "-1"), ("PORT", "9" * 40), ("URL", "example")]
)
def test_a_value_that_is_none_is_told_of_by_its_name(name: str, value: str) -> None:
    """It may be a secret that landed in the wrong line."""
    found = Found("x")
    take_settings(found, {name: value}, TABLE)
    assert (found.left_out[0].name, value in found.left_out[0].why) == (name, False)


def test_the_environment_of_this_process_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, `export` and earlier lines are understood as dotenv has them; empty is not set."""
    monkeypatch.setenv("HERE", "ours")
    file = tmp_path / ".env"
    file.write_text("A=1\nexport b='two words'\nC=${A}0\nD=${HERE}x\nE=\n")
    assert variables_of(file) == {"A": "1", "B": "two words", "C": "10", "D": "x"}


def test_what_is_no_environment_is_refused(tmp_path: Path) -> None:
    """A folder, bytes that are no text, and nothing at all."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("", "bytes", "missing"):
        with pytest.raises(ForeignDataUnreadable):
            variables_of(tmp_path / name)
