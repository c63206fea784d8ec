import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert complaints == ""
    assert process.returncode == 0


_UNREAD = """
import logging, sys
from headgate.log import configure
configure({"level": "info", "format": "pretty", "color": "auto", "file": sys.argv[1],
           "max_bytes": 0, "backups": 0})
for number in range(40_000):
    logging.getLogger("headgate.proxy").info("line %d", number)
"""


def test_a_console_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    """A pipe that is full: every line is in the file, and the process ends by itself."""
    file = tmp_path / "app.log"
    with subprocess.Popen([sys.executable, "-c", _UNREAD, str(file)], stdout=subprocess.PIPE) as process:
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert "line 39999\n" in file.read_text()


_STARTED_WITHOUT = """
import logging, os, sys
from headgate.log import configure
configure({"level": "info", "format": "pretty", "color": "auto", "file": sys.argv[1],
           "max_bytes": 0, "backups": 0})
logging.getLogger("headgate.proxy").info("line")
os.system("echo from a child")
"""


@pytest.mark.skipif(os.name == "nt", reason="no POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_start_without_standard_streams_costs_no_line(tmp_path: Path, closed: str) -> None:
    """The log file must not take the free number: what children print would land in it."""
    file = tmp_path / "app.log"
    shell = ["/bin/sh", "-c", f'exec "$0" -c "$1" "$2" {closed}', sys.executable, _STARTED_WITHOUT, str(file)]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text().count("\n") == 1


@pytest.mark.parametrize(("backups", "names"), [(0, ["a.log"]), (2, ["a.log", "a.log.1", "a.log.2"])])
def test_as_many_old_files_are_kept_as_wanted(tmp_path: Path, backups: int, names: list[str]) -> None:
    """The newest of them is `.1`; without any the file is begun anew."""
    file = LogFile(tmp_path / "a.log", max_bytes=10, backups=backups)
    for number in range(9):
        file.write(f"line-{number}\n")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [(tmp_path / name).read_text() for name in names] == [
        f"line-{8 - n}\n" for n in range(backups + 1)
    ]


def test_a_line_longer_than_the_limit_is_written(tmp_path: Path) -> None:
    """Into a file of its own, and nothing is rotated for an empty one."""
    file = LogFile(tmp_path / "a.log", max_bytes=10, backups=5)
    file.write("x" * 50 + "\n")
    file.write("y" * 50 + "\n")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1"]


def test_a_place_that_takes_no_more_is_said_once_and_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's trouble never reaches who logs."""
    folder = tmp_path / "logs"
    file = LogFile(folder / "a.log", max_bytes=0, backups=0)
    (folder / "a.log").unlink()
    folder.rmdir()
    file.write("lost\n")
    file.write("lost\n")
    folder.mkdir()
    file.write("kept\n")
    file.close()
    assert (folder / "a.log").read_text() == "kept\n"
    assert capsys.readouterr().err.count("Cannot write log file") == 1
