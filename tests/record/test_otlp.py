"""Collectors that answer in odd ways, over real sockets."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from headgate.record.otlp import Sender
from tests.record.samples import request

_MOST = 8 << 20
"""Bytes of which a socket's buffers take less, and the answer's reader none."""


def _plain(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def _redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")


def _refuse(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 X\r\nContent-Length: 3\r\n\r\nbad")


@pytest.mark.parametrize(("answer", "is_taken"), [(_plain, True), (_redirect, False), (_refuse, False)])
def test_only_a_2xx_has_taken_them(answer: Callable[[socket.socket], None], is_taken: bool) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        answer(connection)

    assert _told_to(serve) is is_taken


def test_an_answer_without_end_is_left() -> None:
    """It would fill the recorder's memory."""
    written = 0

    def serve(connection: socket.socket) -> None:
        nonlocal written
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with suppress(OSError):
            while written < _MOST * 4:
                written += connection.send(b"a" * 65536)

    _told_to(serve)
    assert written < _MOST


def _told_to(serve: Callable[[socket.socket], None]) -> bool:
    """Whether a collector that serves one connection so has taken a request."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        sender = Sender(f"http://127.0.0.1:{server.getsockname()[1]}", "1")
        is_taken = sender.send([request("a")])
        sender.give_up()
        thread.join(20)
        return is_taken
