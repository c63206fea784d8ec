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
from heapq import heappop, heappush, merge
from itertools import count, islice
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
    """Requests that its line may send when it is its turn, 1 or more: as the last that came says."""
    attempt: Callable[[], Any]
    """Gets what is waited for, at once, or None. What it raises ends the wait."""
    give_back: Callable[[Any], None]
    """Undoes the attempt: who waited is gone."""
    barrier: Hashable
    """Two tickets with the same one wait for the same: where the first is not served the second is not."""
    wide: Hashable = None
    """What several barriers have in common, if they do."""
    is_wide_closed: Callable[[], bool] = lambda: False
    """Whether nobody with the same `wide` can be served, as far as an attempt in vain may ask for it."""
    opens_at: float | None = None
    """Monotonic seconds before which the attempt is in vain, as far as is known."""
    costs_a_turn: bool = True
    """False: what it gets is its key's own, and taken from nobody."""
    request_id: str = ""
    why: str = ""
    """What is waited for, in words."""
    since: float = 0.0
    number: int = 0
    """In the order of coming."""
    is_waiting: bool = False
    result: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Line:
    __slots__ = ("count", "first", "key", "rows", "turns", "weight")

    def __init__(self, key: int) -> None:
        self.key = key
        self.rows: dict[Hashable, list[Ticket]] = {}
        """By what they wait for, each in the order of coming: behind one that is not served nobody is."""
        self.first: list[tuple[int, Ticket]] = []
        """A heap of the first of each row, and of some that have left."""
        self.count = 0
        self.weight = 1
        self.turns = 0
        """Left of those it was given."""

    def add(self, ticket: Ticket) -> None:
        row = self.rows.setdefault(ticket.barrier, [])
        row.append(ticket)
        if row[0] is ticket:
            heappush(self.first, (ticket.number, ticket))
        self.count += 1
        self.weight = ticket.weight

    def remove(self, ticket: Ticket) -> None:
        row = self.rows[ticket.barrier]
        was_first = row[0] is ticket
        row.remove(ticket)
        if not row:
            del self.rows[ticket.barrier]
        elif was_first:
            heappush(self.first, (row[0].number, row[0]))
        self.count -= 1

    def in_order(self) -> Iterator[Ticket]:
        return merge(*self.rows.values(), key=lambda ticket: ticket.number)

    @property
    def last(self) -> Ticket:
        return max((row[-1] for row in self.rows.values()), key=lambda ticket: ticket.number)

    def pay(self) -> None:
        """One of a turn. What is left of it is no more than the weight by now."""
        self.turns = (min(self.turns, self.weight) if self.turns >= 1 else self.weight) - 1


