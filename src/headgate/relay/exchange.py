"""One request of a client and the answer it gets: what the protocol hands to the relay.

The exchange is the only part of the relay that writes to the client. Its head waits for the first
piece of the body, so that a short answer is one write; nothing is sent before the relay commits.
"""

import asyncio
import socket
import struct
from collections.abc import Callable

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl

from headgate.errors import HeadgateError
from headgate.relay.body import BodyBuffer, BodyStream
from headgate.relay.endpoints import Endpoint
from headgate.relay.heads import ClientHead
from headgate.wire.headers import Headers

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RequestHead(msgspec.Struct, frozen=True):
    """What a client asked for."""

    method: bytes
    path: bytes
    query: bytes
    client: ClientHead
    content_length: int | None
    """As announced; None for a chunked body, or none at all."""
    is_http_1_0: bool
    keep_alive: bool


class Exchange:
    """Lives from the end of a request's head to the last byte of its answer.

    What most requests leave as it is stands as a default of the class.
    """

    # The request
    refusal: HeadgateError | None = None
    task: "asyncio.Task[None] | None" = None
    client_left = False
    # Times (monotonic seconds)
    ready_at = 0.0
    first_byte_at: float | None = None
    # The answer
    status = 0
    response_bytes = 0
    has_started = False
    is_complete = False
    _pending = b""
    _is_chunked = False
    _has_stated_length = False
    _has_body = True

    def __init__(
        self,
        head: RequestHead,
        *,
        id: str,
        endpoint: Endpoint,
        body: BodyBuffer | BodyStream,
        began: float,
        began_at: float,
        client_address: str,
        transport: asyncio.Transport,
        flow: FlowControl,
        on_complete: Callable[["Exchange"], None],
    ) -> None:
        self.head = head
        self.id = id
        self.endpoint = endpoint
        self.client_address = client_address
        self.caller = head.client.caller
        self.body = body
        self.began = began
        self.began_at = began_at
        """Unix seconds."""
        self.keep_alive = head.keep_alive
        self._transport = transport
        self._flow = flow
        self._on_complete = on_complete

    # ---- the answer --------------------------------------------------------------------------

    def begin(self, status: int, reason: bytes, headers: Headers, *, content_length: int | None) -> None:
        """Settle the head. `headers` must hold no framing of their own but `content-length`.

        Without a length the body goes out chunked, or to an HTTP/1.0 client until the close.
        """
        self.status = status
        self._has_stated_length = content_length is not None
        self.keep_alive = self.keep_alive and self.body.is_complete
        self._has_body = self.head.method != b"HEAD" and status not in (204, 304)
        framing = b""
        if content_length is None and self._has_body:
            if self.head.is_http_1_0:
                self.keep_alive = False
            else:
                self._is_chunked = True
                framing = b"transfer-encoding: chunked\r\n"
        if not self.keep_alive:
            framing += b"connection: close\r\n"
        elif self.head.is_http_1_0:
            framing += b"connection: keep-alive\r\n"
        lines = b"\r\n".join(map(b": ".join, headers))
        self._pending = b"HTTP/1.1 %d %b\r\n%b\r\n%b\r\n" % (status, reason, lines, framing)

    def write(self, piece: bytes) -> None:
        """Send a piece of the body now, with the head if it still waits."""
        framed = self._framed(piece)
        if not self.has_started:
            self.has_started = True
            framed = self._pending + framed
        self._send(framed)
        self.response_bytes += len(piece)

    def finish(self, last: bytes = b"") -> None:
        """Send the last piece and the end. The request's record must be in the journal by now."""
        self.response_bytes += len(last)
        ending = self._framed(last)
        if self._is_chunked:
            ending += b"0\r\n\r\n"
        if not self.has_started:
            self.has_started = True
            ending = self._pending + ending
        self._send(ending)
        self._complete()

    def _send(self, data: bytes) -> None:
        # A client that has just gone is told to us a turn of the loop later, and uvloop refuses the write.
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _framed(self, piece: bytes) -> bytes:
        if not piece or not self._has_body:
            return b""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece

    def break_off(self) -> None:
        """End an answer that cannot be completed: the client sees the connection close."""
        self.keep_alive = False
        if not self._is_chunked and not self._has_stated_length:
            # A body that ends with the connection would look whole: only a reset tells.
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()
        self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self._on_complete(self)

    @property
    def can_be_ended(self) -> bool:
        """Whether the body has no stated length, so that more may be said before the end."""
        return not self._has_stated_length

    @property
    def response_complete(self) -> bool:
        """What uvicorn asks of the request before, to know whether a pipelined one has to wait."""
        return self.is_complete

    @property
    def is_backed_up(self) -> bool:
        """Whether the client reads more slowly than the provider writes."""
        return self._flow.write_paused

    async def drain(self) -> None:
        await self._flow.drain()
