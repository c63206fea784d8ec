import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headgate.clock import SystemClock
from headgate.record.journal import Journal
from headgate.record.lock import FolderLock
from headgate.record.state import read_state
from headgate.record.supervisor import RecorderProcess
from headgate.storage.database import open_database
from tests.record.samples import logs, recorded, request, until, wishes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def recorder(folder: Path, sqlite_url: str, tmp_path: Path) -> AsyncIterator[RecorderProcess]:
    process = RecorderProcess(
        folder, sqlite_url, wishes(tmp_path / "app.log"), SystemClock(), first_restart_seconds=0.01
    )
    await process.start()
    yield process
    await process.stop()
    assert not process.is_alive


async def stored(url: str) -> list[str]:
    database = await open_database(url)
    found = await recorded(database)
    await database.close()
    return found


async def test_lag_falls_to_nothing_and_stop_drains(
    recorder: RecorderProcess, folder: Path, sqlite_url: str
) -> None:
    journal = Journal(folder, "g", SystemClock())
    journal.append(request("a"))
    assert recorder.state.lag_bytes > 0
    assert (recorder.state.is_alive, recorder.state.restarts) == (True, 0)
    await until(lambda: recorder.state.lag_bytes == 0)
    assert recorder.state.counts.written == 1
    journal.append(request("b"))
    journal.close()
    assert await recorder.stop()
    assert recorder.state.pid is None
    assert await stored(sqlite_url) == ["a", "b"]


async def test_a_killed_recorder_is_started_again(
    recorder: RecorderProcess, folder: Path, sqlite_url: str
) -> None:
    journal = Journal(folder, "g", SystemClock())
    first = recorder.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    journal.append(request("a"))
    await until(lambda: recorder.state.restarts == 1 and recorder.state.counts.written == 1)
    assert recorder.pid not in (None, first)
    journal.close()
    assert await recorder.stop()
    assert await stored(sqlite_url) == ["a"]


async def test_stop_drains_though_the_recorder_is_dead(folder: Path, sqlite_url: str, tmp_path: Path) -> None:
    """It died a moment ago and is not started again yet: one more is started to the end."""
    process = RecorderProcess(
        folder, sqlite_url, wishes(tmp_path / "app.log"), SystemClock(), first_restart_seconds=3600
    )
    await process.start()
    journal = Journal(folder, "g", SystemClock())
    journal.append(request("a"))
    journal.close()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: not process.is_alive)
    assert await process.stop()
    assert await stored(sqlite_url) == ["a"]
    assert logs(folder) == []


async def test_a_recorder_that_does_not_end_is_killed(recorder: RecorderProcess, folder: Path) -> None:
    """Stopped in the middle, it hears nothing; the journal keeps what it left."""
    await until(lambda: read_state(folder) is not None)
    assert recorder.pid is not None
    os.kill(recorder.pid, signal.SIGSTOP)
    assert not await recorder.stop(timeout_seconds=0.1)
    assert not recorder.is_alive


@pytest.mark.parametrize("standby", ["None", "divide()"])
async def test_no_orphan_outlives_a_killed_gateway(
    standby: str, folder: Path, sqlite_url: str, tmp_path: Path
) -> None:
    """kill -9 of the parent: the recorder stores what is there, ends, and lets the folder go."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from headgate.clock import SystemClock\n"
        "from headgate.record.division import divide\n"
        "from headgate.record.journal import Journal\n"
        "from headgate.record.supervisor import RecorderProcess\n"
        "from tests.record.samples import wishes, request\n"
        "async def main(standby, folder, url, log):\n"
        "    log = wishes(Path(log))\n"
        "    process = RecorderProcess(Path(folder), url, log, SystemClock(), standby=standby)\n"
        "    await process.start()\n"
        "    journal = Journal(Path(folder), 'g', SystemClock())\n"
        "    journal.append(request('a'))\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        f"asyncio.run(main({standby}, *sys.argv[1:]))\n"
    )
    log_file = tmp_path / "app.log"
    with subprocess.Popen(  # noqa: ASYNC220 - a moment of blocking is no harm here
        [sys.executable, "-c", script, folder, sqlite_url, log_file], stdout=subprocess.PIPE
    ) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == b"ready\n"
        gateway.kill()
        gateway.wait()
        await until(lambda: log_file.exists() and "queue flushed" in log_file.read_text())
    with FolderLock(folder) as lock:
        await until(lock.take)
    assert await stored(sqlite_url) == ["a"]
    assert logs(folder) == []