class _Look:
    """What one look has found out."""

    __slots__ = ("at_all", "closed", "closed_wide", "next_at", "now")

    def __init__(self, now: float, *, at_all: bool) -> None:
        """`at_all`: also at those whose time has not come."""
        self.now = now
        self.at_all = at_all
        self.closed: set[Hashable] = set()
        self.closed_wide: set[Hashable] = set()
        self.next_at = now + _LOOK_SECONDS

    def is_early(self, ticket: Ticket) -> bool:
        return ticket.opens_at is not None and ticket.opens_at > self.now and not self.at_all

    def passes_by(self, ticket: Ticket) -> bool:
        return ticket.barrier in self.closed or ticket.wide in self.closed_wide

    def close(self, ticket: Ticket) -> None:
        """It was not served."""
        self.closed.add(ticket.barrier)
        if ticket.opens_at is not None and self.now < ticket.opens_at < self.next_at:
            self.next_at = ticket.opens_at
        if ticket.wide is not None and ticket.is_wide_closed():
            self.closed_wide.add(ticket.wide)


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
        self._wides: Counter[Hashable] = Counter()
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0
        """When the timer says so, monotonic."""
        self._is_awake = False
        self._looked_at_all = 0.0

    def has_line(self, line: int) -> bool:
        return line in self._lines

    async def wait(self, ticket: Ticket, seconds: float) -> Any:
        """What the attempt gave; None: it did not come to that in time. Where there is no room that is at
        once, but what nobody before it waits for it gets all the same. Raises what the attempt raised.
        """
        if not self._make_room(ticket):
            seconds = 0.0  # a look that was asked for comes before the end of it
        self._join(ticket)
        is_taken = False
        try:
            if not ticket.result.done():
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
        return {key: line.count for key, line in self._lines.items()}

    def longest_seconds(self) -> float:
        now = self._monotonic()
        rows = (row for line in self._lines.values() for row in line.rows.values())
        return max((now - row[0].since for row in rows), default=0.0)

    # ---- coming and going ------------------------------------------------------------------------

    def _make_room(self, ticket: Ticket) -> bool:
        """A full queue is no way to keep others out: the longest line gives its last place to a shorter."""
        if self.waiting < self.most:
            return True
        longest = max(self._lines.values(), key=lambda line: line.count, default=None)
        own = self._lines.get(ticket.line)
        if longest is None or longest.count <= (own.count if own else 0) + 1:
            return False
        last = longest.last
        self._leave(last)
        last.result.set_result(None)
        return True

    def _join(self, ticket: Ticket) -> None:
        line = self._lines.get(ticket.line)
        if line is None:
            line = self._lines[ticket.line] = _Line(ticket.line)
        ticket.since, ticket.number, ticket.is_waiting = self._monotonic(), next(self._numbers), True
        line.add(ticket)
        self.waiting += 1
        self.contested += ticket.costs_a_turn
        self._barriers[ticket.barrier] += 1
        self._wides[ticket.wide] += 1
        # Behind others who wait for the same there is nothing that they would not have got.
        if self._barriers[ticket.barrier] == 1 and not self._is_awake:
            self._look_at(ticket, line)

    def _leave(self, ticket: Ticket) -> None:
        """Safe to call twice."""
        if not ticket.is_waiting:
            return
        ticket.is_waiting = False
        line = self._lines[ticket.line]
        line.remove(ticket)
        if not line.count:
            del self._lines[line.key]
        self.waiting -= 1
        self.contested -= ticket.costs_a_turn
        for counter, what in ((self._barriers, ticket.barrier), (self._wides, ticket.wide)):
            counter[what] -= 1
            if not counter[what]:
                del counter[what]
        if not self.waiting:
            self._stop_timer()

    # ---- turns -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Serve who can be served, in turn, until nobody can."""
        self._is_awake = False
        now = self._monotonic()
        look = _Look(now, at_all=now - self._looked_at_all >= _LOOK_SECONDS)
        if look.at_all:
            self._looked_at_all = now
        is_moving = True
        while is_moving:
            is_moving = False
            for line in list(self._lines.values()):
                if self._is_over(look):
                    break
                is_moving |= self._turn(line, look)
        self._stop_timer()
        self._look_again(look.next_at, now)

    def _look_at(self, ticket: Ticket, line: _Line) -> None:
        """One that just came and waits for what nobody else does."""
        look = _Look(ticket.since, at_all=False)
        if look.is_early(ticket) or (got := self._attempt(ticket)) is None:
            look.close(ticket)
            self._look_again(look.next_at, look.now)
        elif got and ticket.costs_a_turn:
            line.pay()
            self._end_turn(line)

    def _is_over(self, look: _Look) -> bool:
        is_closed = len(look.closed) == len(self._barriers)
        return is_closed or len(look.closed_wide) == len(self._wides)

    def _turn(self, line: _Line, look: _Look) -> bool:
        """One turn of a line, as far as it comes; whether anybody was served. One that is held up keeps its
        place and what is left of its turn."""
        is_served = has_paid = False
        passed: list[Ticket] = []
        while line.first and not (has_paid and line.turns < 1) and not self._is_over(look):
            _, ticket = heappop(line.first)
            if not ticket.is_waiting:
                continue
            if look.passes_by(ticket):
                passed.append(ticket)
            elif look.is_early(ticket) or (got := self._attempt(ticket)) is None:
                look.close(ticket)
                passed.append(ticket)
            else:
                is_served = True
                if got and ticket.costs_a_turn:
                    line.pay()
                    has_paid = True
        for ticket in passed:
            heappush(line.first, (ticket.number, ticket))
        if has_paid:
            self._end_turn(line)
        return is_served

    def _end_turn(self, line: _Line) -> None:
        if line.turns < 1 and line.count:
            self._lines[line.key] = self._lines.pop(line.key)

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

    def _look_again(self, at: float, now: float) -> None:
        """At this moment, if not sooner."""
        if not self.waiting or (self._timer is not None and self._looks_at <= at):
            return
        self._stop_timer()
        self._looks_at = at
        wait = max(at - now, _LEAST_WAIT_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(wait, self._on_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        self._look()

    def _in_order(self) -> Iterator[Ticket]:
        lines = [(min(line.turns, line.weight), line, line.in_order()) for line in self._lines.values()]
        while lines:
            later: list[tuple[int, _Line, Iterator[Ticket]]] = []
            for turns, line, tickets in lines:
                going = list(islice(tickets, turns or line.weight))
                yield from going
                if going:
                    later.append((0, line, tickets))
            lines = later
