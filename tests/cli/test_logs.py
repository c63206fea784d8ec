"""`headgate logs` finds the file and its end."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Command

CALM = '[2026-01-01T00:00:00.000Z] INFO: [Proxy] calm {"request_id":"hgr_0"}\n'
BROKEN = """\
[2026-01-01T00:00:01.000Z] ERROR: [Proxy] broken {"request_id":"hgr_1"}
Traceback (most recent call last):

ValueError: odd
"""
AS_JSON = (
    '{"time":"2026-01-01T00:00:02.000Z","level":"WARN","component":"Proxy","message":"odd",'
    '"request_id":"hgr_2"}\n'
)


def _configure(headgate: Command, file: Path | str) -> None:
    headgate.config.write_text(f"log: {{file: {file}}}\n")


async def test_the_last_lines_are_printed(headgate: Command) -> None:
    """Those at the end, in order, as they stand in the file; markup in them means nothing."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("".join(f"[Proxy] line {number} [bold]\n" for number in range(10)))
    shown = await headgate("logs", "--lines", "2")
    assert shown.out == "[Proxy] line 8 [bold]\n[Proxy] line 9 [bold]\n"
    (last,) = (await headgate("logs", "-n", "1", "--json")).json()["lines"]
    assert (last["text"], last["level"]) == ("[Proxy] line 9 [bold]", None)


async def test_a_level_shows_it_and_worse(headgate: Command) -> None:
    """In either form, a stack trace with its line; as objects for programs."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text(CALM + BROKEN + AS_JSON)
    assert (await headgate("logs", "--level", "warn")).out == BROKEN + AS_JSON
    assert (await headgate("logs", "--level", "ERROR")).out == BROKEN
    assert (await headgate("logs", "--level", "debug")).out == CALM + BROKEN + AS_JSON
    objects = (await headgate("logs", "--level", "warn", "--json")).json()["lines"]
    assert [(one["level"], one["message"], one["request_id"]) for one in objects] == [
        ("error", "broken", "hgr_1"),
        ("warn", "odd", "hgr_2"),
    ]
    wrong = await headgate("logs", "--level", "loud")
    assert (wrong.code, "debug, info, warn, error" in wrong.err) == (2, True)


async def test_a_huge_file_is_quick(headgate: Command) -> None:
    """The end of a gigabyte is read, not the gigabyte."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    with file.open("wb") as opened:
        opened.truncate(1 << 30)
        opened.seek(0, os.SEEK_END)
        opened.write(b"\n" + CALM.encode())
    began = time.monotonic()
    assert (await headgate("logs", "-n", "1")).out == CALM
    assert time.monotonic() - began < 10


class Following:
    """`headgate logs --follow …` as it prints."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def shows(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode()

    async def waits(self) -> str:
        assert self.process.stderr is not None
        return (await asyncio.wait_for(self.process.stderr.readline(), 30)).decode()

    async def interrupted(self) -> tuple[int, bytes, bytes]:
        self.process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(self.process.communicate(), 30)
        assert self.process.returncode is not None
        return self.process.returncode, out, err


@asynccontextmanager
async def following(headgate: Command, *options: str) -> AsyncIterator[Following]:
    process = await headgate.start("logs", "--follow", *options)
    try:
        yield Following(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_lines_are_followed_over_rotation_and_truncation(headgate: Command) -> None:
    """The last ones first, then each new one; Ctrl+C ends it with 130 and no word."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("old\nlast\n")
    async with following(headgate, "-n", "1") as shown:
        assert await shown.shows() == "last\n"
        with file.open("a") as writing:
            writing.write("new\n")
        assert await shown.shows() == "new\n"
        file.rename(headgate.folder / "app.log.1")
        file.write_text("after the rotation\n")
        assert await shown.shows() == "after the rotation\n"
        file.write_text("cut\n")
        assert await shown.shows() == "cut\n"
        assert await shown.interrupted() == (130, b"", b"")


async def test_a_file_to_come_is_waited_for(headgate: Command) -> None:
    """And what comes is filtered: of an error all lines, of calmer ones none."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    async with following(headgate, "--level", "warn") as shown:
        assert str(file) in await shown.waits()
        file.write_text(CALM + BROKEN + CALM + AS_JSON)
        for line in (BROKEN + AS_JSON).splitlines(keepends=True):
            assert await shown.shows() == line
        assert await shown.interrupted() == (130, b"", b"")


async def test_programs_follow_objects(headgate: Command) -> None:
    """One a line."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text(CALM)
    async with following(headgate, "--json") as shown:
        assert json.loads(await shown.shows())["message"] == "calm"
        with file.open("a") as writing:
            writing.write(BROKEN)
        assert json.loads(await shown.shows())["text"] == BROKEN.rstrip("\n")


async def test_a_long_file_is_read_from_its_end(headgate: Command) -> None:
    """Of a line that began before the part that was read nothing is shown."""
    file = headgate.folder / "app.log"
    _configure(headgate, file)
    file.write_text("x" * 2_000_000 + "\nthe last\n")
    assert (await headgate("logs")).out == "the last\n"


async def test_no_file_is_explained(headgate: Command) -> None:
    """Missing, or switched off: what, why, mend and exit code 1."""
    file = headgate.folder / "nowhere.log"
    _configure(headgate, file)
    missing = await headgate("logs")
    assert (missing.code, str(file) in missing.err) == (1, True)
    assert "headgate serve writes it" in missing.err
    _configure(headgate, "null")
    off = await headgate("logs", "--path")
    assert (off.code, "log.file is null" in off.err) == (1, True)


WITHOUT_ROOT_POWERS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
"""Root may read anything; the modes count for it once it has let go of that power."""


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs a power to let go")
def test_a_folder_of_another_user_leads_to_the_setting(headgate: Command) -> None:
    """`headgate serve` could not write there either: the mend is `log.file`."""
    folder = headgate.folder / "theirs"
    folder.mkdir(mode=0o000)
    _configure(headgate, folder / "app.log")
    command = [*(WITHOUT_ROOT_POWERS if os.geteuid() == 0 else ()), str(PROGRAM), "logs"]
    try:
        shown = subprocess.run(
            [*command, "--config", str(headgate.config)],
            env=headgate.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        folder.chmod(0o700)
    assert shown.returncode == 1
    assert f"{folder / 'app.log'}: Permission denied" in shown.stderr
    assert "log.file" in shown.stderr.splitlines()[-1]
    assert "headgate serve" not in shown.stderr
