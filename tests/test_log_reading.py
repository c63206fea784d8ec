"""What is read of a log file: entries, filters, and what comes over rotations."""

import json
import logging
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate import log
from headgate.log_output import LogFile
from headgate.log_reading import Follower, last_entries, read_entries

FORMATTERS = {"pretty": log.PrettyFormatter(), "json": log.JsonFormatter()}


def line(form: str, message: str, level: int = logging.INFO, *, trace: bool = False, **extra: Any) -> str:
    logger = logging.getLogger("headgate.proxy")
    record = logger.makeRecord("headgate.proxy", level, "", 0, message, (), None, extra=extra)
    if trace:
        try:
            raise ValueError("line one\n\nline three")
        except ValueError:
            record.exc_info = sys.exc_info()
    return FORMATTERS[form].format(record)


@pytest.mark.parametrize("form", FORMATTERS)
def test_an_entry_is_taken_apart(tmp_path: Path, form: str) -> None:
    """Message and request id in both forms; braces in a message are no extras."""
    file = tmp_path / "app.log"
    text = line(form, 'said {"a": 1} and {"b"', logging.WARNING, request_id="hgr_1", note='x {"y')
    file.write_text(text + "\n")
    (entry,) = last_entries(file, 10)
    assert (entry.level, entry.component, entry.message) == ("warn", "Proxy", 'said {"a": 1} and {"b"')
    assert (entry.request_id, entry.text) == ("hgr_1", text)
    assert entry.at_ms is not None
    assert entry.at_ms > 1_600_000_000_000


@pytest.mark.parametrize("form", FORMATTERS)
def test_a_trace_belongs_to_its_line(tmp_path: Path, form: str) -> None:
    """Whole with its line where the level lets it pass, and gone with it otherwise."""
    file = tmp_path / "app.log"
    lines = [line(form, "calm"), line(form, "broken", logging.ERROR, trace=True), line(form, "calm again")]
    file.write_text("\n".join(lines) + "\n")
    assert [entry.text for entry in last_entries(file, 10)] == lines
    assert [entry.text for entry in last_entries(file, 10, level="warn")] == lines[1:2]
    assert [entry.text for entry in last_entries(file, 10, level="error")] == lines[1:2]
    assert [entry.text for entry in read_entries("\n".join(lines).split("\n"))] == lines
    if form == "pretty":
        assert lines[1].count("\n") > 4


def test_what_is_no_line_of_ours_stands_for_itself(tmp_path: Path) -> None:
    """It has no level, so only who asks for everything sees it."""
    file = tmp_path / "app.log"
    file.write_bytes(b'one\n\xff\xfe two\n{"time":"broken\n{"time":"x","level":5}\n')
    assert [entry.text for entry in last_entries(file, 10)][:2] == ["one", "\ufffd\ufffd two"]
    assert [entry.level for entry in last_entries(file, 10)] == [None] * 4
    assert last_entries(file, 10, level="debug") == []


def test_a_secret_that_somebody_else_wrote_is_blanked(tmp_path: Path) -> None:
    """The file need not hold our own lines alone."""
    file = tmp_path / "app.log"
    file.write_text("key sk-ant-api03-abcdefghijkl\n")
    assert last_entries(file, 1)[0].text == "key sk-ant-…"


