"""Crowds of connections on raw sockets: what each sends, in which pieces, how it leaves, what came back."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import psutil

from tests.gateway import Gateway
from tests.journeys.wire import request

HASTE = {"head_timeout_ms": 200, "body_timeout_ms": 200, "max_body_bytes": 100_000}
"""Settings of `server`: what is cut off costs a fifth of a second."""
_END = request("/health", method="GET", headers={"connection": "close"})
"""In step it is answered, out of step it is swallowed and the connection times out. So each ends, but for one
case: a body lacks as many bytes as this has, less an empty line. Then the connection is in step and idle."""
_LONGEST_SECONDS = 15
_AGAIN_SECONDS = 10
"""By then the gateway has cut off all that lacks its end. Who still waits asks for the end once more."""


class Wire(NamedTuple):
    """What one connection sends, in these pieces, and how it leaves."""

    pieces: list[bytes]
    end: str
    """`wait` for all answers, `eof`: say that no more comes, `reset`."""


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


async def send_all(
    gateway: Gateway, crowd: Sequence[Wire], *, patience_seconds: float = _LONGEST_SECONDS
) -> list[bytes]:
    """All at once; what each received. Who has less patience than the gateway says by then that no more
    comes: a body that lacks its end is given a second with each KiB that came."""
    return await asyncio.gather(*(_send(gateway, wire, patience_seconds) for wire in crowd))


async def _send(gateway: Gateway, wire: Wire, patience_seconds: float) -> bytes:
    """All that was received until the end of the connection."""
    transport, raw = await asyncio.get_running_loop().create_connection(_Raw, *gateway.address)
    try:
        for piece in wire.pieces:
            transport.write(piece)
            await asyncio.sleep(0)
        if wire.end == "reset":
            transport.abort()
        else:
            transport.write(_END)
        if wire.end == "wait":
            with suppress(TimeoutError):
                await asyncio.wait_for(raw.is_closed.wait(), min(patience_seconds, _AGAIN_SECONDS))
            if patience_seconds > _AGAIN_SECONDS and not raw.is_closed.is_set():
                transport.write(_END)
                await asyncio.wait_for(raw.is_closed.wait(), patience_seconds - _AGAIN_SECONDS)
        if not raw.is_closed.is_set() and not transport.is_closing():
            with suppress(OSError):  # the gateway may have ended it by now
                transport.write_eof()
        await asyncio.wait_for(raw.is_closed.wait(), _LONGEST_SECONDS)
        return bytes(raw.received)
    finally:
        transport.abort()


class _Raw(asyncio.Protocol):
    """Reads whatever comes: what was damaged may be answered in ways that no parser of ours expects."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.is_closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed.set()


def open_clients(gateway: Gateway) -> int:
    """Connections of clients that the gateway holds open."""
    port = gateway.address[1]
    found = psutil.Process(gateway.pid).net_connections(kind="tcp")
    return sum(one.laddr.port == port and one.status != psutil.CONN_LISTEN for one in found)
