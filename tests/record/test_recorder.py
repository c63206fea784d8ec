"""The recorder as the process that it is."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.record.journal import Journal
from headgate.record.recorder import Order, Recorder
from headgate.record.rows import to_rows
from headgate.record.state import read_state
from headgate.storage.batch import Step, write_batch
from headgate.storage.bulk import insert_new
from headgate.storage.database import Database, open_database
from headgate.storage.schema import requests, rollups
from tests.record.samples import attempt, logs, recorded, request, until, wishes
from tests.starts import Talking, talk
from tests.storage.rows import request_row


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


Start = Callable[..., Talking]
MODULE = "headgate.record.__main__"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """What a test starts is gone at its end, however it ends."""
    with ExitStack() as started:

        def start(
            folder: Path, url: str, log_file: Path, stdout: int | None = None, *, retention_days: int = 0
        ) -> Talking:
            environment = {"PATH": os.environ["PATH"]}
            process = talk([], module=MODULE, folder=tmp_path, environment=environment, stdout=stdout)
            started.enter_context(process)
            started.callback(process.kill)
            assert process.stdin is not None
            order = Order(str(folder), url, wishes(log_file, retention_days=retention_days))
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()
            return process

        yield start


def end(process: Talking) -> int:
    """As the gateway does, by its death or its stop: the input ends."""
    assert process.stdin is not None
    process.stdin.close()
    return process.wait(30)


async def test_d5_it_stores_logs_and_flushes(
    database_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    """On an empty database; what came just before the end too."""
    journal = Journal(folder, "g", SystemClock())
    recorder = start(folder, database_url, tmp_path / "app.log")
    tries = (attempt("a", status=429, error="rate_limit_error", until_at=2e9), attempt("b", account_id=2))
    journal.append(request("first", account="b", attempts=tries))
    await until(lambda: (state := read_state(folder)) is not None and state.counts.written == 1)
    journal.append(request("last"))
    journal.close()
    assert await asyncio.to_thread(end, recorder) == 0
    assert logs(folder) == []
    database = await open_database(database_url)
    assert await recorded(database) == ["first", "last"]
    await database.close()
    log = (tmp_path / "app.log").read_text()
    for line in (
        "WARN: [Proxy] Failed to proxy request with account a: rate_limit_error",
        "WARN: [Proxy] Account a rate limited until 2033-05-18T03:33:20Z",
        "INFO: [Proxy] Switched account: a -> b",
        "INFO: [Proxy] Request completed for b: 200 in 100ms",
        "INFO: [async-db-writer] Async DB writer queue flushed",
    ):
        assert log.count(line) == 1, line


async def test_what_is_older_than_it_is_kept_goes(
    database_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    """From the start on, however much of it there is, and when the time becomes shorter while it runs."""
    now_ms, day = round(SystemClock().now() * 1000), 86_400_000
    ages = {"new": 0, "days": 5, "month": 29} | {f"old-{number:05}": 31 for number in range(7_000)}
    rows = [request_row(name, timestamp=now_ms - age * day) for name, age in ages.items()]
    database = await open_database(database_url)
    await database.upgrade()
    async with database.write() as connection:
        await insert_new(connection, requests, rows)
    recorder = start(folder, database_url, tmp_path / "app.log", retention_days=30)

    async def left() -> set[str]:
        async with database.read() as connection:
            return set((await connection.execute(sa.select(requests.c.id))).scalars())

    async with asyncio.timeout(30):
        while len(await left()) > 3:  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.05)
        assert await left() == {"new", "days", "month"}
        assert recorder.stdin is not None
        recorder.stdin.write(msgspec.json.encode(wishes(tmp_path / "app.log", retention_days=3)) + b"\n")
        recorder.stdin.flush()
        while len(await left()) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await left() == {"new"}
    await database.close()
    assert await asyncio.to_thread(end, recorder) == 0
    log = (tmp_path / "app.log").read_text()
    assert "Deleted 7000 requests that were older than 30 days (storage.retention_days)" in log
    assert "Deleted 2 requests that were older than 3 days" in log


async def test_a_sigterm_drains_as_well(sqlite_url: str, folder: Path, start: Start, tmp_path: Path) -> None:
    """While the gateway lives: a service manager signals every process of a unit."""
    recorder = start(folder, sqlite_url, tmp_path / "app.log")
    await until(lambda: read_state(folder) is not None)
    journal = Journal(folder, "g", SystemClock())
    journal.append(request("a"))
    recorder.terminate()
    assert await asyncio.to_thread(recorder.wait, 30) == 0
    assert recorder.stdin is not None
    recorder.stdin.close()
    database = await open_database(sqlite_url)
    assert await recorded(database) == ["a"]
    await database.close()
    journal.close()


async def test_kill_9_at_any_moment_loses_and_doubles_nothing(
    database_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    """While the journal grows and its segments come and go."""
    moments = random.Random(20)
    journal = Journal(folder, "g", SystemClock(), segment_bytes=20_000)
    ids: list[str] = []
    for _ in range(4):
        recorder = start(folder, database_url, tmp_path / "app.log")
        # The first state of this one is saved after its first step: it is at work.
        await until(lambda: (state := read_state(folder)) is not None and state.pid == recorder.pid)  # noqa: B023
        for _ in range(moments.randrange(100, 1500)):
            ids.append(f"r{len(ids)}")
            journal.append(request(ids[-1]))
            if not len(ids) % 50:
                await asyncio.sleep(0.001)
        os.kill(recorder.pid, signal.SIGKILL)
        assert await asyncio.to_thread(end, recorder) == -signal.SIGKILL
    journal.close()
    assert await asyncio.to_thread(end, start(folder, database_url, tmp_path / "app.log")) == 0
    database = await open_database(database_url)
    assert await recorded(database) == ids
    await database.close()
    assert journal.dropped == 0
    assert logs(folder) == []


async def test_a_second_recorder_waits_for_the_first(
    sqlite_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    first = start(folder, sqlite_url, tmp_path / "a.log")
    await until(lambda: (state := read_state(folder)) is not None and state.pid == first.pid)
    second = start(folder, sqlite_url, tmp_path / "b.log")
    journal = Journal(folder, "g", SystemClock())
    journal.append(request("a"))
    await until(lambda: (state := read_state(folder)) is not None and state.counts.written == 1)
    assert second.poll() is None
    assert await asyncio.to_thread(end, first) == 0
    await until(lambda: (state := read_state(folder)) is not None and state.pid == second.pid)
    journal.append(request("b"))
    journal.close()
    assert await asyncio.to_thread(end, second) == 0
    database = await open_database(sqlite_url)
    assert await recorded(database) == ["a", "b"]
    await database.close()


async def test_d5_a_database_that_is_away_is_said_and_tried_again(
    database: Database, database_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    async def rename(name: str, new_name: str) -> None:
        async with database.write() as connection:
            await connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO {new_name}"))

    await rename("requests", "hidden")
    journal = Journal(folder, "g", SystemClock())
    journal.append(request("a"))
    journal.close()
    recorder = start(folder, database_url, tmp_path / "app.log")
    await until(lambda: (state := read_state(folder)) is not None and state.failure is not None)
    failure = "ERROR: [async-db-writer] Failed to execute DB job: "
    await until(lambda: failure in (tmp_path / "app.log").read_text())
    await rename("hidden", "requests")
    await until(lambda: (state := read_state(folder)) is not None and state.failure is None)
    assert await asyncio.to_thread(end, recorder) == 0
    assert await recorded(database) == ["a"]


@pytest.mark.skipif(not hasattr(os, "nice"), reason="no priorities of this kind")
async def test_it_gives_way_to_the_gateway_and_outlives_its_reader(
    sqlite_url: str, folder: Path, start: Start, tmp_path: Path
) -> None:
    """`headgate serve | head`: lines go to the file, records to the database, and the exit is a good one."""
    reader, writer = os.pipe()
    os.close(reader)
    recorder = start(folder, sqlite_url, tmp_path / "app.log", stdout=writer)
    os.close(writer)
    await until(lambda: read_state(folder) is not None)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, recorder.pid) == min(ours + 10, 19)
    journal = Journal(folder, "g", SystemClock())
    for number in range(100):
        journal.append(request(f"r{number}"))
    journal.close()
    assert await asyncio.to_thread(end, recorder) == 0
    assert (tmp_path / "app.log").read_text().count("Request completed") == 100


async def test_roll_ups_that_are_kept_no_longer_are_forgotten(
    database: Database, database_url: str, folder: Path, tmp_path: Path
) -> None:
    """At the start and every few minutes, beside the records; what is younger stays."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    now_ms = round(SystemClock().now() * 1000)
    records = [request(f"r{days}", at_ms=now_ms - days * 86_400_000) for days in (0, 4, 101)]
    await write_batch(database, Step("g", "s", 0, 1), to_rows(records))
    stop = asyncio.Event()
    order = Order(str(folder), database_url, wishes(tmp_path / "app.log"))
    recorder = Recorder(order, SystemClock(), stop)

    async def kept() -> dict[int, int]:
        count = sa.select(rollups.c.resolution, sa.func.count()).where(rollups.c.by_key == 1)
        async with database.read() as connection:
            found = await connection.execute(count.group_by(rollups.c.resolution))
            return {row[0]: row[1] for row in found}

    assert await kept() == {60: 3, 3600: 3, 86400: 3}
    running = asyncio.ensure_future(recorder.run())
    while await kept() != {60: 1, 3600: 2, 86400: 3}:
        assert not running.done()
    stop.set()
    assert await running == 0
