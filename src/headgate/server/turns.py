"""The order of answers on one connection, and its end.

What was asked stands in one queue, requests of the fast lane and of the ASGI app alike: the first is being
answered, the others wait, as a client that sends several at once expects it (RFC 9112, section 9.3.2).
"""

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headgate.admin.doors import LEFT
from headgate.config.settings import ServerSettings
from headgate.errors import HeadgateError
from headgate.relay.body import BodyStream
from headgate.relay.exchange import ClientSide, Exchange
from headgate.server.flow import Flow, Pipeline
from headgate.server.lane import FastLane
from headgate.server.watch import Watch

MAX_WAITING = 16
"""Pipelined requests of one client after which its socket is left unread. Not sooner: only who reads
learns that the client has gone. Their bodies count in the budget of all buffers."""

_LINGER_SECONDS = 2.0
"""How long a refused upload may go on before the connection is cut: time to read the answer. So long we wait
for the rest of what the ASGI app has answered, too: then another request may follow it."""


_TLS_BUFFER_BYTES = 65_536
"""What waits for a slow client, as without TLS; by itself it would be half a megabyte."""


_log = logging.getLogger("headgate.server")


class TurnsProtocol(HttpToolsProtocol):
    """A connection without the reading of requests, which `protocol.py` adds.

    There may be ten thousand: attributes of ours have slots, so that uvicorn's stay few enough (30) to share
    their names between instances, and nothing is made that most connections never need.
    """

    __slots__ = (
        "_address",
        "_is_turned_away",
        "_watch",
        "answered_at",
        "client_side",
        "head_is_complete",
        "heads_seen",
        "is_between_requests",
        "is_discarding",
        "is_ending",
        "lane",
        "resumes",
        "turns",
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
        super().__init__(config, server_state, app_state, _loop)
        self.pipeline: Pipeline = Pipeline()  # type: ignore[assignment]
        self.lane = lane
        self.turns: list[Exchange | RequestResponseCycle] = []
        """What was asked and is not answered yet, in order; the first one is being answered."""
        self.client_side: ClientSide
        self.is_discarding = False
        """What still comes is thrown away."""
        self.is_ending = False
        """The answer of the ASGI app that goes out is the last one, and its request has not come whole."""
        self.head_is_complete = False
        self.is_between_requests = True
        self.heads_seen = 0
        self.answered_at = 0.0
        self.resumes = 0
        self._address: str | None = None
        """Counted in the crowd; None for the owner's socket, and for who was turned away."""
        self._is_turned_away = False
        self._watch: Watch | None = None

    # ---- the connection ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        try:
            self._begin(transport)
        except Exception:
            # The event loop would log it and leave the client waiting for ever.
            _log.exception("A connection could not be taken")
            transport.abort()

    def _begin(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if self.scheme == "https":
            transport.set_write_buffer_limits(_TLS_BUFFER_BYTES)
        self.flow = Flow(transport)
        self.server = self.lane.own_address(self.server)
        address = self.client[0] if self.client else "local"
        lane, now = self.lane, self.loop.time()
        self.client_side = lane.client_side(address, transport, self.flow, self)  # type: ignore[arg-type]
        self.answered_at = now
        self._watch = Watch(self.loop, lane.timetable, self)  # type: ignore[arg-type]  # the whole protocol is
        if self.client:
            if (refusal := lane.crowd.enter(address, now)) is not None:
                self._turn_away(refusal)
                return
            self._address = address

    def _forget_client(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._address is not None:
            self.lane.crowd.leave(self._address)
        if self._is_turned_away:
            self.lane.crowd.explained -= 1

    def _turn_away(self, refusal: HeadgateError) -> None:
        self._is_turned_away = self.lane.crowd.may_explain()
        if self._is_turned_away:
            self.answer_rawly(refusal)
        else:
            self.is_discarding = True
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_client()
        for turn in list(self.turns):
            if isinstance(turn, Exchange):
                self.lane.client_left(turn)
            else:
                turn.disconnected = True
                turn.message_event.set()
                if isinstance(left := turn.scope.get(LEFT), asyncio.Event):
                    left.set()
        self.turns.clear()
        self.cycle = None  # type: ignore[assignment]
        super().connection_lost(exc)
        if hasattr(self, "client_side"):
            del self.client_side  # it leads back here: without it the memory is free at once

    def eof_received(self) -> None:
        """The client says no more, and the transport closes behind this: what is finished goes out."""
        self.lane.outbox.flush()

    def shutdown(self) -> None:
        """Drain: close when idle, else after the answers that are under way."""
        self.lane.outbox.flush()
        if not self.turns:
            super().shutdown()
            return
        for turn in self.turns:
            turn.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        """Another protocol object takes the transport over, and this one hears no more of it."""
        self._forget_client()
        super().handle_websocket_upgrade()

    @property
    def limits(self) -> ServerSettings:
        return self.lane.limits

    @property
    def is_answering(self) -> bool:
        return bool(self.turns)

    # ---- whose turn it is ----------------------------------------------------------------------

    def start_if_ready(self, exchange: Exchange) -> None:
        """Start the relay when it is this exchange's turn, its body is here, or is streamed, and the client
        takes what was answered before."""
        is_ready = exchange.task is None and exchange.body.is_ready
        if is_ready and self.turns[0] is exchange and not self.flow.write_paused:
            self.lane.start(exchange, self.lane.monotonic())

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resumes += 1
        if self.turns and isinstance(turn := self.turns[0], Exchange) and turn.refusal is None:
            self.start_if_ready(turn)

    def refuse(self, exchange: Exchange, error: HeadgateError) -> None:
        """Answer when it is this exchange's turn, without waiting for the rest of its body.

        What still comes is thrown away, so that the client sees why.
        """
        exchange.keep_alive = False
        exchange.refusal = error
        self.is_discarding = True
        if self.turns[0] is exchange:
            self.lane.refuse(exchange, error)

    def exchange_complete(self, exchange: Exchange) -> None:
        """An answer of the fast lane is out."""
        del self.turns[0]
        self.lane.release(exchange)
        self.server_state.total_requests += 1
        if not exchange.keep_alive:
            self.is_discarding = self.is_discarding or not exchange.body.is_complete
            self.close_gently()
        else:
            self._next_turn()

    def on_response_complete(self) -> None:
        """An answer of the ASGI app is out. Uvicorn's own would start the next ASGI request at once."""
        turn = self.turns.pop(0)
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.is_ending:
            self.is_discarding = True
            self.flow.resume_reading()
            self.close_gently()
            return
        if isinstance(turn, RequestResponseCycle) and turn.more_body:
            self.loop.call_later(_LINGER_SECONDS, self._end_without_body, self.heads_seen)
        self._next_turn()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Uvicorn would close behind the last answer at once: who still sends would lose it."""

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            async def watched_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    # A body that was not asked for may never come: what comes is one, or another request.
                    cycle.keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
                elif cycle.more_body and not cycle.keep_alive and not message.get("more_body"):
                    cycle.keep_alive = self.is_ending = True
                await send(message)

            await app(scope, receive, watched_send)

        asgi_app: ASGIApp = answered
        super()._start_asgi_task(cycle, asgi_app)  # type: ignore[arg-type]  # the same, in other words

    def _end_without_body(self, heads_seen: int) -> None:
        """Who was answered long ago still owes a body."""
        if heads_seen == self.heads_seen and not self.is_between_requests:
            self.is_discarding = True
            self.transport.close()

    def _next_turn(self) -> None:
        self.answered_at = self.loop.time()
        if self.flow.read_paused and len(self.turns) <= MAX_WAITING:
            self.flow.resume_reading()
        if not self.turns:
            return
        turn = self.turns[0]
        if not isinstance(turn, Exchange):
            self._start_asgi_task(*self.pipeline.pop())
        elif turn.refusal is not None:
            self.lane.refuse(turn, turn.refusal)
        else:
            self.go_ahead(turn)
            self.start_if_ready(turn)

    def go_ahead(self, exchange: Exchange) -> None:
        """Ask for the body of who waits to be asked (RFC 9110, section 10.1.1)."""
        head = exchange.head
        is_wanted = head.client.expects_continue and not head.is_http_1_0 and not exchange.body.received
        if is_wanted and not exchange.body.is_complete and self.turns[0] is exchange:
            self.lane.outbox.flush()
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # ---- the end -------------------------------------------------------------------------------

    def give_up_reading(self, error: HeadgateError) -> None:
        """What comes is no request, or too slow. Those before it are answered; behind them is the end."""
        self.is_discarding = True
        self.lane.outbox.flush()
        last = self.turns[-1] if self.turns else None
        if last is None and self._was_answered:
            self.close_gently()
        elif last is None:
            self.answer_rawly(error)
        elif not isinstance(last, Exchange):
            last.keep_alive = False
            if last.more_body:
                self._drop_for_ever_waiting()
        elif last.body.is_complete:
            last.keep_alive = False
        elif last.task is None:
            self.refuse(last, error)
        elif last.has_started:
            self.transport.close()
        elif isinstance(last.body, BodyStream):
            last.body.fail(error)  # the relay answers

    @property
    def _was_answered(self) -> bool:
        """The request that is being read: a second answer to it would be taken for another's."""
        is_within_body = self.head_is_complete and not self.is_between_requests
        return (
            is_within_body and isinstance(self.cycle, RequestResponseCycle) and self.cycle.response_complete
        )

    def answer_rawly(self, error: HeadgateError) -> None:
        """Answer what never became a request, and end."""
        self.is_discarding = True
        self.transport.write(self.lane.raw_answer(error))
        self.close_gently()

    def _drop_for_ever_waiting(self) -> None:
        """The last turn, one of the app's, waits for a body that never comes; those before it do not."""
        if len(self.turns) == 1:
            self.transport.close()
            return
        self.turns.pop()
        self.pipeline.popleft()
        self.turns[-1].keep_alive = False

    def close_gently(self) -> None:
        """Closing while the client still sends would reset the connection and lose the answer."""
        self.lane.outbox.flush()
        if not self.is_discarding:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
