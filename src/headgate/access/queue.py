"""Who goes next where requests wait: one line for each client key, the lines in turn.

Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): a line whose turn comes is given its weight in
turns, and keeps what it cannot use of them until it is empty. So a key with five hundred waiting requests
holds up another key's one by a single turn. A line that cannot go on for a reason of its own holds up nobody.

Nothing here knows what is waited for: a ticket brings the attempt to get it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

_LOOK_SECONDS = 1.0
"""What changes unheard, an account that is resumed or a limit that is raised, is seen so late."""
_LEAST_WAIT_SECONDS = 0.001


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """One request that waits."""

    line: int
    """The client key's id; 0: callers without one."""
    weight: int
    """Requests that its line may send when it is its turn, 1 or more."""
    attempt: Callable[[], Any]
    """Gets what is waited for, at once, or None. What it raises ends the wait."""
    give_back: Callable[[Any], None]
    """Undoes the attempt: who waited is gone."""
    barrier: Hashable
    """Two tickets with the same one wait for the same: where the first is not served the second is not."""
    opens_at: float | None = None
    """Monotonic seconds before which the attempt is in vain, as far as is known."""
    costs_a_turn: bool = True
    """False: what it gets is its key's own, and taken from nobody."""
    request_id: str = ""
    why: str = ""
    """What is waited for, in words."""
    since: float = 0.0
    result: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Line:
    __slots__ = ("key", "tickets", "turns")

    def __init__(self, key: int) -> None:
        self.key = key
        self.tickets: list[Ticket] = []
        self.turns = 0
        """Left of those it was given."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One ticket as it is shown."""

    request_id: str
    line: int
    position: int
    """1: the next, as far as it depends on the order alone."""
    waited_seconds: float
    why: str


