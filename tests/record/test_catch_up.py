import asyncio
import os
from pathlib import Path

import pytest

from headgate.clock import SystemClock
from headgate.errors import StorageError
from headgate.record.catch_up import catch_up
from headgate.record.journal import Journal
from headgate.record.lock import FolderLock
from headgate.storage.database import Database
from tests.record.samples import logs, recorded, request


async def test_what_an_earlier_life_left_is_stored(database: Database, tmp_path: Path) -> None:
    for worker in ("g-1", "g-2"):
        journal = Journal(tmp_path, worker, SystemClock())
        journal.append(request(f"of {worker}"))
        journal.close()
    counts = await catch_up(tmp_path, database, SystemClock())
    assert counts.written == 2
    assert await recorded(database) == ["of g-1", "of g-2"]
    assert logs(tmp_path) == []


async def test_a_first_start_has_nothing_to_do(database: Database, tmp_path: Path) -> None:
    assert (await catch_up(tmp_path / "new", database, SystemClock())).written == 0


async def test_it_waits_for_a_recorder_that_is_draining(database: Database, tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        assert lock.take()
        waiting = asyncio.gather(catch_up(tmp_path, database, SystemClock()))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
    assert (await waiting)[0].written == 0


async def test_d11_a_recorder_that_does_not_end_is_named(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At once for whom it waits, in the end that it cannot start."""
    caplog.set_level("INFO", "headgate")
    with FolderLock(tmp_path) as lock:
        assert lock.take()
        with pytest.raises(StorageError, match=f"in use: process {os.getpid()} still stores"):
            await catch_up(tmp_path, database, SystemClock(), wait_seconds=0.1)
    assert f"Waiting up to 0.1 s for process {os.getpid()}" in caplog.text
    assert caplog.text.count("Waiting") == 1
