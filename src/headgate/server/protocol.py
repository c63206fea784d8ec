"""One client connection: uvicorn's httptools protocol with a fast lane in front.

A request for a provider route becomes an `Exchange` and is served without ASGI; every other request
goes on to uvicorn's own handling as if this class were not there. `Exchange` objects stand where
uvicorn keeps its request cycle, so that pipelined requests of both kinds answer in order.
"""

import asyncio
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from headgate.access.callers import without_key
from headgate.access.pages import asks_leave
from headgate.admin.doors import LEFT
from headgate.errors import HeadgateError, MalformedRequest
from headgate.relay.body import BodyBuffer
from headgate.relay.endpoints import NOWHERE, PREFLIGHT, Endpoint, find_endpoint
from headgate.relay.exchange import Exchange, RequestHead
from headgate.relay.heads import ClientHead
from headgate.server.lane import FastLane
from headgate.server.repeats import Repeat
from headgate.server.strict import (
    FRAMING_SHIFT,
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    head_too_large,
    objection,
    too_many_lines,
    too_much_framing,
)
from headgate.server.turns import MAX_WAITING, TurnsProtocol

_MOST_WAITING = 256
"""What one read of the socket may bring beyond that: then the connection ends behind their answers."""


_LONGEST_SHOWN_PATH = 2048
"""Characters that a record holds: one that is too long for the journal is lost."""
_LONGEST_KNOWN_TARGET = 8_192
"""Beyond this the whole head is measured again."""


_FIRST_LINE_BYTES = 16_384


class _Enough(Exception):
    """Ends the parser's work on what it was given: it would call on and on."""


