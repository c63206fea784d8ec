"""Who holds a lock, asked of the kernel."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from headgate.storage.holders import in_words, lock_holders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_the_holder_is_named_while_it_holds(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        assert lock_holders(tmp_path / "lock", kind="FLOCK") == []
        fcntl.flock(file, fcntl.LOCK_EX)
        assert lock_holders(file.fileno(), kind="FLOCK") == [os.getpid()]
    assert lock_holders(tmp_path / "lock", kind="FLOCK") == []
    assert lock_holders(tmp_path / "none", kind="FLOCK") == []


def test_bytes_of_a_file_have_holders_of_their_own(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 120)
        assert lock_holders(tmp_path / "lock", kind="POSIX", byte=120) == [os.getpid()]
        assert lock_holders(tmp_path / "lock", kind="POSIX", byte=121) == []


def test_a_process_is_named_with_its_program() -> None:
    assert in_words(os.getpid()).startswith(f"process {os.getpid()} (")
