"""How many connections there are, in all and of one address: a stranger must not take every place."""

import logging
from collections import Counter

from headgate.access.forwarding import TrustedProxies
from headgate.config.exposure import is_loopback
from headgate.config.settings import ServerSettings
from headgate.errors import TooManyConnections

_log = logging.getLogger("headgate.server")

_QUIET_SECONDS = 10.0
"""A full house is said once in this time, not with every connection that is turned away."""

MOST_EXPLAINED = 100
"""Who is turned away is told why, for the time it takes to read it; beyond so many at once is not."""

_WORTH_SAYING = 0.9
"""Of the connections that are wanted: a smaller shortfall is nobody's trouble."""

_OTHER_DESCRIPTORS = 64
"""For the database, the journal, logs, listening sockets and the owner's own connections."""


class Crowd:
    """Counts clients in and out. This machine's own addresses and trusted proxies count in the whole alone:
    behind a reverse proxy every client has one of them. Who calls through a trusted one counts by his own
    address, each of his open requests as a connection."""

    def __init__(self, limits: ServerSettings, *, descriptors: int) -> None:
        """`descriptors`: how many files this process may open (RLIMIT_NOFILE); a stream takes two."""
        self.limits = limits
        """May be replaced while connections are open; who is in stays in."""
        self.proxies = TrustedProxies()
        """The same."""
        self._most_descriptors = max(1, (descriptors - _OTHER_DESCRIPTORS) // 2)
        if limits.max_connections * _WORTH_SAYING > self._most_descriptors:
            _log.warning(
                "The system lets this process open %d files: %d connections at a time, not"
                " server.max_connections (%d). Mend: ulimit -n %d, or LimitNOFILE of the service",
                descriptors,
                self._most_descriptors,
                limits.max_connections,
                limits.max_connections * 2 + _OTHER_DESCRIPTORS,
            )
        self.size = 0
        self.explained = 0
        """Connections that were turned away and still read why."""
        self._by_address: Counter[str] = Counter()
        self._by_proxy: Counter[str] = Counter()
        self._silent_until = 0.0

    @property
    def most(self) -> int:
        return min(self.limits.max_connections, self._most_descriptors)

    def enter(self, address: str, now: float) -> TooManyConnections | None:
        """None: it counts as present until `leave`. Otherwise why it may not come in. `now`: loop time."""
        refusal = self._refusal(address)
        if refusal is None:
            self.size += 1
            self._by_address[address] += 1
        elif now >= self._silent_until:
            self._silent_until = now + _QUIET_SECONDS
            _log.warning("Connections are turned away: %s", refusal.message)
        return refusal

    def leave(self, address: str) -> None:
        self.size -= 1
        _take_off(self._by_address, address)

    def enter_by_proxy(self, address: str) -> TooManyConnections | None:
        """The same for one request of a caller behind a trusted proxy, until `leave_by_proxy`."""
        most_of_one = self.limits.max_connections_per_address
        if most_of_one and self._by_proxy[address] >= most_of_one:
            return _too_many_of_one(most_of_one, "requests")
        self._by_proxy[address] += 1
        return None

    def leave_by_proxy(self, address: str) -> None:
        _take_off(self._by_proxy, address)

    def may_explain(self) -> bool:
        """True counts one more; who is told says so by `explained -= 1` when it is gone."""
        if self.explained >= MOST_EXPLAINED:
            return False
        self.explained += 1
        return True

    def _refusal(self, address: str) -> TooManyConnections | None:
        if self.size >= self.most:
            return TooManyConnections(
                f"The gateway has {self.most} connections open and takes no more.",
                hint="Try again in a moment; the owner may raise `server.max_connections`.",
            )
        most_of_one = self.limits.max_connections_per_address
        if not most_of_one or self._by_address[address] < most_of_one:
            return None
        if is_loopback(address) or self.proxies.holds(address):
            return None
        return _too_many_of_one(most_of_one, "connections")


def _take_off(counted: Counter[str], address: str) -> None:
    counted[address] -= 1
    if not counted[address]:
        del counted[address]


def _too_many_of_one(most: int, what: str) -> TooManyConnections:
    return TooManyConnections(
        f"Your address has {most} {what} open and gets no more.",
        hint="Use fewer at once; the owner may raise `server.max_connections_per_address`.",
    )
