"""The fast lane: from the end of a request's head to the start of its relay, without ASGI.

Everything here is synchronous and runs inside the parser's callbacks. A refusal is raised as a
`HeadgateError`; the protocol answers it.
"""

import asyncio
import inspect
import itertools
import logging
import os
from http import HTTPStatus

from uvicorn.protocols.http.flow_control import FlowControl

from headgate.access.allowance import Allowance
from headgate.access.callers import ANONYMOUS, Callers
from headgate.access.forwarding import Forwarded, TrustedProxies
from headgate.access.origins import refuse_foreign_pages
from headgate.access.pages import PageRules
from headgate.clock import Clock
from headgate.config.settings import ServerSettings
from headgate.dialects.anthropic import write_error
from headgate.errors import ForbiddenOrigin, HeadgateError, InvalidRequest
from headgate.outbox import Outbox
from headgate.relay.attempts import Relay, shutting_down
from headgate.relay.body import BodyBuffer, BodyStream, BufferBudget, too_large
from headgate.relay.endpoints import PREFLIGHT
from headgate.relay.exchange import Answering, ClientSide, Exchange, RequestHead
from headgate.relay.heads import ClientHead
from headgate.server.crowd import Crowd
from headgate.server.repeats import KnownHeads, KnownLines
from headgate.timetable import Timetable
from headgate.vitals import open_file_limit
from headgate.wire.headers import Headers

_log = logging.getLogger("headgate.server")

_BUFFERED_UPLOAD = 1_048_576
"""A body that routing need not read is kept whole up to this size, so that another account can be tried."""


