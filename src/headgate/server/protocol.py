"""One client connection: uvicorn's httptools protocol with a fast lane in front.

A request for a provider route becomes an `Exchange` and is served without ASGI; every other request
goes on to uvicorn's own handling as if this class were not there. `Exchange` objects stand where
uvicorn keeps its request cycle, so that pipelined requests of both kinds answer in order.
"""

import asyncio
from collections import deque
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headgate.access.callers import ANONYMOUS, without_key
from headgate.errors import HeadgateError, InvalidRequest
from headgate.relay.endpoints import find_endpoint
from headgate.relay.exchange import ClientSide, Exchange, RequestHead
from headgate.relay.heads import ClientHead
from headgate.server.idleness import Idleness
from headgate.server.lane import FastLane
from headgate.server.offers import without_offer
from headgate.server.repeats import Repeat

_LINGER_SECONDS = 2.0
"""How long a refused upload may go on before the connection is cut: time to read the answer."""
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"connection: close\r\ncontent-length: "
)

_MAX_HEAD_BYTES = 131_072
"""Of a head that is not whole yet: anybody may send one, and all of it is held. Clients send some KiB."""

_MOST_WAITING = 256
"""What one read of the socket may bring beyond that: then the connection ends behind their answers."""

_MAX_WAITING = 16
"""Pipelined requests of one client after which its socket is left unread. Not sooner: only who reads
learns that the client has gone. Their bodies count in the budget of all buffers."""


