"""Ten thousand clients in one process: it opens streams, reads them, and knows the age of every event.

Lives on the load's core beside the mock, driven by `bench.streams`: a JSON command a line on standard input,
a JSON answer a line on standard output. What it finds wrong it tells in `faults`; it never stops for it.
"""

import asyncio
import gc
import json
import socket
import sys
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from bench.ticks import TICK
from bench.workloads import json_answer, post

_OPEN_SECONDS = 120.0
_END_SECONDS = 60.0
_MOST_FAULTS = 20
_ANSWER = json_answer()
_SMALL_BUFFER = 4_096
"""Of a client that does not read: what it leaves to others shows up there sooner."""


@dataclass(eq=False)
class Group:
    """Streams over one way."""

    streams: "list[Stream]" = field(default_factory=list)
    ages_ns: "array[int]" = field(default_factory=lambda: array("q"))
    faults: list[str] = field(default_factory=list)
    over: int = 0
    """Streams that have ended, well or not."""
    all_are_over: asyncio.Event = field(default_factory=asyncio.Event)

    def note_end(self) -> None:
        self.over += 1
        if self.over == len(self.streams):
            self.all_are_over.set()

    def complain(self, stream: "Stream", what: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"stream {stream.number}: {what}")


class Stream(asyncio.Protocol):
    """One client's connection with one streamed answer."""

    __slots__ = ("_group", "_is_mute", "_rest", "_transport", "_waiter", "has_ended", "number", "ticks")

    def __init__(self, group: Group, number: int, *, is_mute: bool = False) -> None:
        self._group = group
        self._is_mute = is_mute
        """Reads no more once the answer has begun."""
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self.number = number
        self.ticks = 0
        self.has_ended = False

    async def open(self, host: str, port: int, request: bytes) -> None:
        """Returns at the first event."""
        loop, waiter = asyncio.get_running_loop(), self._waiter
        assert waiter is not None
        transport, _ = await loop.create_connection(lambda: self, host, port)
        transport.write(request)
        await waiter
        if self._is_mute:
            transport.pause_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # ---- called by the transport ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_mute:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._rest:
            data = self._rest + data
        if self._waiter is not None and not self._begin(data):
            self._rest = data
            return
        if self._is_mute:
            return
        end = 0
        for match in TICK.finditer(data):
            end = match.end()
            stream, number, left = match.groups()
            if int(stream) != self.number or int(number) != self.ticks + 1:
                self._group.complain(self, f"event {int(number)} of {int(stream)} after {self.ticks}")
            self.ticks = int(number)
            self._group.ages_ns.append(now - int(left))
        rest = data[end:]
        self._rest = b"" if len(rest) == 2 else self._unread(rest)  # the line end of a chunk

    def _unread(self, rest: bytes) -> bytes:
        """What is no tick: the end of the stream, or an event that has not come whole."""
        if b"message_delta" not in rest:
            return b"" if rest.endswith(b"\n\n\r\n") else rest
        if b"message_stop" in rest:
            self._end(rest)
        return rest

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.has_ended and not self._is_mute:
            self._group.complain(self, f"broken off after {self.ticks} events: {exc!r}")
            self._group.note_end()
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    # ---- the beginning and the end -------------------------------------------------------------------

    def _begin(self, data: bytes) -> bool:
        """Whether the first event is here, with or without more behind it."""
        if b"message_start" not in data:
            return False
        if not data.startswith(b"HTTP/1.1 200 "):
            self._group.complain(self, f"refused: {data[:300]!r}")
        assert self._waiter is not None
        self._waiter.set_result(None)
        self._waiter = None
        return True

    def _end(self, rest: bytes) -> None:
        """The last event tells how many there were before it."""
        self.has_ended = True
        if b'"output_tokens": %d}' % self.ticks not in rest:
            self._group.complain(self, f"{self.ticks} events came, then: {rest!r}")
        self._group.note_end()