class FairQueue:
    """Lives in the event loop's thread. `most` is the number that may wait, 0: nobody waits."""

    def __init__(self, monotonic: Callable[[], float], *, most: int = 0, seconds: float = 10.0) -> None:
        self.most = most
        self.seconds = seconds
        """How long a request waits in all."""
        self.waiting = 0
        self.contested = 0
        """Of them, those that others would overtake by taking what they can get."""
        self._monotonic = monotonic
        self._lines: dict[int, _Line] = {}
        """In the order of their turns."""
        self._barriers: Counter[Hashable] = Counter()
        """Of all that wait: where each is closed there is nobody left to look at."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_awake = False
        self._looked_at_all = 0.0

    def has_line(self, line: int) -> bool:
        return line in self._lines

    async def wait(self, ticket: Ticket, seconds: float) -> Any:
        """What the attempt gave; None: it did not come to that in time. Where there is no room that is at
        once, but what nobody before it waits for it gets all the same. Raises what the attempt raised.
        """
        if not self._make_room(ticket):
            seconds = 0.0  # the look that was asked for comes before the end of it
        ticket.since = self._monotonic()
        self._lines.setdefault(ticket.line, _Line(ticket.line)).tickets.append(ticket)
        self.waiting += 1
        self.contested += ticket.costs_a_turn
        self._barriers[ticket.barrier] += 1
        self.wake()
        is_taken = False
        try:
            await asyncio.wait((ticket.result,), timeout=seconds)
            is_taken = True
            return ticket.result.result() if ticket.result.done() else None
        finally:
            self._leave(ticket)
            if not is_taken and ticket.result.done() and ticket.result.exception() is None:
                if (got := ticket.result.result()) is not None:
                    ticket.give_back(got)
                self.wake()

    def wake(self) -> None:
        """Something has become free: look, once for all that this turn of the event loop frees."""
        if self.waiting and not self._is_awake:
            self._is_awake = True
            asyncio.get_running_loop().call_soon(self._look)

    def shown(self, most: int) -> list[Waiting]:
        """The first so many, in the order in which they would go if each could."""
        now = self._monotonic()
        return [
            Waiting(one.request_id, one.line, number, now - one.since, one.why)
            for number, one in zip(range(1, most + 1), self._in_order(), strict=False)
        ]

    def counts(self) -> dict[int, int]:
        """Waiting requests by key."""
        return {key: len(line.tickets) for key, line in self._lines.items()}

    def longest_seconds(self) -> float:
        now = self._monotonic()
        return max((now - line.tickets[0].since for line in self._lines.values()), default=0.0)

    # ---- coming and going ------------------------------------------------------------------------

    def _make_room(self, ticket: Ticket) -> bool:
        """A full queue is no way to keep others out: the longest line gives its last place to a shorter."""
        if self.waiting < self.most:
            return True
        longest = max(self._lines.values(), key=lambda line: len(line.tickets), default=None)
        own = self._lines.get(ticket.line)
        if longest is None or len(longest.tickets) <= (len(own.tickets) if own else 0) + 1:
            return False
        last = longest.tickets[-1]
        self._leave(last)
        last.result.set_result(None)
        return True

    def _leave(self, ticket: Ticket) -> None:
        """Safe to call twice."""
        line = self._lines.get(ticket.line)
        if line is None or ticket not in line.tickets:
            return
        line.tickets.remove(ticket)
        self.waiting -= 1
        self.contested -= ticket.costs_a_turn
        self._barriers[ticket.barrier] -= 1
        if not self._barriers[ticket.barrier]:
            del self._barriers[ticket.barrier]
        if not line.tickets:
            del self._lines[line.key]
        if not self.waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- turns -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Serve who can be served, in turn, until nobody can."""
        self._is_awake = False
        closed: set[Hashable] = set()
        now = self._monotonic()
        if at_all := now - self._looked_at_all >= _LOOK_SECONDS:
            self._looked_at_all = now
        is_moving = True
        while is_moving:
            is_moving = False
            for line in list(self._lines.values()):
                if len(closed) == len(self._barriers):
                    break
                is_moving |= self._turn(line, closed, now, at_all=at_all)
        self._set_timer(now)

    def _turn(self, line: _Line, closed: set[Hashable], now: float, *, at_all: bool) -> bool:
        """One turn of a line, as far as it comes; whether anybody was served. `at_all`: also those whose time
        has not come. A line that is held up keeps its place and what is left of its turn."""
        is_served = has_paid = False
        for ticket in list(line.tickets):
            if len(closed) == len(self._barriers):
                break
            if ticket.barrier in closed:
                continue
            if has_paid and line.turns < 1:
                break
            is_early = ticket.opens_at is not None and ticket.opens_at > now
            if (is_early and not at_all) or (got := self._attempt(ticket)) is None:
                closed.add(ticket.barrier)
                continue
            is_served = True
            if got and ticket.costs_a_turn:
                line.turns = (line.turns if line.turns >= 1 else ticket.weight) - 1
                has_paid = True
        if has_paid and line.turns < 1 and line.tickets:
            self._lines[line.key] = self._lines.pop(line.key)
        return is_served

    def _attempt(self, ticket: Ticket) -> bool | None:
        """Whether it got what it waits for; False: it waits no more, None: it waits on."""
        try:
            got = ticket.attempt()
        except Exception as error:
            self._leave(ticket)
            ticket.result.set_exception(error)
            return False
        if got is None:
            return None
        self._leave(ticket)
        ticket.result.set_result(got)
        return True

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.waiting:
            return
        opening = (one.opens_at for line in self._lines.values() for one in line.tickets)
        # One that has passed is of a ticket behind a closed barrier: whoever closed that knows the next.
        known = min((at for at in opening if at is not None and at > now), default=now + _LOOK_SECONDS)
        wait = min(max(known - now, _LEAST_WAIT_SECONDS), _LOOK_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(wait, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._look()

    def _in_order(self) -> Iterator[Ticket]:
        lines = [(line.turns, list(line.tickets)) for line in self._lines.values()]
        while lines:
            later: list[tuple[int, list[Ticket]]] = []
            for turns, tickets in lines:
                turns = turns or tickets[0].weight
                yield from tickets[:turns]
                if left := tickets[turns:]:
                    later.append((0, left))
            lines = later
