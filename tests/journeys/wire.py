"""A client that hides nothing: one TCP connection, any bytes out, answers as they were framed."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from tests.gateway import CLIENT_KEY, PATIENCE_SECONDS

MODEL = "claude-sonnet-5-5"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Answer:
    """One answer as far as it came."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_whole = False
        """Its own framing said that it ended; a body without framing ends whole with the connection."""
        self.pieces: list[bytes] = []
        self.has_head = False

    @property
    def is_framed(self) -> bool:
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    @property
    def id(self) -> str:
        """By which the gateway's record of it is found."""
        return self.headers["x-headgate-request-id"]

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, str]]:
        """Name and data of every event that a client would dispatch."""
        found = []
        for block in self.body.decode("utf-8", "replace").split("\n\n")[:-1]:
            fields = [line.split(": ", 1) for line in block.split("\n") if ": " in line]
            names = [value for name, value in fields if name == "event"]
            data = [value for name, value in fields if name == "data"]
            if data:
                found.append((names[-1] if names else "", "\n".join(data)))
        return found


class Connection(asyncio.Protocol):
    """Made by `connect`. Answers come in the order of the requests."""

    def __init__(self) -> None:
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._open: Answer | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._news = asyncio.Event()
        self._without_body = 0
        self.received = bytearray()
        """Every byte, for who wants to see them."""
        self.is_closed = asyncio.Event()

    # ---- what a test does ------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def ask(self, request: bytes) -> Answer:
        """Send one request and wait for its answer, whole or cut off."""
        if request.startswith(b"HEAD "):
            self._without_body += 1
        self.send(request)
        return await self.answer()

    async def answer(self) -> Answer:
        """The next answer that is whole or cut off. Raises ConnectionError when none will come."""
        answer = await asyncio.wait_for(self._answers.get(), PATIENCE_SECONDS)
        if answer is None:
            self._answers.put_nowait(None)  # for whoever asks again
            raise ConnectionError("The gateway closed without an answer.")
        return answer

    async def until(self, needle: bytes) -> None:
        """Until these bytes have come."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while needle not in self.received:
                assert not self.is_closed.is_set(), f"{needle!r} did not come: {self.received[-300:]!r}"
                self._news.clear()
                await self._news.wait()

    def pause(self) -> None:
        """Stop reading, as a slow client does."""
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    def close(self) -> None:
        self.transport.close()

    def drop(self) -> None:
        """Close at once. Safe on one that is closed."""
        if not self.is_closed.is_set():
            self.transport.abort()

    def end(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self.transport.write_eof()

    def reset(self) -> None:
        """Leave as a killed program does: with a reset."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    # ---- the socket ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if len(self.received) < 1_048_576:
            self.received += data
        self._parser.feed_data(data)
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if (answer := self._open) is not None and answer.has_head:
            answer.is_whole = not answer.is_framed and exc is None
            self._finish(answer)
        self._answers.put_nowait(None)
        self.is_closed.set()
        self._news.set()

    # ---- the parser ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._open = Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._open is not None:
            self._open.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if (answer := self._open) is None:
            return
        answer.status = self._parser.get_status_code()
        if answer.status == 100:
            self._open = None
            return
        answer.has_head = True
        if self._without_body:
            self._without_body -= 1
            answer.is_whole = True
            self._finish(answer)
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, piece: bytes) -> None:
        if self._open is not None:
            self._open.pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._open is not None:
            self._open.is_whole = True
            self._finish(self._open)

    def _finish(self, answer: Answer) -> None:
        answer.body = b"".join(answer.pieces)
        self._open = None
        self._answers.put_nowait(answer)


@asynccontextmanager
async def connect(url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
    """One connection to the gateway, closed at the end of the block; `tls` believes its certificate."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, address.hostname, address.port, ssl=tls)
    try:
        yield connection
    finally:
        connection.drop()


async def fetch(url: str, request: bytes) -> Answer:
    """One request on a connection of its own."""
    async with connect(url) as connection:
        return await connection.ask(request)


def ask(text: str = "hello", **fields: Any) -> dict[str, Any]:
    """The body of a request; the simulated provider obeys the text (`say 50 words`)."""
    return {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **fields}


def request(
    path: str = "/v1/messages",
    body: bytes | dict[str, Any] = b"",
    *,
    method: str = "POST",
    key: str = CLIENT_KEY,
    headers: dict[str, str] | None = None,
    chunks: int = 0,
) -> bytes:
    """The bytes of one request; `chunks` cuts the body into so many chunks, 0 states its length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "localhost", "x-api-key": key, "anthropic-version": "2023-06-01", **(headers or {})}
    if chunks:
        fields["transfer-encoding"] = "chunked"
        data = chunked(data, chunks)
    elif data or method == "POST":
        fields["content-length"] = str(len(data))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + data


def chunked(data: bytes, count: int) -> bytes:
    """The data in about `count` chunks."""
    size = max(1, -(-len(data) // count))
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