class FastLane:
    """One for the whole server; holds what every exchange needs."""

    def __init__(
        self,
        relay: Relay,
        callers: Callers,
        *,
        outbox: Outbox,
        clock: Clock,
        limits: ServerSettings,
        passes_traces: bool = True,
    ) -> None:
        """`passes_traces`: see `telemetry.pass_traces`."""
        self.outbox = outbox
        self._clock = clock
        self.monotonic = clock.monotonic
        self._loop = asyncio.get_running_loop()
        self._budget = BufferBudget(limits.max_buffered_bytes)
        self.crowd = Crowd(limits, descriptors=open_file_limit())
        self.replace(relay, callers, limits, passes_traces=passes_traces)
        self._ids = map(f"hgr_{os.urandom(5).hex()}%08x".__mod__, itertools.count())
        self.open_exchanges: set[Exchange] = set()
        self.lines = KnownLines()
        self.heads = KnownHeads()
        self.timetable = Timetable()
        self._own_address: tuple[str, int | None] | None = None
        self._strangers = Allowance()

    def replace(
        self, relay: Relay, callers: Callers, limits: ServerSettings, *, passes_traces: bool = True
    ) -> None:
        """Serve by these from the next request on; what is under way keeps the old ones.

        Connections still know heads that the old callers let in: see `Listener.forget_heads`.
        """
        self._relay = relay
        self._callers = callers
        self._pages = PageRules(limits.cors_origins)
        self._proxies = self.crowd.proxies = TrustedProxies(limits.trusted_proxies)
        self._passes_traces = passes_traces
        self.limits = limits
        self.crowd.limits = limits
        self._max_body_bytes = limits.max_body_bytes
        self._budget.limit = limits.max_buffered_bytes

    def read_head(self, headers: Headers, query: bytes, peer: str) -> ClientHead:
        """What the lines say, and who says it. Raises InvalidClientKey and ForbiddenOrigin."""
        caller = self._callers.identify(headers, query)
        page = self._pages.page_of(headers)
        if not caller.has_key:
            is_listed = page is not None and page.is_listed
            refuse_foreign_pages(headers, is_listed=is_listed, door=self._callers.door_of(headers))
        return ClientHead(
            headers,
            caller,
            page=page,
            forwarded=self._proxies.read(peer, headers),
            passes_traces=self._passes_traces,
        )

    def read_preflight(self, headers: Headers, peer: str) -> ClientHead:
        """The same of a browser that asks what a page may send. It shows no key, and the page none by it."""
        if self._pages.leave(headers) is None:
            raise ForbiddenOrigin(
                "Pages of this origin may not call.",
                hint="The owner lists the origin under `server.cors_origins`.",
            )
        return self.refused_head(headers, peer)

    def refused_head(self, headers: Headers, peer: str) -> ClientHead:
        """Of nobody that is known: for the answer and the record alone."""
        page, forwarded = self._pages.page_of(headers), self._proxies.read(peer, headers)
        return ClientHead(headers, ANONYMOUS, page=page, forwarded=forwarded)

    def forwarded(self, headers: Headers, peer: str) -> Forwarded | None:
        """Where a request comes from that is none for a provider; None: from the connection's address."""
        return self._proxies.read(peer, headers)

    def raw_answer(self, error: HeadgateError) -> bytes:
        """The bytes of an answer to what never became a request; only the log knows of it."""
        request_id = next(self._ids)
        _log.debug("Refused before it was a request: %s", error.message, extra={"request_id": request_id})
        body = write_error(error, request_id=request_id)
        lines = f"""\
HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}
content-type: application/json
content-length: {len(body)}
connection: close
x-headgate-error: {error.code}
x-headgate-request-id: {request_id}

"""
        return lines.replace("\n", "\r\n").encode() + body

    def own_address(self, address: tuple[str, int | None] | None) -> tuple[str, int | None] | None:
        """The same one for all connections that came in where the last one did."""
        if self._own_address != address:
            self._own_address = address
        return self._own_address

    def client_side(
        self,
        address: str,
        transport: asyncio.Transport,
        flow: FlowControl,
        connection: Answering,
    ) -> ClientSide:
        """A connection that exchanges will answer on."""
        return ClientSide(address, transport, flow, self.outbox, connection, self.open_exchanges)

    def open(self, head: RequestHead, client: ClientSide) -> Exchange:
        """A new exchange; its body is kept or streamed as its endpoint and its size want."""
        clock = self._clock
        body = (
            BodyBuffer(self._budget, self._max_body_bytes)
            if head.endpoint.reads_body
            else self._unread_body(head, client.flow)
        )
        exchange = Exchange(
            next(self._ids),
            head,
            body,
            clock.monotonic(),
            clock.now(),
            client,
            head.keep_alive,
        )
        self.open_exchanges.add(exchange)
        return exchange

    def _unread_body(self, head: RequestHead, flow: FlowControl) -> BodyBuffer | BodyStream:
        is_chunked = head.client.is_chunked
        if is_chunked or (head.content_length or 0) > _BUFFERED_UPLOAD:
            return BodyStream(flow, self._budget, limit=self.limits.max_upload_bytes, is_chunked=is_chunked)
        return BodyBuffer(self._budget, _BUFFERED_UPLOAD)

    def admit(self, exchange: Exchange) -> None:
        """Is what the caller announces small enough, and can it be read? Before a byte of the body is.

        Raises MethodNotAllowed as well: the provider is not asked what we know."""
        head = exchange.head
        head.endpoint.refuse_other_methods(head.method, head.path)
        is_read = head.endpoint.reads_body
        limit = self._max_body_bytes if is_read else self.limits.max_upload_bytes
        if (head.content_length or 0) > limit:
            raise too_large(limit)
        if is_read and head.client.is_content_coded:
            raise InvalidRequest(
                "The request body is content-coded; this gateway has to read it.",
                hint="Send the body without Content-Encoding.",
            )

    def count(self, exchange: Exchange) -> None:
        """Among the open connections of who calls through a trusted proxy. Raises TooManyConnections."""
        forwarded = exchange.head.client.forwarded
        if forwarded is None or not forwarded.is_by_proxy:
            return
        if (refusal := self.crowd.enter_by_proxy(forwarded.address)) is not None:
            raise refusal
        exchange.counted_as = forwarded.address

    def start(self, exchange: Exchange, now: float) -> None:
        """Start the relay: the exchange's turn has come and its body is ready. `now`: monotonic.

        The exchange holds the task, and `open_exchanges` the exchange, until the answer is out.
        """
        exchange.ready_at = now
        if exchange.head.endpoint is PREFLIGHT:
            self._give_leave(exchange)
            return
        # As the loop's own `create_task` would, which writes another name first.
        exchange.task = asyncio.Task(self._relay.serve(exchange), loop=self._loop, name=exchange.id)

    def _give_leave(self, exchange: Exchange) -> None:
        """Nothing is spent, so nothing is recorded."""
        lines = b"x-headgate-request-id: %b\r\n" % exchange.id.encode()
        lines += self._pages.leave(exchange.head.client.headers) or b""
        exchange.begin(204, b"No Content", lines, content_length=None)
        exchange.finish()

    def refuse(self, exchange: Exchange, error: HeadgateError) -> None:
        """Answer a refusal; the relay never sees the exchange."""
        now = exchange.ready_at = self._clock.monotonic()
        is_recorded = exchange.head.client.caller.has_key or self._strangers.take(now)
        self._relay.refuse(exchange, error, is_recorded=is_recorded)

    def client_left(self, exchange: Exchange) -> None:
        """The connection is gone: stop the relay, which cancels the provider's request, and record it."""
        exchange.client_left = True
        is_served = self._cancel(exchange)
        if not is_served and not exchange.is_complete:
            exchange.ready_at = exchange.ready_at or self._clock.monotonic()
            self._relay.abandon(exchange)
        self.release(exchange)

    def cut(self) -> None:
        """The time to end is over: what runs ends with an error, what was just about to is refused."""
        for exchange in list(self.open_exchanges):
            if exchange.task is not None and not self._cancel(exchange):
                self._relay.refuse(exchange, shutting_down())

    def _cancel(self, exchange: Exchange) -> bool:
        """Whether the relay will know: a task that is cancelled before its first step runs no line."""
        task = exchange.task
        if task is None:
            return False
        task.cancel()
        return inspect.getcoroutinestate(task.get_coro()) != inspect.CORO_CREATED  # type: ignore[arg-type]

    def release(self, exchange: Exchange) -> None:
        """The exchange is over. Safe to call twice."""
        exchange.body.release()
        if exchange.counted_as is not None:
            self.crowd.leave_by_proxy(exchange.counted_as)
            exchange.counted_as = None
        self.open_exchanges.discard(exchange)
