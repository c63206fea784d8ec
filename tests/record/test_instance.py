"""The lock that makes a gateway the only one on its folders."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.errors import AlreadyRunning
from headgate.record.instance import InstanceLock
from headgate.record.lock import INSTANCE_LOCK

_HOLD = """
import asyncio, pathlib, sys
from headgate.record.instance import InstanceLock
lock = InstanceLock()
asyncio.run(lock.take([pathlib.Path(sys.argv[1])]))
print(flush=True)
sys.stdin.read()
"""


async def test_d11_the_second_is_refused_with_pid_and_address(tmp_path: Path) -> None:
    first = InstanceLock()
    await first.take([tmp_path])
    first.announce("http://127.0.0.1:8080")
    with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()} at http://127.0.0.1:8080 ") as caught:
        await InstanceLock().take([tmp_path])
    assert "HEADGATE_DATA_DIR" in caught.value.hint
    first.release()
    second = InstanceLock()
    await second.take([tmp_path])
    second.release()


async def test_the_next_one_knows_who_is_dead_but_not_by_a_copy(tmp_path: Path) -> None:
    """A folder that was copied while its gateway ran: that one lives."""
    mine, copy = tmp_path / "mine", tmp_path / "copy"
    mine.mkdir()
    first = InstanceLock()
    await first.take([mine])
    assert first.predecessor is None
    first.announce("http://127.0.0.1:8080", name="first")
    shutil.copytree(mine, copy)
    elsewhere = InstanceLock()
    await elsewhere.take([copy])
    assert elsewhere.predecessor is None
    first.release()
    second = InstanceLock()
    await second.take([mine])
    assert second.predecessor == "first"
    second.release()
    elsewhere.release()


async def test_one_of_several_folders_is_enough(tmp_path: Path) -> None:
    """What was taken before the refusal is free again; a link is the folder that it leads to."""
    mine, theirs, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
    mine.mkdir()
    theirs.mkdir()
    link.symlink_to(theirs)
    first, third = InstanceLock(), InstanceLock()
    await first.take([theirs])
    with pytest.raises(AlreadyRunning):
        await InstanceLock().take([mine, link])
    await third.take([mine])
    first.release()
    third.release()


@pytest.mark.parametrize("lie", ['{"pid": 1, "url": "http://elsewhere"}', "not json", "[]", "\0" * 50])
async def test_d11_a_file_that_lies_decides_nothing(tmp_path: Path, lie: str) -> None:
    """The kernel says whether it is taken, and by whom; an address of somebody else is not repeated."""
    (tmp_path / INSTANCE_LOCK).write_text(lie)
    first = InstanceLock()
    await first.take([tmp_path])
    (tmp_path / INSTANCE_LOCK).write_text(lie)
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} has ") as caught:
        await InstanceLock().take([tmp_path])
    assert "elsewhere" not in caught.value.message
    first.release()


@pytest.fixture
def holder(tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Another process that has the folder."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


async def test_d11_the_lock_of_a_killed_process_is_free(
    tmp_path: Path, holder: "subprocess.Popen[bytes]"
) -> None:
    with pytest.raises(AlreadyRunning, match=f"process {holder.pid} "):
        await InstanceLock().take([tmp_path])
    holder.kill()
    holder.wait()
    lock = InstanceLock()
    await lock.take([tmp_path])
    said = json.loads((tmp_path / INSTANCE_LOCK).read_text())
    assert (said["pid"], said["url"], said["name"]) == (os.getpid(), None, None)
    lock.release()
