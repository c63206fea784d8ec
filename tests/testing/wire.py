"""Raw sockets and a plain SSE reader, so that tests see bytes and not a client's opinion of them."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

KEY = "sk-ant-sim-one"
OTHER_KEY = "sk-ant-sim-two"
MODEL = "claude-sonnet-5-5"
_TIMEOUT_SECONDS = 10.0


def ask(text: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": text}]} | fields


def post(
    body: bytes | dict[str, Any], path: str = "/v1/messages", key: str = KEY, extra: bytes = b""
) -> bytes:
    """The bytes of one request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        b"POST %b HTTP/1.1\r\nHost: sim\r\nx-api-key: %b\r\nanthropic-version: 2023-06-01\r\n%b"
        b"content-length: %d\r\n\r\n%b" % (path.encode(), key.encode(), extra, len(data), data)
    )


@contextmanager
def connect(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), _TIMEOUT_SECONDS) as sock:
        yield sock


def read_until_closed(sock: socket.socket) -> tuple[bytes, bool]:
    """All bytes until the far side ends, and whether it ended with a reset."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        return data, True
    return data, False


def talk(url: str, request: bytes) -> tuple[bytes, bool]:
    """Send, then read until the far side closes."""
    with connect(url) as sock:
        sock.sendall(request)
        return read_until_closed(sock)


def read_answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One whole answer with a Content-Length or in chunks: status, headers, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split(" ")[1])
    if headers.get("transfer-encoding") == "chunked":
        while not rest.endswith(b"0\r\n\r\n"):
            rest += _more(sock)
        return status, headers, dechunked(rest)
    while len(rest) < int(headers["content-length"]):
        rest += _more(sock)
    return status, headers, rest


def _more(sock: socket.socket) -> bytes:
    piece = sock.recv(65536)
    assert piece, "The provider closed in the middle of an answer."
    return piece


def fetch(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    with connect(url) as sock:
        sock.sendall(request)
        return read_answer(sock)


def dechunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + rest[:length], rest[length + 2 :]
        if length == 0:
            break
    return body


def events(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Name and data of every event with data."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
        if "data" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def reset_on_close(sock: socket.socket) -> None:
    """Closing this socket from now on resets the connection, as a killed client does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait_until(condition: Callable[[], object]) -> None:
    """Ask again and again; each question is a round trip to the provider, so nothing spins idle."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "It did not come to pass."
