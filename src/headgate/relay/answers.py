"""What the client gets: a provider's answer, a provider's refusal kept for the end, or our own error.

Every way out adds the request's record to the journal before it finishes the answer; the outbox commits it
before the last byte is handed to the socket: no answer that a client saw finished lacks its record.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from headgate.access.batches import BatchMemory
from headgate.access.meter import Sold
from headgate.access.pages import CORS_FIELDS
from headgate.clock import Clock
from headgate.config.settings import RoutingSettings
from headgate.dialects.anthropic import IGNORED_EVENT, rate_headers, write_error, write_stream_error
from headgate.dialects.meters import StreamMeter
from headgate.errors import (
    Blame,
    ClientLeft,
    HeadgateError,
    MethodNotAllowed,
    RateLimited,
    UpstreamError,
    UpstreamTimedOut,
)
from headgate.record.journal import Journal
from headgate.relay.addresses import FIELD, lead_back
from headgate.relay.attempt import Opened
from headgate.relay.exchange import Exchange
from headgate.relay.patience import timed_out
from headgate.relay.reply import KeepAlive, pump
from headgate.relay.trail import KeptAnswer, Trail
from headgate.upstream.framing import NO_FIELDS
from headgate.wire.headers import HOP_BY_HOP, find, forwardable, write_lines
from headgate.wire.sse import interrupt

_NOT_RETURNED = HOP_BY_HOP | CORS_FIELDS | {b"set-cookie", b"alt-svc"}
"""Cookies belong to the account, and an alternative service to the provider's origin; which pages may read is
the owner's to say."""

_NOT_RETURNED_BY_204 = _NOT_RETURNED | {b"content-length"}
"""It has no body, and must not say how long one is (RFC 9110, section 8.6)."""

WORTH_WAITING_SECONDS = 60.0
"""Official clients sleep out a Retry-After in silence; beyond this we tell them not to."""

_MENDED_BY_NO_RETRY = (Blame.CALLER, Blame.OWNER)
"""A wrong key, no account at all: official clients try for minutes without a word unless told not to."""

_OF_THE_BYTES = frozenset({b"content-length", b"content-encoding", b"content-md5", b"digest", b"etag"})
"""True of the bytes that came, not of others."""

_JSON: Mapping[bytes, bytes] = {b"content-type": b"application/json"}
"""Of an answer in our own words."""

_MOST_NAMES = 64
"""Sets of header names that are remembered: a far side writes a few."""