def test_rotated_files_are_read_on(tmp_path: Path) -> None:
    """Right after a rotation the file itself is nearly empty."""
    for number, name in enumerate(("app.log.2", "app.log.1", "app.log")):
        lines = [line("pretty", f"{number}-{n}") for n in range(3)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    found = [entry.message for entry in last_entries(tmp_path / "app.log", 7)]
    assert found == ["0-2", "1-0", "1-1", "1-2", "2-0", "2-1", "2-2"]
    (tmp_path / "app.log").unlink()  # as between the two steps of a rotation
    assert [entry.message for entry in last_entries(tmp_path / "app.log", 1)] == ["1-2"]


def test_since_ends_the_search(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    texts = [f"[2026-01-0{day}T00:00:00.000Z] INFO: [Server] day {day}" for day in (1, 2, 3)]
    file.write_text("\n".join(texts) + "\n")
    second = last_entries(file, 10)[1].at_ms
    assert [entry.message for entry in last_entries(file, 10, since_ms=second)] == ["day 2", "day 3"]


@settings(max_examples=20)
@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), max_size=15)
)
def test_every_line_is_found(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in it, over the edges of the blocks that are read."""
    file = tmp_path_factory.mktemp("lines") / "app.log"
    written = [line("pretty", f"{text} {'x' * 50_000}") for text in lines]
    file.write_text("".join(f"{text}\n" for text in written), encoding="utf-8")
    assert [entry.text for entry in last_entries(file, 1000)] == [log.redact(text) for text in written]


def test_a_huge_file_is_read_from_its_end(tmp_path: Path) -> None:
    """A gigabyte costs no more than its last lines; a filter that nothing passes gives up in time."""
    file = tmp_path / "app.log"
    with file.open("wb") as opened:
        opened.truncate(1 << 30)
        opened.seek(0, 2)
        opened.write(b"\n" + line("pretty", "last").encode() + b"\n")
    assert last_entries(file, 1)[0].message == "last"
    assert last_entries(file, 1, level="error") == []


# ---- following -----------------------------------------------------------------------------------


def test_new_lines_are_whole(tmp_path: Path) -> None:
    """What stood there before is not new, and half a line waits for its other half."""
    file = tmp_path / "app.log"
    file.write_text("old\n")
    follower = Follower(file)
    with file.open("a") as writing:
        for piece, seen in (("new", []), ("er\nha", ["newer"]), ("lf\n", ["half"]), ("", [])):
            writing.write(piece)
            writing.flush()
            assert follower.new_lines() == seen
    follower.close()


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """Whatever rotated files lie about: they are older."""
    (tmp_path / "app.log.1").write_text("older\n")
    follower = Follower(tmp_path / "app.log")
    assert follower.is_waiting
    assert follower.new_lines() == []
    (tmp_path / "app.log").write_text("first\n")
    assert follower.new_lines() == ["first"]
    assert not follower.is_waiting
    follower.close()


def test_a_truncated_file_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text("a long line that stood there\n")
    follower = Follower(file)
    file.write_text("anew\n")
    assert follower.new_lines() == ["anew"]
    follower.close()


def test_a_file_that_was_taken_away_and_made_anew_is_followed(tmp_path: Path) -> None:
    """By another program; what was rotated before is not shown again."""
    file = tmp_path / "app.log"
    (tmp_path / "app.log.1").write_text("older\n")
    file.write_text("old\n")
    follower = Follower(file)
    file.unlink()
    assert follower.new_lines() == []
    file.write_text("new\n")
    assert follower.new_lines() == ["new"]
    follower.close()


@settings(max_examples=20)
@given(looks=st.sets(st.integers(0, 199)))
def test_no_line_is_missed_however_often_the_file_is_rotated(
    looks: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each line once and in order, also when many rotations lie between two looks."""
    folder = tmp_path_factory.mktemp("rotated")
    writing = LogFile(folder / "app.log", max_bytes=100, backups=60)
    follower = Follower(folder / "app.log")
    seen: list[str] = []
    for number in range(200):
        writing.write(f"line number {number:03d}\n")
        if number in looks:
            seen += follower.new_lines()
    seen += follower.new_lines()
    follower.close()
    writing.close()
    assert seen == [f"line number {number:03d}" for number in range(200)]


def test_rotations_just_after_a_look_hide_no_file(tmp_path: Path) -> None:
    """A machine that stands still for a moment there must cost no line."""
    writing = LogFile(tmp_path / "app.log", max_bytes=100, backups=60)
    numbers = iter(range(1000))

    def write(count: int) -> None:
        for _ in range(count):
            writing.write(f"line number {next(numbers):03d}\n")

    class Stalling(Follower):
        def _younger_files(self) -> list[FileIO] | None:
            found = super()._younger_files()
            write(3 * 100 // 16)  # three rotations
            return found

    write(20)
    follower = Stalling(tmp_path / "app.log")
    seen: list[str] = []
    for _ in range(5):
        seen += follower.new_lines()
    follower.close()
    writing.close()
    begin = int(seen[0][-3:])
    assert seen == [f"line number {number:03d}" for number in range(begin, begin + len(seen))]
    assert len(seen) > 60


_WRITER = """
import sys
from pathlib import Path
from headgate.log_output import LogFile
name, owns = sys.argv[2], sys.argv[2] == "0"
file = LogFile(Path(sys.argv[1]), max_bytes=20_000 if owns else 0, backups=1000)
sys.stdin.read()
for number in range(3000):
    file.write(f"{name}-{number:04d}-" + "x" * (number % 200) + "|\\n")
file.close()
"""


def test_processes_that_write_at_once_lose_and_tear_no_line(tmp_path: Path) -> None:
    """One of them rotates every 20 KB; all lines are in the files, and a follower sees them all."""
    file = tmp_path / "app.log"
    follower = Follower(file)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(file), str(number)], stdin=subprocess.PIPE)
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    seen: list[str] = []
    while any(writer.poll() is None for writer in writers):
        seen += follower.new_lines()
    seen += follower.new_lines() + follower.new_lines()
    follower.close()
    wanted = sorted(f"{n}-{m:04d}-" + "x" * (m % 200) + "|" for n in range(3) for m in range(3000))
    files = list(tmp_path.glob("app.log*"))
    assert len(files) > 3
    assert sorted(text for one in files for text in one.read_text().splitlines()) == wanted
    assert sorted(seen) == wanted


def test_a_document_of_an_entry_is_json(tmp_path: Path) -> None:
    """As commands and the API give it."""
    file = tmp_path / "app.log"
    file.write_text(line("json", "x", request_id="hgr_2") + "\n")
    assert json.loads(last_entries(file, 1)[0].text)["request_id"] == "hgr_2"
