"""A recorder that is the gateway's own process divided."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from headgate.storage.database import open_database
from tests.gateway import Gateway, wait_until
from tests.record.samples import recorded

_DIVIDES = """
import asyncio, sys
from pathlib import Path
from headgate.clock import SystemClock
from headgate.record.division import divide
from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess
from tests.record.samples import wishes, request, until

standby = divide()

async def main(folder, url, log):
    log = wishes(Path(log))
    process = RecorderProcess(
        Path(folder), url, log, SystemClock(), standby=standby, first_restart_seconds=0.01
    )
    await process.start()
    {act}

asyncio.run(main(*sys.argv[1:]))
"""


def run(act: str, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = _DIVIDES.format(act="\n    ".join(act.splitlines()))
    command = [sys.executable, "-c", script, folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


async def test_it_stores_what_the_journal_has_and_ends_with_zero(sqlite_url: str, tmp_path: Path) -> None:
    act = """
assert process.pid == standby.pid
await until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "headgate-record\\n")
journal = Journal(Path(folder), "g", SystemClock())
journal.append(request("a"))
journal.close()
assert await process.stop()
print(standby.returncode)
"""
    ran = run(act, tmp_path / "journal", sqlite_url, tmp_path / "app.log")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("\n0\n")
    database = await open_database(sqlite_url)
    assert await recorded(database) == ["a"]
    await database.close()
    assert "Async DB writer queue flushed" in (tmp_path / "app.log").read_text()


async def test_one_that_is_killed_is_followed_by_a_new_program(sqlite_url: str, tmp_path: Path) -> None:
    act = """
standby.kill()
await until(lambda: process.restarts == 1 and process.is_alive and process.pid != standby.pid)
assert standby.returncode == -9
process.wish(type(log)(log.log, 9))
standby.tell(b"to nobody"), standby.kill(), standby.end_input()
assert await process.stop()
"""
    ran = run(act, tmp_path / "journal", sqlite_url, tmp_path / "app.log")
    assert ran.returncode == 0, ran.stderr


def test_one_without_an_order_ends_with_its_gateway(tmp_path: Path) -> None:
    script = "from headgate.record.division import divide\nprint(divide().pid, flush=True)"
    ran = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=60)
    # Standard output is its as well: had it stayed, this would not have returned.
    assert ran.returncode == 0
    wait_until(lambda: not Path(f"/proc/{int(ran.stdout)}").exists())


def test_a_terminal_does_not_reach_it(tmp_path: Path) -> None:
    """Ctrl+C goes to all of a group: the gateway ends first, and the recorder hears of it from there."""
    with Gateway(tmp_path, provider="http://127.0.0.1:9") as gateway:
        recorder = gateway.recorder_pid()
        assert recorder is not None
        assert os.getsid(recorder) == os.getpgid(recorder) == recorder
        wait_until(lambda: gateway.ask("GET", "/health")[0] == 200)
        os.kill(recorder, signal.SIGINT)
        assert gateway.account("one")["name"] == "one"
        assert gateway.recorder_pid() == recorder
