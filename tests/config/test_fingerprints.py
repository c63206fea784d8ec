from itertools import pairwise
from pathlib import Path

from headgate.config import fingerprints


def test_a_file_that_comes_changes_moves_or_goes_is_another(tmp_path: Path) -> None:
    """Also when an editor puts a new one of the same text in its place."""
    path = tmp_path / "a"
    seen = [fingerprints.of([path])]
    for step in (
        lambda: path.write_text("1"),
        lambda: path.write_text("12"),
        lambda: (tmp_path / "b").write_text("12"),
        path.unlink,
    ):
        step()
        if (tmp_path / "b").exists() and path.exists():
            (tmp_path / "b").replace(path)
        seen.append(fingerprints.of([path]))
    assert all(one != other for one, other in pairwise(seen))
    assert seen[0] == seen[-1]


def test_a_name_that_no_file_can_have_is_no_reason_to_fail() -> None:
    """Settings may say anything before they are looked at."""
    path = Path("a\0b")
    assert fingerprints.of([path]) == fingerprints.of([path])
