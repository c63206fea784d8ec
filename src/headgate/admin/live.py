"""Requests while they run, for live views: what has begun, and what has got its first byte.

The relay tells nobody. Whoever watches looks at the open requests now and then; of one that came and went
between two looks its record tells the same later. So a view costs the relay nothing, seen or unseen, and all
views share one look.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headgate.admin.owner import Owner
from headgate.relay.exchange import Exchange
from headgate.storage.request_filter import RequestFilter
from headgate.wire.user_agents import client_of

LOOK_SECONDS = 0.2
_MOST_WAITING = 2_000
"""Events that wait for one view. A slow one loses the oldest: records tell of them at their end."""
_MOST_BEGUN = 20_000
"""Requests of which a view remembers that it was told of their start."""

Event = tuple[str, dict[str, Any]]
"""`start` or `first_byte`, and what is said."""


class View:
    """What one viewer was told of and what waits for it."""

    def __init__(self, wanted: RequestFilter) -> None:
        self._wanted = wanted
        self._waiting: deque[Event] = deque(maxlen=_MOST_WAITING)
        self._begun: dict[str, bool] = {}
        """By id, whether the first byte was told of, too."""

    def offer(self, event: Event) -> None:
        said = event[1]
        wanted = self._wanted
        asked = (
            *((wanted.caller, "caller"), (wanted.model, "model"), (wanted.provider, "provider")),
            *((wanted.client, "client"), (wanted.project, "project"), (wanted.session, "session")),
        )
        if all(one in (None, said.get(name, one) or "") for one, name in asked):
            self._waiting.append(event)

    def take(self) -> list[Event]:
        """In order; a start that was lost brings no first byte."""
        events: list[Event] = []
        while self._waiting:
            phase, said = self._waiting.popleft()
            if phase == "start":
                self._begin(said["id"])
            elif said["id"] not in self._begun:
                continue
            else:
                self._begun[said["id"]] = True
            events.append((phase, said))
        return events

    def before(self, row: dict[str, Any]) -> list[Event]:
        """What is to be told before the end of a request, of which nothing was so far. `row`: of
        `RequestStore`."""
        told = self._begun.pop(row["id"], None)
        events: list[Event] = []
        if told is None:
            events.append(("start", _start_of(row)))
        if not told and row["first_byte_ms"] is not None:
            events.append(("first_byte", _first_byte_of(row)))
        return events

    def _begin(self, request_id: str) -> None:
        if len(self._begun) >= _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]
        self._begun[request_id] = False


class Live:
    """The open requests of this gateway, looked at for all who watch."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._views: set[View] = set()
        self._known: dict[str, bool] = {}
        """By id, whether it has its first byte."""
        self._looked_at = 0.0

    @contextmanager
    def view(self, wanted: RequestFilter) -> Iterator[View | None]:
        """Begins with what runs. None for a filter that only an end can answer: by outcome, or by account."""
        is_of_ends = any(one is not None for one in (wanted.status, wanted.account, wanted.error))
        if is_of_ends or wanted.until_ms is not None or self._owner.process is None:
            yield None
            return
        view = View(wanted)
        if not self._views:
            self._known = {}  # nobody has looked for long
        self._look()
        for exchange in self._owner.process.open_requests:
            for event in _events_of(exchange):
                view.offer(event)
        self._views.add(view)
        try:
            yield view
        finally:
            self._views.discard(view)

    def look(self) -> None:
        """If nobody has just done so."""
        if self._owner.clock.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        assert self._owner.process is not None
        self._looked_at = self._owner.clock.monotonic()
        running = {exchange.id: exchange for exchange in self._owner.process.open_requests}
        for request_id, exchange in running.items():
            had_first_byte = self._known.get(request_id)
            if had_first_byte or (had_first_byte is False and not exchange.has_started):
                continue
            for event in _events_of(exchange)[had_first_byte is not None :]:
                for view in self._views:
                    view.offer(event)
        self._known = {request_id: exchange.has_started for request_id, exchange in running.items()}


def _events_of(exchange: Exchange) -> list[Event]:
    """Its start, and its first byte if that is out."""
    head, facts = exchange.head, exchange.facts
    said = {
        "id": exchange.id,
        "created_at": int(exchange.began_at * 1000),
        "dialect": head.endpoint.dialect,
        "provider": head.endpoint.provider,
        "method": head.shown_method,
        "path": head.shown_path,
        "caller": head.client.caller.name,
        "client_address": exchange.address(),
        "user_agent": head.client.user_agent,
        "client": client_of(head.client.user_agent),
        "session": exchange.session,
        "project": head.client.project,
        "model": None if facts is None else facts.model,
        "stream": facts is not None and facts.stream,
    }
    events: list[Event] = [("start", said)]
    if exchange.has_started:
        first_byte_at = exchange.first_byte_at or exchange.ready_at
        events.append(
            (
                "first_byte",
                {
                    "id": exchange.id,
                    "caller": said["caller"],
                    "model": said["model"],
                    "account": exchange.account,
                    "status": exchange.status,
                    "first_byte_ms": (first_byte_at - exchange.began) * 1000,
                },
            )
        )
    return events


_START = ("id", "dialect", "provider", "method", "path", "caller", "client_address", "user_agent", "client")


def _start_of(row: dict[str, Any]) -> dict[str, Any]:
    said = {"id": row["id"], "created_at": row["timestamp"]}
    return said | {name: row[name] for name in (*_START[1:], "session", "project", "model", "stream")}


def _first_byte_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "caller", "model", "account", "status", "first_byte_ms")}
