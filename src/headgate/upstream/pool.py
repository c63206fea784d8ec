"""The connections of one client: those at rest, by the way they go, and all that are open."""

import asyncio
from typing import Generic, Protocol, TypeVar

from headgate.config.proxies import Proxy
from headgate.upstream.origin import Origin

Route = Origin | tuple[Origin, Proxy]
"""An origin, and the proxy by which it is reached, if by one."""


class Pooled(Protocol):
    """What the pool needs of a connection."""

    route: Route

    is_lost: bool

    def is_fit(self, now: float) -> bool:
        """Open, and not past its keep-alive time."""
        ...

    def abort(self) -> None: ...


Kept = TypeVar("Kept", bound=Pooled)


class ConnectionPool(Generic[Kept]):
    """Last in, first out: under a falling load the surplus grows old and closes itself."""

    def __init__(self) -> None:
        self._resting: dict[Route, list[Kept]] = {}
        self._open: set[Kept] = set()
        self._emptied: asyncio.Event | None = None
        self.is_closed = False

    @property
    def open_count(self) -> int:
        return len(self._open)

    @property
    def resting_count(self) -> int:
        return sum(map(len, self._resting.values()))

    def take(self, route: Route, now: float) -> Kept | None:
        stack = self._resting.get(route)
        while stack:
            connection = stack.pop()
            if connection.is_fit(now):
                return connection
            connection.abort()
        return None

    def put(self, connection: Kept) -> None:
        stack = self._resting.get(connection.route)
        if stack is None:
            stack = self._resting[connection.route] = []
        stack.append(connection)

    def opened(self, connection: Kept) -> bool:
        """Whether it is still open; then `lost` is told when it no longer is."""
        if not connection.is_lost:
            self._open.add(connection)
        return not connection.is_lost

    def withdraw(self, connection: Kept) -> None:
        """A resting connection is no longer to be handed out."""
        stack = self._resting.get(connection.route, [])
        if connection in stack:
            stack.remove(connection)
        if not stack:
            self._resting.pop(connection.route, None)

    def lost(self, connection: Kept) -> None:
        self._open.discard(connection)
        if not self._open and self._emptied is not None:
            self._emptied.set()

    async def close(self) -> None:
        """Abort every connection and wait until their sockets are closed."""
        self.is_closed = True
        self._resting.clear()
        self._emptied = asyncio.Event()
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            await self._emptied.wait()
