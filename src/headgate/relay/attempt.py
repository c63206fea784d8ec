"""One attempt on one account: send, wait for the head, look at the first bytes.

The look decides whether the answer is good while the account can still be changed. A stream is looked
at up to its first event: overload is often reported there, under a status of 200.
"""

from collections.abc import Callable

import msgspec

from headgate.dialects.meters import Feeding, JsonMeter, Meter
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.relay.loops import is_our_own_answer
from headgate.relay.targets import Target, head_for
from headgate.relay.trail import KeptAnswer
from headgate.upstream.answer import Answer
from headgate.upstream.client import UpstreamClient
from headgate.upstream.failures import leads_back
from headgate.upstream.timeouts import Timeouts

_MAX_LOOK = 262_144
"""Bytes of a first event, or of an error body, that we are ready to hold back."""


class Opened(msgspec.Struct, gc=False):
    """An answer that has begun: its head, its first bytes (read, metered, not sent)."""

    answer: Answer
    first: bytes
    meter: Meter
    listener: Feeding | None = None
    """That gets the bytes in the place of the meter, and hands them on to it."""

    def take_first(self) -> bytes:
        """To be sent: a long answer need not hold its beginning."""
        first, self.first = self.first, b""
        return first


async def open_answer(
    upstream: UpstreamClient,
    exchange: Exchange,
    target: Target,
    lines: bytes,
    timeouts: Timeouts,
    now: float,
    on_text: Callable[[bytes], None] | None = None,
) -> Opened:
    """`now`: monotonic. Raises UpstreamError; nothing of the attempt is left open then, nor when cancelled.

    `on_text` gets the answer's plain text, whole event by whole event.
    """
    body = exchange.body
    content = body.whole() if isinstance(body, BodyBuffer) else body.framed()
    head = head_for(target, exchange, lines)
    answer = await upstream.send(target.origin, head, content, timeouts, target.proxy, now)
    try:
        endpoint = exchange.head.endpoint
        meter_for = endpoint.meter_for  # by itself: a method would be looked for in the class first
        meter = meter_for(answer.fields)
        if on_text is not None:
            meter.on_text = on_text
        # A short answer comes with its head: nothing to wait for.
        first = answer.take()
        if not first and not answer.is_complete:
            first = await answer.look()
        meter.feed(first)
        opened = Opened(answer, first, meter)
        tells_addresses = endpoint.tells_addresses and isinstance(meter, JsonMeter)
        is_refusal = answer.status >= 400
        if is_refusal and is_our_own_answer(exchange, answer.fields):
            raise leads_back(target.origin)
        if is_refusal or tells_addresses:
            await _look_on(opened, wants_whole=True)
        elif not meter.has_event:
            await _look_on(opened, wants_whole=False)
    except BaseException:
        answer.close()
        raise
    return opened


async def _look_on(opened: Opened, *, wants_whole: bool) -> None:
    """Read until the answer is whole, or until a stream has brought its first event."""
    answer, meter = opened.answer, opened.meter
    while not answer.is_complete and len(opened.first) < _MAX_LOOK and (wants_whole or not meter.has_event):
        piece = await answer.look()
        meter.feed(piece)
        opened.first += piece
    if answer.status >= 400 and answer.is_complete:
        meter.finish()  # reads the error


def keep(opened: Opened) -> KeptAnswer | None:
    """The answer for the end, when it is whole; a longer one than we hold is not worth keeping."""
    answer = opened.answer
    if not answer.is_complete:
        return None
    return KeptAnswer(answer.status, answer.reason, answer.headers, opened.first)
