"""A far side that does exactly what a test says: bytes in, bytes out, on a real socket."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Self, cast

from headgate.upstream.answer import Answer
from headgate.upstream.origin import Origin
from headgate.upstream.timeouts import Timeouts

PATIENCE_SECONDS = 10.0
"""No condition takes this long; what does has failed."""

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
BODY = b"hello"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

NO_LIMITS = Timeouts()
SHORT = 0.05
"""Seconds of a limit that a test waits out."""


class Talk:
    """One accepted connection, from the far side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        """0 for the server's first connection."""

    async def request(self) -> bytes:
        """One whole request of a stated length; b"" when the caller has closed instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head + await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError("the caller has gone")  # the loops put it in different words
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST: what a crash, a firewall or a full backlog looks like."""
        held = cast(socket.socket, self.writer.get_extra_info("socket"))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Until the caller has closed, in whatever way; what it still says is dropped."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Talk], Awaitable[None]]


class ScriptedServer:
    """Runs `script` for each connection; what the script raises is raised at the end of the test."""

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._script = script
        self._tls = tls
        self._host = host
        self._port = port
        self._ended = 0
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._arriving: set[socket.socket] = set()
        """Connections whose handshake runs."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.talks: list[Talk] = []

    @property
    def port(self) -> int:
        assert self._listening is not None
        return int(self._listening.getsockname()[1])

    @property
    def origin(self) -> Origin:
        return Origin("https" if self._tls else "http", "localhost" if self._tls else self._host, self.port)

    @property
    def open_count(self) -> int:
        """Connections whose script still runs."""
        return len(self.talks) - self._ended

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listening = socket.create_server((self._host, self._port), family=family, backlog=100)
        self._listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._listening))
        return self

    async def __aexit__(self, *_: object) -> None:
        """No handshake outlives this: an event loop that closes in the middle of one cannot close."""
        assert self._accepting is not None and self._listening is not None
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listening.close()
        for arriving in self._arriving:
            with suppress(OSError):
                arriving.shutdown(socket.SHUT_RDWR)
        for talk in self.talks:
            talk.writer.transport.abort()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors:
            raise self._errors[0]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        self._arriving.add(connection)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls)
        except (OSError, ssl.SSLError):
            return  # the caller did not like the certificate
        finally:
            self._arriving.discard(connection)
        talk = Talk(reader, asyncio.StreamWriter(transport, protocol, reader, loop), len(self.talks))
        self.talks.append(talk)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._script(talk)
        except (ConnectionError, ssl.SSLError):
            pass  # the caller left: what most scripts are about
        except BaseException as error:
            self._errors.append(error)
        finally:
            transport.abort()
            self._ended += 1


def saying(*answers: bytes) -> Script:
    """One answer per request, in order, then silence until the caller has gone."""

    async def script(talk: Talk) -> None:
        for answer in answers:
            if not await talk.request():
                return
            await talk.send(answer)
        await talk.gone()

    return script


def closing_after(data: bytes) -> Script:
    """`data` as the answer to the first request, then an orderly close."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(data)
        talk.close()

    return script


async def silent(talk: Talk) -> None:
    await talk.gone()


async def read_all(answer: Answer) -> bytes:
    pieces = []
    while not answer.is_complete:
        pieces.append(await answer.read())
    answer.close()
    return b"".join(pieces)


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
