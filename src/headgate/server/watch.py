"""Clients that keep us waiting: for a head, for a body, for their reading of the answer, for another request.

One watch per connection looks now and then at what the connection keeps anyway and compares it with the last
look, so that requests themselves cost nothing. What is over its time is noticed a quarter of it late at most.
"""

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from headgate.config.settings import ServerSettings
from headgate.errors import HeadgateError, RequestTooSlow
from headgate.timetable import Place, Timetable

KEEP_ALIVE_SECONDS = 75.0
"""Idle connections: longer than the usual pool of a client keeps them, as nginx does."""

BODY_BYTES_PER_SECOND = 1024
"""Each KiB of a body that came allows a second more: a slow line is no attack, a dripping one is."""

_LONGEST_BETWEEN_LOOKS = 15.0
_SHORTEST_BETWEEN_LOOKS = 0.02


class Watched(Protocol):
    """What a connection lets us see."""

    transport: asyncio.Transport
    flow: FlowControl
    answered_at: float
    """Loop time of the last answer; of the connection's start before there was one."""
    heads_seen: int
    resumes: int
    """How often its full buffer became empty enough to write again."""
    is_between_requests: bool
    head_is_complete: bool
    is_discarding: bool
    wire_bytes: int
    """Received, but for requests that came whole and were known by their bytes."""

    @property
    def limits(self) -> ServerSettings: ...

    @property
    def is_answering(self) -> bool: ...

    def give_up_reading(self, error: HeadgateError) -> None: ...


class Watch:
    """Begins with the connection, ends with `stop`."""

    __slots__ = ("_body", "_head", "_loop", "_place", "_stuck", "_timetable", "_watched")

    def __init__(self, loop: asyncio.AbstractEventLoop, timetable: Timetable, watched: Watched) -> None:
        self._loop = loop
        self._timetable = timetable
        self._watched = watched
        self._head = (0, 0.0)
        """Number of the head that was seen unfinished, and since when."""
        self._body = (0, 0.0, 0)
        """The same of a body, and the bytes that had come by then."""
        self._stuck = (0, 0, 0.0)
        """Resumes and bytes of a buffer that nobody emptied, and since when."""
        self._place: Place | None = timetable.add(self, self._pause())

    def stop(self) -> None:
        if self._place is not None:
            self._timetable.call_off(self, self._place)
            self._place = None

    def _pause(self) -> float:
        limits = self._watched.limits
        times = [
            ms / 1000 for ms in (limits.head_timeout_ms, limits.body_timeout_ms, limits.send_timeout_ms) if ms
        ]
        shortest = min([KEEP_ALIVE_SECONDS, *times]) / 4
        return min(max(shortest, _SHORTEST_BETWEEN_LOOKS), _LONGEST_BETWEEN_LOOKS)

    def moment_came(self) -> None:
        """To look at the client."""
        if self._place is None:
            return
        now = self._loop.time()
        self._place = self._timetable.add(self, self._pause())
        if self._is_stuck(now):
            self._watched.transport.abort()
            return
        watched = self._watched
        if watched.is_discarding or watched.transport.is_closing():
            return
        if not watched.is_between_requests:
            self._look_at_request(now)
        elif not watched.is_answering:
            self._look_at_idleness(now)

    def _look_at_idleness(self, now: float) -> None:
        """Who has never asked anything is given the time of a head, not that of a known client."""
        limit = KEEP_ALIVE_SECONDS
        if not self._watched.heads_seen and self._watched.limits.head_timeout_ms:
            limit = min(limit, self._watched.limits.head_timeout_ms / 1000)
        if now - self._watched.answered_at >= limit:
            self._watched.transport.close()

    def _look_at_request(self, now: float) -> None:
        watched = self._watched
        number = watched.heads_seen
        if not watched.head_is_complete:
            if self._head[0] != number:
                self._head = (number, now)
            limit_ms = self._watched.limits.head_timeout_ms
            if limit_ms and now - self._head[1] >= limit_ms / 1000:
                watched.give_up_reading(_too_slow("head", limit_ms))
            return
        # While we do not read, the wait is ours.
        if self._body[0] != number or watched.flow.read_paused:
            self._body = (number, now, watched.wire_bytes)
        limit_ms, came = self._watched.limits.body_timeout_ms, watched.wire_bytes - self._body[2]
        if limit_ms and now - self._body[1] >= limit_ms / 1000 + came / BODY_BYTES_PER_SECOND:
            watched.give_up_reading(_too_slow("body", limit_ms))

    def _is_stuck(self, now: float) -> bool:
        """Whether the client has taken nothing of what waits for it for as long as it may."""
        watched = self._watched
        # Under TLS the last bytes of a connection that closes are out of our sight: closing is waiting, too.
        waiting = watched.transport.get_write_buffer_size() or int(watched.transport.is_closing())
        resumes, before, since = self._stuck
        if not waiting or resumes != watched.resumes or waiting < before or not before:
            self._stuck = (watched.resumes, waiting, now)
            return False
        self._stuck = (resumes, waiting, since)
        limit_ms = self._watched.limits.send_timeout_ms
        return bool(limit_ms) and now - since >= limit_ms / 1000


def _too_slow(what: str, limit_ms: int) -> RequestTooSlow:
    return RequestTooSlow(
        f"The {what} of the request was not complete within {limit_ms} ms.",
        hint=f"Send it at once; the owner may raise `server.{what}_timeout_ms`.",
    )
