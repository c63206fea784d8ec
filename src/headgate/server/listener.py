"""The listening server: sockets, uvicorn's state, and the drain.

Uvicorn's own `Server` owns signals and exit codes and looks ten times a second whether it should stop;
here the assembly owns them, and the drain waits for what it drains.
"""

import asyncio
import socket
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from headgate.admin.doors import as_local_owner
from headgate.clock import Clock
from headgate.errors import MalformedRequest
from headgate.server.certificate import Certificate
from headgate.server.crowd import MOST_EXPLAINED
from headgate.server.lane import FastLane
from headgate.server.ports import BACKLOG
from headgate.server.protocol import GatewayProtocol

_DRAIN_STEP_SECONDS = 0.05

_LONGEST_HANDSHAKE_SECONDS = 60.0
"""Where `server.head_timeout_ms` sets no limit."""
_LONGEST_FAREWELL_SECONDS = 86_400.0
"""A TLS connection that closes sends what is left first. How long that may take, its watch decides."""


class Listener:
    """Serves any number of sockets with one fast lane and one ASGI app."""

    def __init__(self, lane: FastLane, app: ASGIApp, clock: Clock) -> None:
        self._lane = lane
        self._clock = clock
        self._state = ServerState()
        self._app_state: dict[str, Any] = {}
        self._public = _config(_may_be_cut(app))
        self._local = _config(_may_be_cut(as_local_owner(app)))
        self._servers: list[asyncio.AbstractServer] = []
        self._date_timer: asyncio.TimerHandle | None = None

    async def listen(self, tcp: socket.socket, certificate: Certificate | None = None) -> None:
        """Accept clients on an open TCP socket, by TLS where there is a certificate."""
        loop = asyncio.get_running_loop()
        if self._date_timer is None:
            self._set_date()
        tls: dict[str, Any] = {}
        if certificate is not None:
            door, crowd = certificate.context, self._lane.crowd
            door.most_waiting = lambda: crowd.most - crowd.size + MOST_EXPLAINED
            door.answer_in_clear = lambda: self._lane.raw_answer(_spoken_in_clear())
            tls = {
                "ssl": door,
                "ssl_handshake_timeout": self._lane.limits.head_timeout_ms / 1000
                or _LONGEST_HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": _LONGEST_FAREWELL_SECONDS,
            }
        self._servers.append(
            await loop.create_server(lambda: self._protocol(self._public), sock=tcp, backlog=BACKLOG, **tls)
        )

    async def listen_locally(self, control: socket.socket) -> None:
        """Accept the owner on an open Unix socket, whose file mode is the key."""
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_unix_server(lambda: self._protocol(self._local), sock=control, backlog=BACKLOG)
        )

    def _protocol(self, config: Config) -> GatewayProtocol:
        return GatewayProtocol(config, self._state, self._app_state, lane=self._lane)

    def forget_heads(self) -> None:
        """Other callers are let in now: what kept connections know of the old ones no longer holds."""
        self._lane.heads.forget()
        for connection in self._state.connections:
            if isinstance(connection, GatewayProtocol):  # else a WebSocket's
                connection.forget_heads()

    def _set_date(self) -> None:
        """The Date header of the ASGI app's answers; a second is its resolution."""
        date = formatdate(self._clock.now(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date)]
        self._date_timer = asyncio.get_running_loop().call_later(1.0, self._set_date)

    async def drain(self, grace_seconds: float, hurry: asyncio.Event) -> bool:
        """Refuse newcomers, let answers end. True: all ended within the time and before `hurry` was set."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        gives_up_at = self._clock.monotonic() + grace_seconds
        while self._state.connections or self._running():
            if hurry.is_set() or self._clock.monotonic() >= gives_up_at:
                await self._cut()
                return False
            await self._wait_for_change()
        return True

    def _running(self) -> "set[asyncio.Task[None]]":
        """What still works on an answer, in either lane."""
        relays = {exchange.task for exchange in self._lane.open_exchanges if exchange.task is not None}
        return relays | self._state.tasks

    async def _wait_for_change(self) -> None:
        if running := self._running():
            await asyncio.wait(running, timeout=_DRAIN_STEP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            # A connection's end has no future to wait on; it is a turn of the loop or two away.
            await asyncio.sleep(_DRAIN_STEP_SECONDS)

    async def _cut(self) -> None:
        running = self._running()
        self._lane.cut()
        for connection in self._state.connections:
            cycle = getattr(connection, "cycle", None)
            if isinstance(cycle, RequestResponseCycle):
                cycle.disconnected = True  # to uvicorn an answer that is cut off is no failure of the app
        for task in self._state.tasks:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def close(self) -> None:
        """Close what is still open. After `drain`."""
        self._lane.outbox.flush()
        if self._date_timer is not None:
            self._date_timer.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()


def _spoken_in_clear() -> MalformedRequest:
    return MalformedRequest(
        "This port speaks HTTPS, and the request came as plain HTTP.",
        hint="Write https:// in the client's base URL.",
    )


def _may_be_cut(app: ASGIApp) -> ASGIApp:
    """Uvicorn takes a cancelled app for a failed one, and logs where it was."""

    async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):  # by `_cut` alone: after it the task ends
            await app(scope, receive, send)

    return cuttable


def _config(app: ASGIApp) -> Config:
    config = Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    return config