class GatewayProtocol(HttpToolsProtocol):
    """Parser callbacks run inside `data_received`, synchronously, in the order of the bytes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        lane: FastLane,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lane = lane
        # Per connection
        self._turns: deque[Exchange | RequestResponseCycle] = deque()
        """What was asked and is not answered yet, in order; the first one is being answered."""
        self._client_side: ClientSide
        self._is_discarding = False
        self._idleness: Idleness
        self._known_head: ClientHead | None = None
        """What the last request's header lines said: the next one's are most often the same."""
        self._repeat: Repeat | None = None
        self._is_between_requests = True
        self._heads_seen = 0
        # Per request
        self._head_is_complete = False
        self._head_bytes = 0
        self._is_offer = False
        """Another protocol is offered that is no WebSocket."""
        self._content_length: bytes | None = None
        self._exchange: Exchange | None = None

    # ---- the connection ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else "local"
        self._client_side = self._lane.client_side(address, transport, self.flow, self._exchange_complete)
        self._idleness = Idleness(self.loop, self.timeout_keep_alive, self._turns, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._idleness.stop()
        for turn in list(self._turns):
            if isinstance(turn, Exchange):
                self._lane.client_left(turn)
            else:
                turn.disconnected = True
                turn.message_event.set()
        self._turns.clear()
        self.cycle = None  # type: ignore[assignment]
        super().connection_lost(exc)
        self._exchange = None
        del self._client_side  # it leads back here: without it the memory is free at once

    def eof_received(self) -> None:
        """The client says no more, and the transport closes behind this: what is finished goes out."""
        self._lane.outbox.flush()

    def data_received(self, data: bytes) -> None:
        if self._is_discarding:
            return
        is_at_start = self._is_between_requests
        if is_at_start and not self._turns and self._repeat is not None:
            body = self._repeat.body_of(data)
            if body is not None:
                self._open_again(self._repeat.head, body)
                return
        heads_before = self._heads_seen
        self._parse(data)
        is_first_head_the_last = self._heads_seen == heads_before + 1
        if is_at_start and is_first_head_the_last and self._exchange is not None:
            self._repeat = Repeat.of(data, self._exchange.head)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._upgrade(data[stop.args[0] :])
        except httptools.HttpParserError:
            self._give_up_reading("Invalid HTTP request received.")
        else:
            if self._is_between_requests or self._head_is_complete:
                return
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._give_up_reading("The head of the request is too large.")

    def _give_up_reading(self, why: str) -> None:
        """What comes is no request. Those before it keep their answers; the connection ends behind them."""
        self._is_discarding = True
        self._lane.outbox.flush()
        last = self._turns[-1] if self._turns else None
        if last is None:
            self.transport.write(b"%b%d\r\n\r\n%b" % (_BAD_REQUEST, len(why), why.encode()))
            self._close_gently()
        elif not isinstance(last, Exchange):
            last.keep_alive = False
            if last.more_body:
                self._drop_for_ever_waiting()
        elif last.body.is_complete:
            last.keep_alive = False
        elif last.task is None:
            self._refuse(last, InvalidRequest(why))
        elif last.has_started:
            self.transport.close()
        else:
            self.send_400_response(why)

    def _drop_for_ever_waiting(self) -> None:
        """The last turn, one of the app's, waits for a body that never comes; those before it do not."""
        if len(self._turns) == 1:
            self.transport.close()
            return
        self._turns.pop()
        self.pipeline.popleft()
        self._turns[-1].keep_alive = False

    def _upgrade(self, rest: bytes) -> None:
        """A WebSocket goes to uvicorn's own; what else is offered is answered as if it were not.

        The parser has stopped behind the head and taken the body for another protocol's bytes: a new one
        reads the head again, without the offer, and then the body (RFC 9110, section 7.8: may be ignored).
        """
        self._lane.outbox.flush()
        if self._should_upgrade():
            if self._turns:  # two protocols would write to one connection
                self._give_up_reading("A WebSocket was asked for behind another request.")
            else:
                self.handle_websocket_upgrade()
        elif self._is_offer:
            parser = self.parser
            head = without_offer(
                parser.get_method(), self.url, parser.get_http_version(), self.headers, self._content_length
            )
            self.parser = httptools.HttpRequestParser(self)
            self._parse(head + rest)
        else:
            self._is_discarding = True  # CONNECT: the connection ends with the refusal

    def shutdown(self) -> None:
        """Drain: close when idle, else after the answers that are under way."""
        self._lane.outbox.flush()
        if not self._turns:
            super().shutdown()
            return
        for turn in self._turns:
            turn.keep_alive = False

    def forget_heads(self) -> None:
        self._known_head = self._repeat = None

    def handle_websocket_upgrade(self) -> None:
        self._idleness.stop()
        super().handle_websocket_upgrade()

    # ---- the parser's callbacks ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_between_requests = False
        self._heads_seen += 1
        self.url = b""
        self.headers = []
        self._content_length = None
        self._head_is_complete = False
        self._head_bytes = 0
        self._is_offer = False
        self._exchange = None

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come through here too; they must not join the head.
        if self._head_is_complete:
            return
        name = name.lower()
        if name == b"content-length":
            self._content_length = value
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_is_complete = True
        if len(self._turns) >= _MOST_WAITING:
            self._give_up_reading("There are too many requests at once.")
        if self._is_discarding:
            return
        path, _, query = self.url.partition(b"?")
        parser = self.parser
        method = parser.get_method()
        endpoint = find_endpoint(method, path)
        if parser.should_upgrade() and not self._should_upgrade() and self._get_upgrade() is not None:
            self._is_offer = True
            return
        if endpoint is None or parser.should_upgrade():
            self._hand_to_asgi()
            return
        refusal = None
        try:
            client = self._lane.read_head(self.headers, query, self._known_head)
            # A key in the query is not in the lines: what it opened is not known by them.
            self._known_head = client if b"key=" not in query else None
        except HeadgateError as error:
            client, refusal = ClientHead(self.headers, ANONYMOUS), error
        length = self._content_length
        head = RequestHead(
            method,
            path,
            query,
            client,
            endpoint,
            endpoint.target(path, without_key(query)),
            content_length=int(length) if length is not None else None,
            is_http_1_0=parser.get_http_version() == "1.0",
            keep_alive=parser.should_keep_alive(),
        )
        self._open(head, refusal)

    def on_body(self, body: bytes) -> None:
        if self._is_discarding:
            return
        if self._exchange is None:
            super().on_body(body)
            return
        try:
            self._exchange.body.feed(body)
        except HeadgateError as error:
            self._refuse(self._exchange, error)

    def on_message_complete(self) -> None:
        self._is_between_requests = True
        if self._is_discarding or self._is_offer:
            return
        if self._exchange is None:
            super().on_message_complete()
            return
        self._exchange.body.end()
        self._start_if_ready(self._exchange)

    # ---- the fast lane -------------------------------------------------------------------------

    def _open(self, head: RequestHead, refusal: HeadgateError | None) -> None:
        """Take the request into the queue of this connection, or refuse it before its body comes."""
        exchange = self._lane.open(head, self._client_side)
        self._exchange = exchange
        self.cycle = exchange  # type: ignore[assignment]
        self._turns.append(exchange)
        try:
            if refusal is not None:
                raise refusal
            self._lane.admit(exchange)
        except HeadgateError as error:
            self._refuse(exchange, error)
            return
        if head.client.expects_continue and not head.is_http_1_0 and self._turns[0] is exchange:
            self._lane.outbox.flush()
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._turns) > _MAX_WAITING:
            self.flow.pause_reading()
        self._start_if_ready(exchange)

    def _open_again(self, head: RequestHead, content: bytes) -> None:
        """A whole request with a known head, and nothing before it. The parser, which stands between two,
        never sees it; what was judged by the head need not be judged again."""
        exchange = self._lane.open(head, self._client_side)
        self.cycle = exchange  # type: ignore[assignment]
        self._turns.append(exchange)
        try:
            exchange.body.feed(content)
        except HeadgateError as error:
            self._refuse(exchange, error)
            return
        exchange.body.end()
        self._start_if_ready(exchange)

    def _start_if_ready(self, exchange: Exchange) -> None:
        """Start the relay when its turn has come, its body is ready, and the client takes what was before."""
        is_ready = exchange.task is None and exchange.body.is_ready
        if is_ready and self._turns[0] is exchange and not self.flow.write_paused:
            self._lane.start(exchange)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._turns and isinstance(turn := self._turns[0], Exchange) and turn.refusal is None:
            self._start_if_ready(turn)

    def _refuse(self, exchange: Exchange, error: HeadgateError) -> None:
        """Answer when it is this exchange's turn, without waiting for the rest of its body.

        What still comes is thrown away, so that the client sees why.
        """
        exchange.keep_alive = False
        exchange.refusal = error
        self._is_discarding = True
        self._exchange = None
        if self._turns[0] is exchange:
            self._lane.refuse(exchange, error)

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
            self._turns.append(self.cycle)
        if len(self._turns) <= _MAX_WAITING:
            self.flow.resume_reading()  # uvicorn pauses behind any request that is not answered yet

    def _exchange_complete(self, exchange: Exchange) -> None:
        """An answer of the fast lane is out."""
        self._turns.popleft()
        self._lane.release(exchange)
        self.server_state.total_requests += 1
        if not exchange.keep_alive:
            self._is_discarding = self._is_discarding or not exchange.body.is_complete
            self._close_gently()
        else:
            self._next_turn()

    def on_response_complete(self) -> None:
        """An answer of the ASGI app is out. Uvicorn's own would start the next ASGI request at once."""
        self._turns.popleft()
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._next_turn()

    def _next_turn(self) -> None:
        self._idleness.since = self.loop.time()
        if self.flow.read_paused and len(self._turns) <= _MAX_WAITING:
            self.flow.resume_reading()
        if not self._turns:
            return
        turn = self._turns[0]
        if not isinstance(turn, Exchange):
            self._start_asgi_task(*self.pipeline.pop())
        elif turn.refusal is not None:
            self._lane.refuse(turn, turn.refusal)
        else:
            self._start_if_ready(turn)

    def _close_gently(self) -> None:
        """Closing while the client still sends would reset the connection and lose the answer."""
        self._lane.outbox.flush()
        if not self._is_discarding:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