class Answers:
    """Writes answers and their records. One for the whole gateway."""

    def __init__(
        self, journal: Journal, clock: Clock, routing: RoutingSettings, batches: BatchMemory
    ) -> None:
        self._journal = journal
        self._batches = batches
        self._clock = clock
        # A pydantic model is slow to ask, and each answer asks.
        self._shows_account, self._shows_timing = routing.expose_account, routing.expose_timing
        self._keepalive_seconds = routing.sse_keepalive_seconds
        self._travels: dict[frozenset[bytes], bool] = {}

    def relay_whole(self, exchange: Exchange, trail: Trail, opened: Opened) -> None:
        """Hand on a good answer that is here to its last byte."""
        if exchange.head.endpoint.tells_addresses and (text := lead_back(exchange, opened)) is not None:
            self._relay_led_back(exchange, trail, opened, text)
            return
        self._begin(exchange, trail, opened)
        self._record(trail, opened.answer.status, None, opened.first, opened.answer.fields)
        exchange.finish(opened.first)

    async def relay(self, exchange: Exchange, trail: Trail, opened: Opened) -> None:
        """Hand on a good answer that still comes. Raises UpstreamError when the provider breaks off."""
        answer, meter, keepalive = opened.answer, opened.meter, None
        # No other account will be asked: a stream of hours need not hold its request.
        exchange.settle_in()
        self._begin(exchange, trail, opened)
        answer.forget_head()
        exchange.account = None if trail.serving is None else trail.serving.account.name
        seconds = self._keepalive_seconds
        if seconds and isinstance(meter, StreamMeter) and meter.is_plain and exchange.can_be_ended:
            keepalive = KeepAlive(exchange, meter, seconds=seconds)
        last = await pump(
            exchange,
            answer,
            opened.listener or meter,
            opened.take_first(),
            clock=self._clock.monotonic,
            keepalive=keepalive,
        )
        self._record(trail, answer.status, None, last)
        exchange.finish(last)

    def _begin(self, exchange: Exchange, trail: Trail, opened: Opened) -> None:
        """The provider's head, as it came where every line of it may travel on."""
        answer = opened.answer
        lines, names = answer.lines, answer.names
        if lines is None or names is None or not self._all_travel(names):
            dropped = _NOT_RETURNED if answer.status != 204 else _NOT_RETURNED_BY_204
            lines = write_lines(forwardable(answer.headers, dropped))
        if isinstance(opened.meter, StreamMeter):
            lines += _unbuffered(answer.fields)
        length = None if answer.is_chunked else answer.content_length
        exchange.begin(
            answer.status,
            answer.reason,
            lines + self._own_lines(exchange, trail, answer.fields),
            length,
        )

    def _all_travel(self, names: frozenset[bytes]) -> bool:
        """Whether headers of these names go to the client as they came, all of them."""
        known = self._travels.get(names)
        if known is None:
            if len(self._travels) >= _MOST_NAMES:
                self._travels.clear()
            known = self._travels[names] = _NOT_RETURNED.isdisjoint(names)
        return known

    def _relay_led_back(self, exchange: Exchange, trail: Trail, opened: Opened, text: bytes) -> None:
        """An answer in which an address was changed: its length and coding are ours, and it says so."""
        answer = opened.answer
        lines = write_lines(forwardable(answer.headers, _NOT_RETURNED | _OF_THE_BYTES))
        lines += b"content-length: %d\r\nx-headgate-rewritten: %b\r\n" % (len(text), FIELD.encode())
        lines += self._own_lines(exchange, trail, answer.fields)
        exchange.begin(answer.status, answer.reason, lines, content_length=len(text))
        self._record(trail, answer.status, None, text, _JSON)
        exchange.finish(text)

    def kept(
        self, exchange: Exchange, trail: Trail, kept: KeptAnswer, *, error: HeadgateError | None
    ) -> None:
        """A provider's refusal, verbatim. `error` says that every account was tried."""
        trail.note_provider_id(dict(kept.headers))
        headers = forwardable(kept.headers, _NOT_RETURNED)
        if error is not None:
            headers.append((b"x-headgate-error", error.code.encode()))
            headers.append((b"x-headgate-attempts", b"%d" % len(trail.attempts)))
        if kept.status == 402 and find(headers, b"x-should-retry") is None:
            headers.append((b"x-should-retry", b"false"))
        headers = [header for header in headers if header[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(kept.body)))
        lines = write_lines(headers) + self._own_lines(exchange, trail, (name for name, _ in kept.headers))
        exchange.begin(kept.status, kept.reason, lines, content_length=len(kept.body))
        code = error.code if error is not None else None
        self._record(trail, kept.status, code, kept.body, dict(kept.headers))
        exchange.finish(kept.body)

    def fail(
        self,
        exchange: Exchange,
        trail: Trail,
        error: HeadgateError,
        *,
        retry_after: float | None = None,
        should_retry: bool = True,
    ) -> None:
        """An error of our own; within a running answer as its dialect's error event, then the end."""
        if isinstance(error, UpstreamTimedOut):  # an answer that had begun: the same words as before it
            error = timed_out(error.limit_ms, setting=error.setting)
        if exchange.has_started:
            self._fail_within(exchange, trail, error)
            return
        body = write_error(error, request_id=exchange.id, extra=_attempts_of(trail))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"request-id", exchange.id.encode()),
            (b"x-headgate-error", error.code.encode()),
        ]
        if isinstance(error, RateLimited):
            retry_after = error.wait_seconds
            should_retry = error.wait_seconds <= WORTH_WAITING_SECONDS
            headers += rate_headers(error)
        if isinstance(error, MethodNotAllowed):
            headers.append((b"allow", error.allowed.encode()))
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, round(retry_after + 0.5))))
        if not should_retry or error.blame in _MENDED_BY_NO_RETRY:
            headers.append((b"x-should-retry", b"false"))
        phrase = HTTPStatus(error.status).phrase.encode()
        lines = write_lines(headers) + self._own_lines(exchange, trail)
        exchange.begin(error.status, phrase, lines, content_length=len(body))
        self._record(trail, error.status, error.code, body, _JSON)
        exchange.finish(body)

    def _fail_within(self, exchange: Exchange, trail: Trail, error: HeadgateError) -> None:
        meter = trail.meter
        exchange.keep_alive = False
        if isinstance(meter, StreamMeter) and meter.is_plain and exchange.can_be_ended:
            said = write_stream_error(error, request_id=exchange.id)
            last = interrupt(meter.open_event, said, ignored=IGNORED_EVENT)
            self._record(trail, exchange.status, error.code, last)
            exchange.finish(last)
            return
        # A body of stated length, or a coded one, has no place for words: only the close tells.
        self._record(trail, exchange.status, error.code)
        self._journal.commit()
        exchange.break_off()

    def left(self, exchange: Exchange, trail: Trail) -> None:
        """The client is gone: only the record is written."""
        self._record(trail, ClientLeft.status, ClientLeft.code)
        self._journal.commit()

    def _record(
        self,
        trail: Trail,
        status: int,
        error: str | None,
        last: bytes = b"",
        fields: Mapping[bytes, bytes] = NO_FIELDS,
    ) -> None:
        """Whoever calls it finishes the exchange next, with `last`, or commits. `fields` are the headers
        of an answer that is whole in `last`."""
        if not trail.is_recorded:
            trail.is_recorded = True
            record = trail.to_record(status, error, len(last))
            if trail.reservation is not None:
                usage = record.usage
                if usage is not None and usage.requests is not None:
                    usage = self._batches.news(record.path, usage)
                trail.reservation.settle(Sold(record.model, record.provider, record.account), usage)
            self._journal.add(record)

    def _own_lines(self, exchange: Exchange, trail: Trail, fields: Iterable[bytes] = ()) -> bytes:
        """The gateway's own headers, after the provider's, which are named by `fields`."""
        lines = b"x-headgate-request-id: " + exchange.id.encode() + b"\r\n"
        if self._shows_account and trail.serving is not None:
            lines += b"x-headgate-account: %b\r\n" % trail.serving.account.name.encode()
        if self._shows_timing:
            lines += b"server-timing: headgate;dur=%.3f\r\n" % (trail.own_seconds() * 1000)
        page = exchange.head.client.page
        return lines if page is None else lines + page.lines + page.exposing(fields)


def _unbuffered(fields: Mapping[bytes, bytes]) -> bytes:
    """What tells reverse proxies in front of us to hand events on at once (nginx; RFC 9111, 5.2)."""
    lines = b"" if b"x-accel-buffering" in fields else b"x-accel-buffering: no\r\n"
    return lines if b"cache-control" in fields else lines + b"cache-control: no-cache\r\n"


def _attempts_of(trail: Trail) -> dict[str, Any]:
    if not trail.attempts:
        return {}
    return {"attempts": len(trail.attempts), "lastError": trail.last_reason}


def in_words(error: UpstreamError) -> str:
    """A failed attempt as the log has it: the network's word first and once, a mend last."""
    message = error.message.replace(f" ({error.reason})", "")
    return f"{error.reason}: {message}{'. ' if error.hint else ''}{error.hint}"
