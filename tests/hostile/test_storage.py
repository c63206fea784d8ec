"""Storage that fails.

Requests are served in every case; what was answered is stored once when the cause is gone.
"""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import logged, message
from tests.guides.forwarder import Forwarder

ADMIN_KEY = "the-owner's-key"
TMPFS_BYTES = 6 << 20


def _health(gateway: Gateway, key: str = "") -> dict[str, Any]:
    headers = {"x-dashboard-key": key} if key else {}
    view: dict[str, Any] = json.loads(gateway.ask("GET", "/health", headers=headers)[1])
    return view


def _ask(gateway: Gateway, count: int) -> set[str]:
    """Every one is answered; their ids."""
    answers = [message(gateway) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    return {answer.headers["x-headgate-request-id"] for answer in answers}


def _stored(gateway: Gateway) -> list[str]:
    return sorted(row["id"] for row in gateway.requests())


def test_the_recorder_is_killed_again_and_again(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The recorder is killed, three times in a row → `recorder_down` until it is back, every record once"""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        sent = _ask(gateway, 3)
        for _ in range(3):
            wait_until(gateway.recorder_pid)
            gateway.kill_recorder()
            wait_until(lambda: _health(gateway).get("code") == "recorder_down", what="the word of it")
            assert _health(gateway)["status"] == "degraded"
            sent |= _ask(gateway, 3)
        wait_until(lambda: _stored(gateway) == sorted(sent))
        wait_until(lambda: _health(gateway)["status"] == "ok")


def test_another_program_holds_the_database(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Another program locks the SQLite file for long → `recorder_failing` names it, then all is stored"""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        sent = _ask(gateway, 2)
        wait_until(lambda: len(_stored(gateway)) == 2)
        with closing(sqlite3.connect(gateway.data / "headgate.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            sent |= _ask(gateway, 5)
            # Ten seconds for each thing that the recorder has to write just then, before it says so.
            wait_until(lambda: _health(gateway)["status"] == "degraded", seconds=60)
            health = _health(gateway)
            assert health["code"] == "recorder_failing"
            assert f"process {os.getpid()} " in health["reason"]
            assert "The history cannot be written" in gateway.command("status").stdout
            other.execute("ROLLBACK")
        wait_until(lambda: _stored(gateway) == sorted(sent))
        wait_until(lambda: _health(gateway)["status"] == "ok")
        assert "database is locked" not in gateway.log_text()


def test_postgresql_is_away(tmp_path: Path, provider: SimulatedProvider, postgres_url: str) -> None:
    """PostgreSQL is unreachable while it runs → `storage_failed`; host and port for the owner alone"""
    settings = {"admin": {"key": ADMIN_KEY}}
    with (
        Forwarder.to_postgres(postgres_url) as line,
        Gateway(tmp_path, provider=provider.url, database=line.url, settings=settings) as gateway,
    ):
        _ask(gateway, 2)
        line.cut()
        _ask(gateway, 5)
        health = _health(gateway)
        assert (health["status"], health["code"]) == ("degraded", "storage_failed")
        assert health["reason"] == "The database does not answer"
        assert str(line.port) not in str(health["troubles"])
        assert str(line.port) in _health(gateway, ADMIN_KEY)["reason"]
        status, ready = gateway.ask("GET", "/ready")
        assert (status, str(line.port) in ready.decode()) == (503, False)
        line.mend()
        wait_until(lambda: _health(gateway)["status"] == "ok")
        owner = {"x-dashboard-key": ADMIN_KEY}

        def stored() -> list[str]:
            page = json.loads(gateway.ask("GET", "/api/requests", headers=owner)[1])
            return [row["id"] for row in page["requests"]]

        wait_until(lambda: len(stored()) == 7)
        assert len(set(stored())) == 7


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few MiB. Only a system that cannot mount one may go without this test."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        why = f"no tmpfs can be mounted: {mounted.stderr.strip()}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> Path:
    """To the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_the_disk_is_full(tmp_path: Path, small_disk: Path, provider: SimulatedProvider) -> None:
    """The disk of database and journal is full → served; lost records are counted, the others stored once"""
    data = {"HEADGATE_DATA_DIR": str(small_disk / "data")}
    with Gateway(tmp_path, provider=provider.url, environment=data) as gateway:
        gateway.data = small_disk / "data"
        sent = _ask(gateway, 3)
        wait_until(lambda: len(_stored(gateway)) == 3)
        logged(gateway, r"WARN: .*Disk space is low: \d MiB")
        assert "disk_low" in [one["code"] for one in _health(gateway)["troubles"]]
        assert _health(gateway)["status"] == "ok"
        filler = _fill(small_disk)
        for _ in range(40):  # the segment's last page has room for some more
            sent |= _ask(gateway, 1)
        wait_until(lambda: gateway.admin("/status")["journal"]["dropped"] > 0)
        wait_until(lambda: _health(gateway)["status"] == "degraded")
        codes = [one["code"] for one in _health(gateway)["troubles"]]
        assert "journal_dropped" in codes
        assert "records lost" in gateway.command("status").stdout
        filler.unlink()
        sent |= _after_the_flood(gateway)
        dropped = gateway.admin("/status")["journal"]["dropped"]
        wait_until(lambda: len(_stored(gateway)) == len(sent) - dropped)
        assert set(_stored(gateway)) <= sent
        wait_until(lambda: _health(gateway)["status"] == "ok")
        assert f"{dropped} records were dropped" in str(_health(gateway)["troubles"])
        gateway.stop(expect_code=0)
        with closing(sqlite3.connect(gateway.data / "headgate.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _after_the_flood(gateway: Gateway) -> set[str]:
    """Ask until one is on record again: the journal looks for room ten times a second at most."""
    sent: set[str] = set()
    before = -1
    while (dropped := gateway.admin("/status")["journal"]["dropped"]) != before:
        before = dropped
        sent |= _ask(gateway, 1)
    return sent
