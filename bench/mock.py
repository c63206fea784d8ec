"""The upstream that answers every target: prepared bytes, one process, no framework in the way.

`python -m bench.mock` prints `listening on PORT` and serves until it is killed. The query of a request says
what it does: `bench=json`, `bench=stream`, `bench=slow` (one event, then held open), `bench=tick.N` (held
open as stream N, two events a second), `bench=flood` (as many events as the reader takes), `bench=release`
(what is held open ends as a whole stream does). Requests must have a Content-Length: nginx and Headgate both
know the length of what they forward, and a target that re-frames its requests must not pass unnoticed.
"""

import asyncio
import itertools
import re
from http import HTTPStatus
from typing import cast

import uvloop

from bench.ticks import Wheel, tick
from bench.workloads import json_answer, last_events, stream_events

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")

_ID = b"011CSHoEeqs5C35K2UUqR7Fy"
# What a provider's answer carries beside its body; Headgate reads the limits out of these.
_PROVIDER_HEADERS = (
    b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"request-id: req_%b\r\n"
    b"anthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n"
    b"anthropic-ratelimit-requests-limit: 4000\r\n"
    b"anthropic-ratelimit-requests-remaining: 3999\r\n"
    b"anthropic-ratelimit-requests-reset: 2099-01-01T00:00:00Z\r\n"
    b"anthropic-ratelimit-tokens-limit: 400000\r\n"
    b"anthropic-ratelimit-tokens-remaining: 399000\r\n"
    b"anthropic-ratelimit-tokens-reset: 2099-01-01T00:00:00Z\r\n"
) % _ID


def _json_answer(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> bytes:
    line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    framing = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return (line + framing).encode() + _PROVIDER_HEADERS + b"\r\n" + body


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


_JSON = _json_answer(json_answer())
_RELEASED = _json_answer(b"{}")
_UNFRAMED = _json_answer(b'{"error":"a request without content-length"}', HTTPStatus.LENGTH_REQUIRED)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n" + _PROVIDER_HEADERS + b"\r\n"
)
_chunks = [_chunk(event) for event in stream_events()]
# The head travels with the first event and the last chunk with the last: 105 writes for 105 events.
_STREAM = [_STREAM_HEAD + _chunks[0], *_chunks[1:-1], _chunks[-1] + b"0\r\n\r\n"]
# Every answer has an id of its own, as with a provider: a gateway that knows the lines must not be flattered.
_JSON_PARTS, _STREAM_PARTS = _JSON.partition(_ID)[::2], _STREAM[0].partition(_ID)[::2]
_numbers = itertools.count()
_FLOOD = b"".join(_chunks[3:-3]) * 2


def _with_id(parts: tuple[bytes, bytes]) -> bytes:
    return b"%b%024d%b" % (parts[0], next(_numbers), parts[1])


class Upstream(asyncio.Protocol):
    """One connection: reads a request to its end by Content-Length, answers, reads the next."""

    _held: "set[Upstream]" = set()  # noqa: RUF012 (shared on purpose: the open slow streams of the process)

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._stream = 0
        self._ticks = 0
        self._is_ending = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._head = b""
        self._mode = b""
        self._missing = 0
        self._is_open = False
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        self._held.discard(self)
        self._wheel.leave(self)

    def pause_writing(self) -> None:
        """Only a flood fills the buffer. What is not written now is never owed."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._flood()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._count_body(len(data))
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            self._begin_request(end)

    def _begin_request(self, end: int) -> None:
        head, self._head = self._head, b""
        length = _LENGTH.search(head, 0, end)
        if length is None:
            self._transport.write(_UNFRAMED)
            self._transport.close()
            return
        line = head[: head.index(b"\r\n")]
        self._mode = line.partition(b"bench=")[2].partition(b" ")[0]
        self._missing = int(length[1])
        self._count_body(len(head) - end - 4)

    def _count_body(self, received: int) -> None:
        """No pipelining: what follows a body belongs to it, and too much of it is an error worth seeing."""
        self._missing -= received
        if self._missing < 0:
            self._transport.abort()
        elif self._missing == 0:
            self._answer()

    def _answer(self) -> None:
        if self._mode == b"json":
            self._transport.write(_with_id(_JSON_PARTS))
        elif self._mode == b"stream":
            self._write_event(0)
        elif self._mode == b"slow":
            self._transport.write(_with_id(_STREAM_PARTS))
            self._held.add(self)
        elif self._mode == b"flood":
            self._transport.write(_with_id(_STREAM_PARTS))
            self._flood()
        elif self._mode.startswith(b"tick."):
            self._begin_ticking(int(self._mode[5:]))
        else:
            self._release_all()

    def _write_event(self, number: int) -> None:
        """One event for each turn of the loop, so that each leaves as a segment of its own.

        The whole stream is far below the transport's high-water mark: there is nothing to pause.
        """
        if not self._is_open:
            return
        self._transport.write(_STREAM[number] if number else _with_id(_STREAM_PARTS))
        if number + 1 < len(_STREAM):
            self._loop.call_soon(self._write_event, number + 1)

    def _begin_ticking(self, stream: int) -> None:
        self._stream, self._ticks, self._is_ending = stream, 0, False
        self._transport.write(_with_id(_STREAM_PARTS))
        self._held.add(self)
        self._wheel.join(self)

    def send_tick(self) -> None:
        if self._is_ending:
            self._wheel.leave(self)
            self._transport.write(_chunk(last_events(self._ticks)) + b"0\r\n\r\n")
            return
        self._ticks += 1
        self._transport.write(_chunk(tick(self._stream, self._ticks)))

    def _flood(self) -> None:
        """A turn of the loop between two writes: others are to be served meanwhile."""
        if self._is_open and not self._is_full:
            self._transport.write(_FLOOD)
            self._loop.call_soon(self._flood)

    def _release_all(self) -> None:
        for stream in self._held:
            if stream._mode == b"slow":
                stream._write_event(1)
            else:
                stream._is_ending = True
        self._held.clear()
        self._transport.write(_RELEASED)


async def _serve() -> None:
    wheel = Wheel()
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(wheel), "127.0.0.1", 0, backlog=4096
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
