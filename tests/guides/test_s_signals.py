"""Guide row S3: how it ends, whatever it was doing."""

import asyncio
import os
import select
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from headgate.testing.process import SimulatedProvider
from tests.gateway import PROGRAM, Gateway, until, wait_until
from tests.guides.asking import lines_of, message, record_of
from tests.journeys.wire import Answer, ask, connect, request

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


async def _stream(gateway: Gateway) -> Answer:
    async with connect(gateway.url) as connection:
        return await connection.ask(request(body=ask("hello", stream=True)))


async def _open_stream(gateway: Gateway) -> "asyncio.Task[Answer]":
    running = asyncio.get_running_loop().create_task(_stream(gateway))
    await until(lambda: gateway.admin("/status")["open_streams"] == 1)
    return running


@contextmanager
def _serving(gateway: Gateway) -> "Iterator[subprocess.Popen[str]]":
    """As a shell starts it: in a process group of its own. Gone at the end, however the test went."""
    command = [str(PROGRAM), "serve", "--config", str(gateway.config)]
    process = subprocess.Popen(
        command, env=gateway.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _refuses(gateway: Gateway) -> bool:
    address = gateway.url.removeprefix("http://").split(":")
    try:
        socket.create_connection((address[0], int(address[1])), 1).close()
    except ConnectionRefusedError:
        return True
    return False


@SIGNALS
async def test_s3_what_runs_ends_first(tmp_path: Path, provider: SimulatedProvider, number: int) -> None:
    """SIGINT, SIGTERM: newcomers are refused, open streams end whole, all is stored, exit code 0."""
    provider.script("sk-ant-sim-one", reply={"words": 20}, pacing={"event_ms": 50})
    with Gateway(tmp_path, provider=provider.url) as gateway:
        running = await _open_stream(gateway)
        os.kill(gateway.pid, number)
        await until(lambda: _refuses(gateway))
        assert not running.done()
        answer = await running
        assert answer.is_whole
        assert b"message_stop" in answer.body
        assert await asyncio.to_thread(gateway.stop) == 0
        with closing(sqlite3.connect(gateway.data / "headgate.db")) as database:
            assert database.execute("SELECT status, error FROM requests").fetchall() == [(200, None)]
        assert not (gateway.data / "headgate.db-wal").exists()  # the database was closed in order
        assert lines_of(gateway, "Async DB writer queue flushed")
        assert lines_of(gateway, "Stopped")


async def test_s3_a_second_signal_ends_it_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A second signal cuts what still runs: streams get an error event of their dialect; exit code 0."""
    provider.script("sk-ant-sim-one", reply={"words": 1000}, pacing={"event_ms": 100})
    settings = {"server": {"shutdown_grace_seconds": 60}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        running = await _open_stream(gateway)
        os.kill(gateway.pid, signal.SIGTERM)
        await until(lambda: _refuses(gateway))
        os.kill(gateway.pid, signal.SIGTERM)
        answer = await running
        assert answer.events()[-1][0] == "error"
        assert await asyncio.to_thread(gateway.stop) == 0


async def test_s3_a_second_signal_waits_for_no_database(tmp_path: Path, provider: SimulatedProvider) -> None:
    """With the database locked by another program a second signal still ends it soon; nothing is lost."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        with closing(sqlite3.connect(gateway.data / "headgate.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                assert message(gateway).status_code == 200
            os.kill(gateway.pid, signal.SIGTERM)
            await until(lambda: _refuses(gateway))
            os.kill(gateway.pid, signal.SIGTERM)
            assert await asyncio.wait_for(asyncio.to_thread(gateway.stop), 6) == 0
        gateway.start()
        assert len(gateway.requests()) == 3


def test_s3_a_recorder_that_does_not_react(tmp_path: Path, provider: SimulatedProvider) -> None:
    """It gets some seconds, then it is killed; what it did not store is stored by the next."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        recorder = gateway.recorder_pid()
        assert recorder is not None
        os.kill(recorder, signal.SIGSTOP)
        message(gateway)
        begun = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - begun < 15
        gateway.start()
        wait_until(lambda: len(gateway.requests()) == 1)


def test_s3_what_is_cut_off_is_no_failure(tmp_path: Path) -> None:
    """Requests of the owner's side that a second signal ends leave no stack trace in the log."""
    key = PasswordHasher(memory_cost=131_072).hash("mine")
    with Gateway(tmp_path, accounts=(), settings={"admin": {"key": key}}) as gateway:
        waiting = [socket.create_connection(gateway.address) for _ in range(20)]
        for number, one in enumerate(waiting):
            one.sendall(b"GET /status HTTP/1.1\r\nhost: localhost\r\nx-dashboard-key: %d\r\n\r\n" % number)
        assert any(one.recv(1) for one in select.select(waiting, (), (), 20)[0])
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: _refuses(gateway))
        assert gateway.stop() == 0
        for one in waiting:
            one.close()
        assert "Traceback" not in gateway.output_text()
        assert "ASGI" not in gateway.output_text()


@SIGNALS
def test_s3_ctrl_c_in_a_terminal(tmp_path: Path, provider: SimulatedProvider, number: int) -> None:
    """A signal to the whole group, as Ctrl+C is, ends gateway and recorder in order; exit code 0."""
    gateway = Gateway(tmp_path, provider=provider.url)
    with _serving(gateway) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while "Server running on " not in line:
            assert line
            line = process.stdout.readline()
        gateway.url = line.split()[-1]
        assert message(gateway).status_code == 200
        os.killpg(process.pid, number)
        rest = process.stdout.read()
        assert process.wait(10) == 0
    assert "Async DB writer queue flushed" in rest
    assert "Traceback" not in rest


@SIGNALS
def test_s3_while_it_starts(tmp_path: Path, provider: SimulatedProvider, number: int) -> None:
    """A signal while it waits for the recorder of a killed gateway: exit code 0, nothing lost."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        pid = gateway.recorder_pid()
        assert pid is not None
        record_of(gateway, message(gateway))
        os.kill(pid, signal.SIGSTOP)
        message(gateway)
        gateway.kill()
        try:
            with _serving(gateway) as process:
                wait_until(lambda: lines_of(gateway, "Waiting up to .* for process"))
                process.send_signal(number)
                assert process.wait(10) == 0
        finally:
            os.kill(pid, signal.SIGCONT)
        assert lines_of(gateway, "Told to stop before the start was over")
        gateway.start()
        assert len(gateway.requests()) == 2
