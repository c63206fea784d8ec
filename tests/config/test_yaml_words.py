"""What is said of a file that is no YAML."""

from pathlib import Path

import pytest

from headgate.config import files
from headgate.config.yaml_words import harmless
from headgate.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "server:\n  port: 80: 80\n",
            "line 2, column 11: a second `name: value` where only a value may stand",
        ),
        ("server:\n  port: 80: 80\n", "the line is `port: 80: 80`"),
        ("server: {port: 1\nrouting:\n", "it opened at line 1, column 9"),
        ("server: {port: 1\n", "the file ends within an open bracket"),
        ("log:\n  file: 'x\n", "a quote is never closed (it opened at line 2, column 9): `file: 'x`"),
        ("log:\n  - x\n level: info\n", "this line does not fit those above it"),
        ("server:\n  port: 1\nretry\n", "a name without a colon"),
        ("log: {file: `x}\n", "must not begin with this character"),
    ],
)
def test_the_words_are_plain_and_whole(tmp_path: Path, text: str, words: str) -> None:
    """Where it is, what it is, the line, and where the bracket or quote was opened."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        files.read(path, {})
    message = caught.value.message
    assert words in message
    assert "…" not in message
    assert "<block" not in message


@pytest.mark.parametrize(
    "line",
    [
        "  key: s3cret",
        "- {name: a, api_key: s3cret}",
        "  api_kye: s3cret",
        "server: {port: 1, admin: {key: s3cret}}",
        "  - s3cret",
        "s3cret: x",
        "  url: postgresql://me:s3cret@db/x",
    ],
)
def test_no_secret_is_shown_with_its_line(line: str) -> None:
    """The value of a setting that is none is all that is ever shown."""
    assert "s3cret" not in harmless(line)
    assert harmless("  port: 80: 80") == "port: 80: 80"
