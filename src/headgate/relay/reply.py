"""The open answer: pumping the provider's bytes to the client, and ending well when that fails.

One loop, one await per piece. The last piece is held back until the record is in the journal.
"""

import asyncio
from collections.abc import Callable

from headgate.dialects.meters import Feeding, StreamMeter
from headgate.relay.exchange import Exchange
from headgate.upstream.answer import Answer

_COMMENT = b": keep-alive\n\n"


async def pump(
    exchange: Exchange,
    answer: Answer,
    meter: Feeding,
    piece: bytes,
    *,
    clock: Callable[[], float],
    keepalive: "KeepAlive | None" = None,
) -> bytes:
    """Hand on everything but the last piece, which is returned. `piece`, the first, is read and metered.

    Pieces go to the client inside the read callback; this coroutine wakes for the end, for a failure,
    and when the client reads too slowly.
    """

    def on_piece(piece: bytes) -> bool:
        meter.feed(piece)
        exchange.write(piece)
        if keepalive is not None:
            keepalive.rearm()
        return exchange.is_backed_up

    try:
        while not answer.is_complete:
            if piece:
                if exchange.first_byte_at is None:
                    exchange.first_byte_at = clock()
                exchange.write(piece)
                piece = b""  # not to be held for as long as the answer lasts
                if keepalive is not None:
                    keepalive.rearm()
            if exchange.is_backed_up:
                await exchange.drain()
            piece = await answer.pipe(on_piece)
            meter.feed(piece)
    finally:
        if keepalive is not None:
            keepalive.stop()
    return piece


class KeepAlive:
    """Comments for a silent stream, so that proxies in between do not give it up.

    A comment goes out between two events only: within one it would end a field.
    """

    def __init__(self, exchange: Exchange, meter: StreamMeter, *, seconds: float) -> None:
        self._exchange = exchange
        self._meter = meter
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def rearm(self) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._speak)

    def _speak(self) -> None:
        if not self._meter.open_event and not self._exchange.is_backed_up:
            self._exchange.write(_COMMENT)
        self.rearm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
