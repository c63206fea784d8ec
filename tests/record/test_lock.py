import os
import stat
import subprocess
import sys
from pathlib import Path

from headgate.record.lock import FolderLock, is_locked, try_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as first, FolderLock(tmp_path) as second:
        assert first.take()
        assert not second.take()
        assert second.holder() == str(os.getpid())
    with FolderLock(tmp_path) as third:
        assert third.take()
    assert stat.S_IMODE((tmp_path / "recorder.lock").stat().st_mode) == 0o600


def test_d11_a_killed_holder_does_not_block(tmp_path: Path) -> None:
    """kill -9: the kernel lets go."""
    script = "import sys; from pathlib import Path; from headgate.record.lock import FolderLock; "
    script += "l = FolderLock(Path(sys.argv[1])); print(l.take(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        with FolderLock(tmp_path) as mine:
            assert not mine.take()
            assert mine.holder() == str(other.pid)
            other.kill()
            other.wait()
            assert mine.take()


def test_asking_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not is_locked(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    assert not is_locked(path)
    assert try_lock(descriptor)
    assert is_locked(path)
    os.close(descriptor)
    assert not is_locked(path)