class Question(asyncio.Protocol):
    """One short request on a connection of its own."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._answer = b""
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(_ANSWER) and not self.done.done():
            self.done.set_result(self._answer)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(self._answer or repr(exc).encode())


def percentiles(values: "array[int]", unit: float) -> dict[str, float]:
    """The middle, the tail and the worst, in multiples of `unit`."""
    ranked = sorted(values)
    last = len(ranked) - 1
    marks = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: ranked[round(last * mark)] / unit if ranked else 0.0 for name, mark in marks.items()}


class Readers:
    """Carries out the commands; each is a method named like it."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    async def open(
        self, *, group: str, host: str, port: int, count: int, mode: str, at_once: int, is_mute: bool = False
    ) -> dict[str, Any]:
        """`count` streams, `at_once` of them on the way; all stand at their first event then."""
        own = self._groups.setdefault(group, Group())
        gate = asyncio.Semaphore(at_once)
        first = len(own.streams)
        added = [Stream(own, first + number, is_mute=is_mute) for number in range(count)]
        own.streams += added
        began = time.monotonic()

        async def open_one(stream: Stream) -> None:
            request = post(f"{mode}.{stream.number}" if mode == "tick" else mode, stream.number)
            async with gate:
                try:
                    async with asyncio.timeout(_OPEN_SECONDS):
                        await stream.open(host, port, request)
                except (OSError, TimeoutError) as error:
                    own.complain(stream, f"not opened: {error!r}")

        await asyncio.gather(*(open_one(stream) for stream in added))
        gc.collect()
        gc.freeze()
        return {"seconds": time.monotonic() - began, "faults": own.faults}

    async def listen(self, *, seconds: float) -> dict[str, Any]:
        """How old events were when they came, of those that came within this time; by group."""
        for group in self._groups.values():
            group.ages_ns = array("q")
        await asyncio.sleep(seconds)
        # What is counted afterwards does not count.
        ages = {name: group.ages_ns for name, group in self._groups.items()}
        for group in self._groups.values():
            group.ages_ns = array("q")
        return {
            name: {"events": len(values), **percentiles(values, 1e6), "faults": self._groups[name].faults}
            for name, values in ages.items()
        }

    async def end(self, *, group: str) -> dict[str, Any]:
        """Wait until every stream has ended, then close them."""
        own = self._groups[group]
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await own.all_are_over.wait()
        ended = sum(stream.has_ended for stream in own.streams)
        events = sum(stream.ticks for stream in own.streams)
        self._close(group)
        return {"streams": len(own.streams), "ended": ended, "events": events, "faults": own.faults}

    async def leave(self, *, group: str) -> dict[str, Any]:
        """Close them as they are."""
        self._close(group)
        return {}

    def _close(self, group: str) -> None:
        for stream in self._groups.pop(group).streams:
            stream.close()

    async def storm(self, *, host: str, port: int, count: int) -> dict[str, Any]:
        """`count` connections in one turn of the event loop, one short request on each."""
        loop = asyncio.get_running_loop()
        questions = [Question(post("json", number)) for number in range(count)]
        took = array("q")
        faults: list[str] = []
        began = time.monotonic_ns()

        async def ask(question: Question) -> None:
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await loop.create_connection(lambda: question, host, port)
                    answer = await question.done
            except (OSError, TimeoutError) as error:
                faults.append(repr(error))
                return
            took.append(time.monotonic_ns() - began)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(_ANSWER):
                faults.append(repr(answer[:200]))

        await asyncio.gather(*(ask(question) for question in questions))
        return {"answers": len(took) - len(faults), **percentiles(took, 1e6), "faults": faults[:_MOST_FAULTS]}


async def _obey() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    readers = Readers()
    while line := await reader.readline():
        command: dict[str, Any] = json.loads(line)
        answer = await getattr(readers, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    gc.set_threshold(200_000, 50, 100)
    uvloop.run(_obey())
