"""Sockets are opened, or the reason is said in words that help."""

import os
import socket
import stat
from pathlib import Path

import pytest

from headgate.errors import ListenFailed
from headgate.server.ports import open_control_socket, open_port


def test_port_0_takes_a_free_one() -> None:
    with open_port("127.0.0.1", 0) as listening:
        assert listening.getsockname()[1] > 0
        assert not listening.getblocking()
        with socket.create_connection(listening.getsockname(), 5):
            pass


def test_a_taken_port_is_named_with_its_holder() -> None:
    """Who holds it, and how to choose another."""
    with open_port("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenFailed, match="Address already in use") as raised:
            open_port("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in raised.value.message
    assert f"process {os.getpid()}" in raised.value.message
    assert "--port" in raised.value.hint


def test_a_host_that_is_no_name_is_named() -> None:
    """No stack trace; nobody is asked for it."""
    with pytest.raises(ListenFailed, match=r"Cannot listen on a\.\.b"):
        open_port("a..b", 0)


def test_an_address_of_another_machine_is_named() -> None:
    """192.0.2.0/24 is for documentation (RFC 5737): nobody has it."""
    with pytest.raises(ListenFailed, match=r"Cannot listen on 192\.0\.2\.1:0"):
        open_port("192.0.2.1", 0)


def test_the_control_socket_is_its_owners_alone(tmp_path: Path) -> None:
    """Its mode is the key."""
    path = tmp_path / "headgate.sock"
    with open_control_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_control_socket_left_by_a_killed_gateway_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "headgate.sock"
    open_control_socket(path).close()
    assert path.exists()
    with open_control_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    """The system's bound is about a hundred characters."""
    with pytest.raises(ListenFailed, match="Cannot make the control socket"):
        open_control_socket(tmp_path / ("x" * 200))
