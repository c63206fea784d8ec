from pathlib import Path

import pytest

from headgate.config import env_file


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_usual_forms_are_understood(tmp_path: Path) -> None:
    """Quotes, export, comments, a mark at the start, a value in braces."""
    text = "\ufeff# mine\nexport A=1\nB=\"two words\" # why\nC='$A'\nD=${A}-${E}\nE=\nF\n"
    found = env_file.read(written(tmp_path, text), {"E": "real"})
    assert found.variables == {"A": "1", "B": "two words", "C": "$A", "D": "1-real", "E": ""}
    assert found.warnings == ()


def test_a_line_that_is_none_is_a_warning(tmp_path: Path) -> None:
    """The others count, and nothing of the line is repeated."""
    found = env_file.read(written(tmp_path, 'A=1\nB="s3cret\nC=3\n'), {})
    assert found.variables["A"] == "1"
    (warning,) = found.warnings
    assert "line 2" in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_of_no_use_sets_nothing(tmp_path: Path, content: bytes | None) -> None:
    """A missing one is no news."""
    path = written(tmp_path, content) if content is not None else tmp_path / ".env"
    found = env_file.read(path, {})
    assert found.variables == {}
    assert len(found.warnings) == (content is not None)


def test_a_folder_of_that_name_is_none(tmp_path: Path) -> None:
    """Some keep a virtual environment there."""
    (tmp_path / ".env").mkdir()
    assert env_file.read(tmp_path / ".env", {}) == env_file.EnvFile(tmp_path / ".env")
