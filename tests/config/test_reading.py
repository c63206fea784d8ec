import os
import socket
from pathlib import Path

import pytest

from headgate.config.reading import read_bytes


def test_a_file_is_read_whole_up_to_the_bound(tmp_path: Path) -> None:
    """Also through a link, as mounted secrets are."""
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_bytes(b"x" * 1024)
    link.symlink_to(path)
    assert read_bytes(link, 1024) == b"x" * 1024
    with pytest.raises(OSError, match="is larger than 0 KiB"):
        read_bytes(path, 1023)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe would keep its reader waiting, a device never ends."""
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    with listening:
        listening.bind(str(tmp_path / "socket"))
        named = {"pipe": tmp_path / "pipe", "socket": tmp_path / "socket"}
        for kind, path in {**named, "device": Path("/dev/zero")}.items():
            with pytest.raises(OSError, match=f"is a {kind}, not a file"):
                read_bytes(path, 1024)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, 1024)
