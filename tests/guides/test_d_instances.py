"""Guide rows D: one gateway per data folder."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import PATIENCE_SECONDS, Gateway, wait_until
from tests.guides.asking import logged, message, record_of


def test_d11_a_second_gateway_is_refused(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """A second gateway on the folder ends at once: exit code 1, the other's pid and address, the mend."""
    with Gateway(tmp_path, provider=provider.url, database=database_url) as gateway:
        began = time.monotonic()
        second = gateway.command("serve", "--port", "0")
        assert second.returncode == 1
        assert time.monotonic() - began < 10
        assert f"process {gateway.pid} at {gateway.url}" in second.stderr
        assert f"kill {gateway.pid}" in second.stderr
        assert "HEADGATE_DATA_DIR" in second.stderr
        assert "database is locked" not in second.stderr + second.stdout
        record_of(gateway, message(gateway))  # the first one is none the worse for it


def test_d11_one_database_file_from_two_data_folders(tmp_path: Path) -> None:
    """The same SQLite file, named by `storage.url` or by a link, is refused from another data folder too."""
    file, link = tmp_path / "shared" / "headgate.db", tmp_path / "link.db"
    with Gateway(tmp_path, accounts=(), database=str(file)) as gateway:
        link.symlink_to(file)
        for name in (file, link):
            (tmp_path / "other").mkdir(exist_ok=True)
            other = Gateway(tmp_path / "other", accounts=(), database=str(name))
            refused = other.command("serve", "--port", "0")
            assert (refused.returncode, f"process {gateway.pid}" in refused.stderr) == (1, True)


@pytest.mark.parametrize("said", ["{}", '{"pid": 1, "url": "http://127.0.0.1:1"}'])
def test_d11_a_killed_gateway_is_no_obstacle(tmp_path: Path, provider: SimulatedProvider, said: str) -> None:
    """After `kill -9` the next start works at once, whatever a lock or pid file says."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        message(gateway)
        gateway.kill()
        (gateway.data / "gateway.lock").write_text(said)
        gateway.start()
        wait_until(lambda: len(gateway.requests()) == 1)


def test_d11_a_recorder_that_still_drains_is_waited_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The recorder of a killed gateway is waited for, and the log says so with its pid."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        record_of(gateway, message(gateway))
        pid = gateway.recorder_pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        for _ in range(3):
            message(gateway)
        gateway.kill()
        starting = threading.Thread(target=gateway.start)
        try:
            starting.start()
            logged(gateway, f"for process {pid}, which still stores")
        finally:
            os.kill(pid, signal.SIGCONT)
        starting.join(PATIENCE_SECONDS)
        assert len(gateway.requests()) == 4
