"""The outbound client: one attempt of one request, over a resting connection or a new one."""

import asyncio
import ssl
from collections.abc import AsyncIterator

from headgate.clock import Clock
from headgate.config.proxies import Proxy
from headgate.errors import ConnectFailed, UpstreamError
from headgate.outbox import Outbox
from headgate.tasks import TaskGroup
from headgate.timetable import Timetable
from headgate.upstream.answer import Answer
from headgate.upstream.connection import WHOLE_BODIES, Connection, WholeBody
from headgate.upstream.deadline import NEVER
from headgate.upstream.dialing import Address, Dialer
from headgate.upstream.failures import WANTS_CREDENTIALS, connect_failed, wants_credentials
from headgate.upstream.origin import Origin
from headgate.upstream.plain import PlainReader
from headgate.upstream.pool import ConnectionPool, Route
from headgate.upstream.timeouts import Timeouts
from headgate.upstream.tls import client_context
from headgate.upstream.tunnel import for_the_proxy

Body = WholeBody | AsyncIterator[bytes]
"""Already framed by the caller: of the length that the head says, or chunked. A whole body must not
change until the answer's head is in."""


class UpstreamClient:
    """Any number of requests at once; connections are kept per origin and proxy, and used again."""

    def __init__(
        self,
        clock: Clock,
        outbox: Outbox,
        *,
        keepalive_seconds: float = 60.0,
        tls: ssl.SSLContext | None = None,
        own_address: Address | None = None,
    ) -> None:
        """`tls` replaces the verifying context on the system's store; see `tls.client_context`.
        `own_address` is where this gateway listens itself: no request goes there."""
        self._outbox = outbox
        self._monotonic = clock.monotonic
        self.keepalive_seconds = keepalive_seconds
        """Of connections yet to be opened."""
        self._tls = tls
        self._dialer = Dialer(own_address)
        self._pool: ConnectionPool[Connection] = ConnectionPool()
        self._plain: dict[Origin, PlainReader] = {}
        self._tasks = TaskGroup()
        self._timetable = Timetable()
        self.connects = 0
        """Connections that were opened."""
        self.connect_seconds = 0.0
        """What that took, names and handshakes included, failures not."""
        self.connect_failures = 0

    @property
    def open_count(self) -> int:
        return self._pool.open_count

    @property
    def resting_count(self) -> int:
        return self._pool.resting_count

    async def send(
        self,
        origin: Origin,
        head: bytes,
        body: Body,
        timeouts: Timeouts,
        proxy: Proxy | None = None,
        now: float | None = None,
    ) -> Answer:
        """One attempt. `head` is the request line and the header lines with the blank line, the same
        whether a `proxy` is on the way or not. `now`: the clock's monotonic seconds, for who has just looked.

        Returns when the answer's head is in; the caller closes the answer. A resting connection that
        turns out dead is replaced, once, by a new one; a body that comes piece by piece cannot be said
        again, so it gets a new connection at once. Raises ConnectFailed, ProxyFailed,
        ProxyWantsCredentials, UpstreamTimedOut, BadAnswer, AnswerCut, what the body's iterator raises.
        """
        route: Route = origin
        passing_on = None
        if proxy is not None:
            route = (origin, proxy)
            if origin.scheme == "http" and not proxy.is_socks:
                passing_on, head = proxy, for_the_proxy(head, proxy, origin)
        if now is None:
            now = self._monotonic()
        ends_at = now + timeouts.total if timeouts.total else NEVER
        if isinstance(body, WHOLE_BODIES):
            resting = self._pool.take(route, now)
            if resting is not None:
                try:
                    if (answer := await resting.begin(head, body, timeouts, ends_at, now)) is not None:
                        return answer if passing_on is None else _of_the_provider(answer, passing_on)
                except asyncio.CancelledError:
                    resting.abort()
                    raise
                if not resting.is_stale:
                    resting.raise_failure()
        connection = await self._connect(route, timeouts, ends_at)
        try:
            now = self._monotonic()
            if (answer := await connection.begin(head, body, timeouts, ends_at, now)) is not None:
                return answer if passing_on is None else _of_the_provider(answer, passing_on)
        except asyncio.CancelledError:
            connection.abort()
            raise
        connection.raise_failure()

    async def close(self) -> None:
        """Abort what is under way and close every connection; returns when the sockets are closed."""
        await self._pool.close()
        await self._tasks.cancel()

    async def _connect(self, route: Route, timeouts: Timeouts, ends_at: float) -> Connection:
        if self._pool.is_closed:
            raise ConnectFailed("The gateway is shutting down", reason="ECONNABORTED")
        seconds, limit, setting = timeouts.connect or NEVER, timeouts.connect, "upstream.connect_timeout_ms"
        if (left := ends_at - self._monotonic()) < seconds:
            seconds, limit, setting = left, timeouts.total, "upstream.total_timeout_ms"
        origin, proxy = (route, None) if isinstance(route, Origin) else route
        connection = Connection(
            origin,
            route,
            self._pool,
            self._outbox,
            self._plain.setdefault(origin, PlainReader()),
            self._tasks,
            self._timetable,
            self._monotonic,
            self.keepalive_seconds,
        )
        began = self._monotonic()
        try:
            await self._dialer.dial(
                origin,
                lambda: connection,
                self._context,
                proxy=proxy,
                seconds=seconds,
                limit_ms=round((limit or 0) * 1000),
                setting=setting,
            )
        except UpstreamError:
            self.connect_failures += 1
            raise
        self.connects += 1
        self.connect_seconds += self._monotonic() - began
        # Not before: of a connection that is given up at this moment uvloop never says that it is lost.
        if not self._pool.opened(connection):
            raise connect_failed(ConnectionResetError(), origin)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = client_context()
        return self._tls


def _of_the_provider(answer: Answer, proxy: Proxy) -> Answer:
    """A proxy that passes a request on may answer it itself; the one status that is always its own."""
    if answer.status == WANTS_CREDENTIALS:
        answer.close()
        raise wants_credentials(proxy)
    return answer
