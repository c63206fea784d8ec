"""One connection: requests in, deliveries out, and the misbehaviour that only bytes and sockets can show."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from headgate.testing.provider.books import Entry
from headgate.testing.provider.delivery import Delivery, Ending, Step
from headgate.testing.provider.framing import (
    MAX_HEAD_BYTES,
    BadRequest,
    ChunkedBody,
    LengthBody,
    Request,
    body_reader,
)

if TYPE_CHECKING:
    from headgate.testing.provider.simulator import Simulator

_MAX_WAITING_BYTES = 1024 * 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN


class Connection(asyncio.Protocol):
    """Answers in the order of the requests; a pipelined request waits in the buffer for its turn."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._buffer = bytearray()
        self._request: Request | None = None
        self._body: LengthBody | ChunkedBody | None = None
        self._is_answered_early = False
        self._task: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._served = 0

    # ---- the socket ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not derive from it
        self._simulator.connections.add(self)
        if self._simulator.refuses_connection():
            self._reset()

    def connection_lost(self, exc: Exception | None) -> None:
        self._simulator.connections.discard(self)
        self._may_write.set()
        if self._task is not None:
            self._task.cancel()
        if self._request is not None and self._body is not None and not self._is_answered_early:
            self._simulator.note_partial(self._request, self._body.body)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._read_on()
        elif len(self._buffer) > _MAX_WAITING_BYTES:
            self._transport.pause_reading()

    def close(self) -> None:
        self._transport.abort()

    # ---- requests ----

    def _read_on(self) -> None:
        try:
            while self._task is None and not self._transport.is_closing():
                if self._request is None and not self._read_head():
                    return
                if self._task is not None or self._request is None or self._body is None:
                    return
                if not self._body.feed(self._buffer):
                    return
                self._finish_request(self._request, self._body.body)
        except BadRequest:
            self._transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self._transport.close()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequest("The head does not end.")
            return False
        request = Request(bytes(self._buffer[: end + 4]))
        del self._buffer[: end + 4]
        self._request, self._body = request, body_reader(request)
        if request.header(b"expect").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        early = self._simulator.answer_before_body(request)
        if early is not None:
            self._is_answered_early = True
            self._deliver(*early)
        return True

    def _finish_request(self, request: Request, body: bytes) -> None:
        self._request = self._body = None
        if self._is_answered_early:
            self._is_answered_early = False
            return
        request.body = body
        entry, delivery = self._simulator.answer(request)
        if not request.keeps_alive and delivery.ending is Ending.KEEP:
            delivery.ending = Ending.CLOSE
        self._deliver(entry, delivery)

    # ---- deliveries ----

    def _deliver(self, entry: Entry, delivery: Delivery) -> None:
        self._served += 1
        limit = delivery.answers_per_connection
        if limit is not None and self._served >= limit and delivery.ending is Ending.KEEP:
            delivery.ending = Ending.CLOSE
        entry.sent_head = delivery.head if entry.keeps_bytes else b""
        if delivery.is_immediate:
            self._write_at_once(entry, delivery)
        else:
            self._task = asyncio.get_running_loop().create_task(self._write_in_steps(entry, delivery))
            self._task.add_done_callback(self._delivered)

    def _write_at_once(self, entry: Entry, delivery: Delivery) -> None:
        steps = delivery.steps
        wire = b"".join([delivery.head, *[step.wire for step in steps]])
        entry.sent(steps[0].body if len(steps) == 1 else b"".join([step.body for step in steps]))
        for step in steps:
            if step.usage is not None:
                entry.usage = step.usage
        entry.is_fully_written = delivery.is_complete
        self._simulator.books.close_entry(entry)
        self._transport.write(wire)

    async def _write_in_steps(self, entry: Entry, delivery: Delivery) -> None:
        try:
            if delivery.first_byte_ms:
                await asyncio.sleep(delivery.first_byte_ms / 1000)
            if not delivery.head_in_steps:
                self._transport.write(delivery.head)
            for step in delivery.steps:
                await self._write_step(entry, step)
            if delivery.ending is Ending.STALL:
                await asyncio.get_running_loop().create_future()
            await self._flushed()
            entry.is_fully_written = delivery.is_complete
        finally:
            self._simulator.books.close_entry(entry)
        self._end(delivery.ending)

    async def _write_step(self, entry: Entry, step: Step) -> None:
        # uvloop joins what one turn of the loop writes: the sleep makes each step a write of its own.
        await asyncio.sleep(step.wait_ms / 1000)
        await self._may_write.wait()
        entry.sent(step.body)
        if step.usage is not None:
            entry.usage = step.usage
        self._transport.write(step.wire)

    async def _flushed(self) -> None:
        self._transport.set_write_buffer_limits(0)  # from now on `resume_writing` means that all is out
        await asyncio.sleep(0)
        await self._may_write.wait()
        self._transport.set_write_buffer_limits()

    def _end(self, ending: Ending) -> None:
        if ending is Ending.CLOSE:
            self._transport.close()
        elif ending is Ending.RESET:
            self._reset()

    def _reset(self) -> None:
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()

    def _delivered(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            self._simulator.report(task.exception())
            self._transport.abort()
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._read_on()