class GatewayProtocol(TurnsProtocol):
    """Parser callbacks run inside `data_received`, synchronously, in the order of the bytes."""

    __slots__ = (
        "_content_length",
        "_early",
        "_exchange",
        "_framing_bytes",
        "_head_bytes",
        "_known_head",
        "_reading",
        "_repeat",
        "wire_bytes",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        lane: FastLane,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, lane=lane)
        # Per connection
        self._known_head: ClientHead | None = None
        """What the last request's header lines said: the next one's are most often the same."""
        self._repeat: Repeat | None = None
        self.wire_bytes = 0
        # Per request
        self._head_bytes = 0
        self._framing_bytes = 0
        """Of a body that comes in several reads, what is not the body itself."""
        self._content_length: bytes | None = None
        self._reading = self._early = b""
        """What the parser is reading just now; and the beginning of a head that comes in several reads."""
        self._exchange: Exchange | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._exchange = None

    def settle_in(self) -> None:
        """A long answer has begun. Between two requests the parser holds nothing: who sends gets another."""
        if self.is_between_requests and not self.is_discarding:
            self.parser = None  # type: ignore[assignment]  # as uvicorn does

    def forget_heads(self) -> None:
        """Other callers are let in now than those by whom they were judged."""
        self._known_head = self._repeat = None

    # ---- the bytes -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.is_discarding:
            return
        is_at_start = self.is_between_requests
        if is_at_start and not self.turns and self._repeat is not None:
            body = self._repeat.body_of(data)
            if body is not None:
                self._open_again(self._repeat.head, body)
                return
        heads_before = self.heads_seen
        self._parse(data)
        is_first_head_the_last = self.heads_seen == heads_before + 1
        # Not the very first head: thousands of clients ask once and listen for long.
        if is_at_start and is_first_head_the_last and heads_before and self._exchange is not None:
            self._repeat = Repeat.of(data, self._exchange.head)

    def _parse(self, data: bytes) -> None:
        size = len(data)
        self.wire_bytes += size
        self._head_bytes += size
        is_within_body = self.head_is_complete and not self.is_between_requests
        if is_within_body:
            self._framing_bytes += size
        if self.parser is None:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's is
        self._reading = data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._upgrade(data[stop.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up_parsing(error)
        else:
            if self.is_discarding:
                return
            if not self.head_is_complete and self._head_bytes > MAX_HEAD_BYTES:
                self.give_up_reading(head_too_large())
            elif not self.head_is_complete and not self.is_between_requests:
                self._early = (self._early + data)[:_FIRST_LINE_BYTES]
            elif not is_within_body:
                self._framing_bytes = 0  # what came in one read with the head was bounded by that
            elif self._framing_bytes > MAX_FRAMING_BYTES:
                self.give_up_reading(too_much_framing())
        finally:
            self._reading = b""

    def _give_up_parsing(self, error: httptools.HttpParserError) -> None:
        if self.is_discarding:
            return
        self.give_up_reading(
            MalformedRequest(
                f"What came is not HTTP/1.1: {error}.", hint="Send one request at a time as RFC 9112 has it."
            )
        )

    def _upgrade(self, rest: bytes) -> None:
        """A WebSocket goes to uvicorn's own; what else was offered is refused by now."""
        self.lane.outbox.flush()
        if self.is_discarding:
            return
        if self.turns or rest:  # two protocols would write to one connection
            self.give_up_reading(
                MalformedRequest(
                    "A WebSocket was asked for among other requests.",
                    hint="Give it a connection of its own.",
                )
            )
        else:
            self.handle_websocket_upgrade()

    # ---- the parser's callbacks ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.is_between_requests = False
        self.heads_seen += 1
        self.url = b""
        self.headers = []
        self._content_length = None
        self.head_is_complete = False
        self._framing_bytes = 0
        self._early = b""
        self._exchange = None

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come through here too; they must not join the head.
        if self.head_is_complete:
            return
        line = self.lane.lines.find(name, value)
        if line[0] == b"content-length":
            self._content_length = value
            return
        self.headers.append(line)
        if len(self.headers) > MAX_HEADER_LINES:
            self.give_up_reading(too_many_lines())
            raise _Enough

    def on_headers_complete(self) -> None:
        self.head_is_complete = True
        if len(self.turns) >= _MOST_WAITING:
            self.give_up_reading(
                MalformedRequest("There are too many requests at once.", hint="Wait for the answers to some.")
            )
        if self.is_discarding:
            return
        path, _, query = self.url.partition(b"?")
        parser = self.parser
        endpoint = find_endpoint(parser.get_method(), path)
        if endpoint is not None and parser.get_method() == b"OPTIONS" and self._is_preflight():
            endpoint = PREFLIGHT
        version = parser.get_http_version()
        client, refusal = self._judge_head(endpoint, query, version)
        self._head_bytes = 0
        if refusal is None and (endpoint is None or parser.should_upgrade()):
            self._hand_to_asgi()
            return
        if client is None:
            client = self.lane.refused_head(self.headers, self.client_side.address)
        if endpoint is None:
            endpoint = NOWHERE
        length = self._content_length
        head = RequestHead(
            parser.get_method(),
            path,
            query,
            client,
            endpoint,
            endpoint.target(path, without_key(query)),
            content_length=int(length) if length is not None else None,
            is_http_1_0=version == "1.0",
            keep_alive=parser.should_keep_alive(),
            shown_method=parser.get_method().decode("latin-1"),
            shown_path=path[:_LONGEST_SHOWN_PATH].decode("latin-1"),
        )
        self._open(head, refusal)

    def _judge_head(
        self, endpoint: Endpoint | None, query: bytes, version: str
    ) -> tuple[ClientHead | None, HeadgateError | None]:
        """What the lines say, where that is asked for, and why they are refused, if they are."""
        headers, known = self.headers, self._known_head
        is_upgrade = self.parser.should_upgrade()
        if known is None or known.headers != headers:
            known = self.lane.heads.find(self.client_side.address, headers)
            known = known if known is not None and self._is_http() else None
        if known is not None and endpoint is not None and endpoint is not PREFLIGHT:
            # The same lines were judged before; the target was not.
            is_plain = not is_upgrade and version == "1.1" and b"key=" not in query
            if is_plain and len(self.url) <= _LONGEST_KNOWN_TARGET:
                self._known_head, self.headers = known, known.headers
                return known, None
        self._known_head = None
        wants_other = is_upgrade and not self._asks_for_websocket()
        wrong = objection(
            headers, self.url, version, wants_other_protocol=wants_other, is_http=self._is_http()
        )
        if wrong is not None or endpoint is None or is_upgrade:
            return None, wrong
        try:
            if endpoint is PREFLIGHT:
                return self.lane.read_preflight(headers, self.client_side.address), None
            client = self.lane.read_head(headers, query, self.client_side.address)
        except HeadgateError as error:
            return None, error
        # A key in the query is not in the lines: what it opened is not known by them.
        if b"key=" not in query and version == "1.1":
            self._known_head = client
            self.lane.heads.learn(self.client_side.address, client)
        return client, None

    def _is_preflight(self) -> bool:
        return self._content_length in (None, b"0") and asks_leave(self.headers)

    def _is_http(self) -> bool:
        """The parser takes RTSP for HTTP, and does not say so."""
        begin = self._early + self._reading if self._early else self._reading
        # With nothing unanswered this head is the first thing in it.
        end = MAX_HEAD_BYTES if self.turns else begin.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        return begin.find(b"%b RTSP/" % self.url, 0, end) < 0

    def _asks_for_websocket(self) -> bool:
        """By exactly one line that says nothing else."""
        offered = [value.lower() for name, value in self.headers if name == b"upgrade"]
        return offered == [b"websocket"] and self._content_length is None and self._should_upgrade()

    def on_body(self, body: bytes) -> None:
        if self.is_discarding:
            return
        size = len(body)
        self._framing_bytes -= size + (size >> FRAMING_SHIFT)
        if self._exchange is None:
            super().on_body(body)
            return
        try:
            self._exchange.body.feed(body)
        except HeadgateError as error:
            exchange, self._exchange = self._exchange, None
            self.refuse(exchange, error)

    def on_message_complete(self) -> None:
        self.is_between_requests = True
        self._head_bytes = 0
        if self.is_discarding:
            return
        if self._exchange is None:
            super().on_message_complete()
            return
        self._exchange.body.end()
        self.start_if_ready(self._exchange)

    # ---- into a lane ---------------------------------------------------------------------------

    def _open(self, head: RequestHead, refusal: HeadgateError | None) -> None:
        """Take the request into the queue of this connection, or refuse it before its body comes."""
        exchange = self.lane.open(head, self.client_side)
        self.cycle = exchange  # type: ignore[assignment]
        self.turns.append(exchange)
        try:
            if refusal is not None:
                raise refusal
            self.lane.admit(exchange)
            if head.client.forwarded is not None:
                self.lane.count(exchange)
        except HeadgateError as error:
            self.refuse(exchange, error)
            return
        self._exchange = exchange
        if head.client.expects_continue:
            self.go_ahead(exchange)
        if len(self.turns) > MAX_WAITING:
            self.flow.pause_reading()
        self.start_if_ready(exchange)

    def _open_again(self, head: RequestHead, content: bytes) -> None:
        """A whole request with a known head, and nothing before it. The parser, which stands between two,
        never sees it; what was judged by the head need not be judged again."""
        exchange = self.lane.open(head, self.client_side)
        self.cycle = exchange  # type: ignore[assignment]
        self.turns.append(exchange)
        try:
            if head.client.forwarded is not None:
                self.lane.count(exchange)
            body = exchange.body
            assert isinstance(body, BodyBuffer)  # others' heads are not known: `Repeat.of`
            body.take_whole(content)
        except HeadgateError as error:
            self.refuse(exchange, error)
            return
        if not self.flow.write_paused:
            self.lane.start(exchange, exchange.began)

    def _hand_to_asgi(self) -> None:
        """Go on as uvicorn would have from the first byte."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        if self._content_length is not None:
            super().on_header(b"content-length", self._content_length)
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.keep_alive = self.cycle.keep_alive and not self.parser.should_upgrade()
            self.turns.append(self.cycle)
            scope = cast(dict[str, Any], self.cycle.scope)
            forwarded = self.lane.forwarded(headers, self.client_side.address)
            if forwarded is not None and forwarded.is_by_proxy:
                scope["client"] = (forwarded.address, 0)
                scope["scheme"] = forwarded.scheme or scope["scheme"]
            if self.cycle.waiting_for_100_continue:
                scope[LEFT] = asyncio.Event()
        if len(self.turns) <= MAX_WAITING:
            self.flow.resume_reading()  # uvicorn pauses behind any request that is not answered yet
