"""One attempt on one account: send, wait for the head, look at the first bytes.

The look decides whether the answer is good while the account can still be changed. A stream is looked
at up to its first event: overload is often reported there, under a status of 200.
"""

from dataclasses import dataclass

from headgate.clock import Clock
from headgate.dialects.anthropic_meter import JsonMeter, Meter, StreamMeter, meter_for
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.relay.targets import Target, head_for
from headgate.relay.trail import KeptAnswer, Trail
from headgate.upstream.answer import Answer
from headgate.upstream.client import UpstreamClient
from headgate.upstream.timeouts import Timeouts

_MAX_LOOK = 262_144
"""Bytes of a first event, or of an error body, that we are ready to hold back."""


@dataclass(slots=True)
class Opened:
    """An answer that has begun: its head, its first bytes (read, metered, not sent)."""

    answer: Answer
    fields: dict[bytes, bytes]
    """The answer's headers by name, for look-ups; what is relayed is `answer.headers`."""
    first: bytes
    meter: Meter


async def open_answer(
    upstream: UpstreamClient,
    exchange: Exchange,
    target: Target,
    lines: bytes,
    timeouts: Timeouts,
) -> Opened:
    """Raises UpstreamError; nothing of the attempt is left open then, nor when it is cancelled."""
    body = exchange.body
    content = body.whole() if isinstance(body, BodyBuffer) else body.framed()
    answer = await upstream.send(target.origin, head_for(target, exchange, lines), content, timeouts=timeouts)
    try:
        return await _look(answer)
    except BaseException:
        answer.close()
        raise


async def _look(answer: Answer) -> Opened:
    fields = dict(answer.headers)
    meter = meter_for(fields)
    if answer.is_complete:
        return Opened(answer, fields, b"", meter)
    first = await answer.read()
    meter.feed(first)
    is_refusal = answer.status >= 400
    if is_refusal or isinstance(meter, StreamMeter):
        while not answer.is_complete and len(first) < _MAX_LOOK and (is_refusal or not meter.has_event):
            piece = await answer.read()
            meter.feed(piece)
            first += piece
    if is_refusal and answer.is_complete and isinstance(meter, JsonMeter):
        meter.finish()  # reads the error
    return Opened(answer, fields, first, meter)


def keep(opened: Opened) -> KeptAnswer | None:
    """The answer for the end, when it is whole; a longer one than we hold is not worth keeping."""
    answer = opened.answer
    if not answer.is_complete:
        return None
    return KeptAnswer(answer.status, answer.reason, answer.headers, opened.first)


class Stopwatch:
    """Adds the time of a block to what the trail counts as waiting."""

    def __init__(self, clock: Clock, trail: Trail) -> None:
        self._monotonic = clock.monotonic
        self._trail = trail

    def __enter__(self) -> None:
        self._began = self._monotonic()

    def __exit__(self, *exc: object) -> None:
        self._trail.waited_seconds += self._monotonic() - self._began
