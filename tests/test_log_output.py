import os
import subprocess
import sys
from pathlib import Path

from headgate.log_output import LogFile


def test_the_owner_rotates_and_the_other_follows(tmp_path: Path) -> None:
    """Two writers, one file: no line is lost, none lands in a file that was rotated away long ago."""
    file = tmp_path / "app.log"
    owner = LogFile(file, max_bytes=2000, backups=50)
    other = LogFile(file, max_bytes=0, backups=50)
    try:
        for number in range(100):
            owner.write(f"owner-{number:03d}-" + "x" * 40 + "\n")
            other.write(f"other-{number:03d}-" + "y" * 40 + "\n")
    finally:
        owner.close()
        other.close()
    names = sorted(tmp_path.iterdir())
    lines = [line[:9] for name in names for line in name.read_text().splitlines()]
    assert len(names) > 3
    assert sorted(lines) == sorted(f"{who}-{n:03d}" for who in ("owner", "other") for n in range(100))
    assert max(name.stat().st_size for name in names) < 2200


def test_a_file_that_was_taken_away_is_made_anew(tmp_path: Path) -> None:
    """Other programs rotate too."""
    file = tmp_path / "app.log"
    kept_open = LogFile(file, max_bytes=0, backups=0)
    try:
        kept_open.write("one\n")
        file.unlink()
        kept_open.write("two\n")
    finally:
        kept_open.close()
    assert file.read_text().strip() == "two"


_LEFT_ALONE = """
import logging, sys
from headgate.log import configure
configure({"level": "info", "format": "pretty", "color": "auto", "file": sys.argv[1],
           "max_bytes": 0, "backups": 0})
sys.stdin.read()
for number in range(3):
    logging.getLogger("headgate.proxy").info("line %d \\udc80", number)
"""


def test_a_console_whose_reader_left_costs_no_line(tmp_path: Path) -> None:
    """`headgate serve | head` must go on; odd characters in a poor locale must not stop it either."""
    file = tmp_path / "app.log"
    process = subprocess.Popen(
        [sys.executable, "-c", _LEFT_ALONE, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stderr:
        process.stdout.close()
        process.stdin.close()
        complaints = process.stderr.read()
    assert [f"line {n} \\udc80" in file.read_text() for n in range(3)] == [True] * 3
    assert "Logging error" not in complaints
