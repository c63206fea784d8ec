"""One request of a client and the answer it gets: what the protocol hands to the relay.

The exchange is the only part of the relay that writes to the client. Its head waits for the first
piece of the body, so that a short answer is one write; nothing is sent before the relay commits.
"""

import asyncio
import socket
import struct
from collections.abc import Set
from typing import Protocol

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl

from headgate.dialects.anthropic import RequestFacts
from headgate.errors import HeadgateError
from headgate.outbox import Outbox
from headgate.relay.body import BodyBuffer, BodyStream
from headgate.relay.endpoints import Endpoint
from headgate.relay.heads import ClientHead

_OK = b"HTTP/1.1 200 OK\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RequestHead(msgspec.Struct, frozen=True):
    """What a client asked for."""

    method: bytes
    path: bytes
    query: bytes
    client: ClientHead
    endpoint: Endpoint
    target: bytes
    """Path and query as the provider gets them."""
    content_length: int | None
    """As announced; None for a chunked body, or none at all."""
    is_http_1_0: bool
    keep_alive: bool
    shown_method: str
    shown_path: str
    """As records have them; heads come again and again."""


class Answering(Protocol):
    """What the relay tells a client's connection."""

    def settle_in(self) -> None:
        """An answer has begun that will take its time."""
        ...

    def exchange_complete(self, exchange: "Exchange") -> None:
        """An answer is out."""
        ...


class ClientSide(msgspec.Struct, eq=False):
    """The connection that exchanges answer on, one after the other."""

    address: str
    transport: asyncio.Transport
    flow: FlowControl
    outbox: Outbox
    connection: Answering
    siblings: "Set[Exchange]"
    """All that are open in the gateway, of any client."""


class Exchange(msgspec.Struct, eq=False):
    """Lives from the end of a request's head to the last byte of its answer.

    Made for every request, so it is a struct, in which what most requests leave as it is costs nothing.
    """

    # The request
    id: str
    head: RequestHead
    body: BodyBuffer | BodyStream
    began: float
    """Monotonic seconds, as all moments here but one."""
    began_at: float
    """Unix seconds."""
    client: ClientSide
    keep_alive: bool
    refusal: HeadgateError | None = None
    task: "asyncio.Task[None] | None" = None
    client_left: bool = False
    ready_at: float = 0.0
    """The request is whole, or streams, and it is its turn."""
    first_byte_at: float | None = None
    facts: RequestFacts | None = None
    """What was read of the body, from the relay's start on."""
    session: str | None = None
    """What the accounts were chosen by: a header's word for the conversation, else the body's."""
    counted_as: str | None = None
    """The address among whose connections it counts while it is open: it came through a trusted proxy."""
    # The answer
    status: int = 0
    response_bytes: int = 0
    has_started: bool = False
    is_complete: bool = False
    account: str | None = None
    """The name of the one that answers, for who watches an answer that goes on."""
    _pending: bytes = b""
    _is_chunked: bool = False
    _has_stated_length: bool = False
    _has_body: bool = True

    # ---- the answer --------------------------------------------------------------------------

    def begin(self, status: int, reason: bytes, lines: bytes, content_length: int | None) -> None:
        """Settle the head. `lines` are header lines with their line ends; they must hold no framing of
        their own but `content-length`.

        Without a length the body goes out chunked, or to an HTTP/1.0 client until the close.
        """
        self.status = status
        head, framing = self.head, b""
        self._has_stated_length = content_length is not None
        if not self.body.is_complete:
            self.keep_alive = False
        self._has_body = head.method != b"HEAD" and status not in (204, 304)
        if content_length is None and self._has_body:
            if head.is_http_1_0:
                self.keep_alive = False
            else:
                self._is_chunked = True
                framing = b"transfer-encoding: chunked\r\n"
        if not self.keep_alive:
            framing += b"connection: close\r\n"
        elif head.is_http_1_0:
            framing += b"connection: keep-alive\r\n"
        start = _OK if status == 200 and reason == b"OK" else b"HTTP/1.1 %d %b\r\n" % (status, reason)
        self._pending = b"".join((start, lines, framing, b"\r\n"))

    def settle_in(self) -> None:
        """The answer goes on, from the account that it began with: what only the request needed is let go."""
        self.body.release()
        self.client.connection.settle_in()

    def write(self, piece: bytes) -> None:
        """Send a piece of the body, with the head if it still waits."""
        framed = self._framed(piece)
        if not self.has_started:
            self.has_started = True
            framed = self._pending + framed
            self._pending = b""
        self.response_bytes += len(piece)
        self.client.outbox.write(self.client.transport, framed)

    def finish(self, last: bytes = b"") -> None:
        """Send the last piece and the end. The request's record must be in the journal by now: it is
        committed before these bytes leave (`Outbox`)."""
        self.response_bytes += len(last)
        ending = last if self._has_body else b""
        if self._is_chunked:
            ending = self._framed(last) + b"0\r\n\r\n"
        if not self.has_started:
            self.has_started = True
            ending = self._pending + ending
        client = self.client
        client.outbox.write(client.transport, ending)
        self.is_complete = True
        client.connection.exchange_complete(self)

    def _framed(self, piece: bytes) -> bytes:
        if not self._is_chunked:
            return piece if self._has_body else b""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""

    def break_off(self) -> None:
        """End an answer that cannot be completed: the client sees the connection close."""
        self.keep_alive = False
        if not self._is_chunked and not self._has_stated_length:
            # A body that ends with the connection would look whole: only a reset tells.
            self.client.outbox.flush()
            sock = self.client.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.client.transport.abort()
        self.is_complete = True
        self.client.connection.exchange_complete(self)

    def address(self) -> str:
        """The caller's, where the connection is a trusted proxy's."""
        forwarded = self.head.client.forwarded
        return self.client.address if forwarded is None else forwarded.address

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
        return self.client.flow.write_paused

    async def drain(self) -> None:
        await self.client.flow.drain()
