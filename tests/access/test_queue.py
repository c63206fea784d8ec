"""Who goes next where requests wait, against what the order promises."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.queue import FairQueue, Ticket


class Slots:
    """Something of which there is so much: a served request holds one until it gives it back."""

    def __init__(self, queue: FairQueue, free: int = 0) -> None:
        self.queue = queue
        self.free = free
        self.order: list[int] = []

    def ticket(self, line: int, *, weight: int = 1, **fields: Any) -> Ticket:
        def attempt() -> str | None:
            if not self.free:
                return None
            self.free -= 1
            self.order.append(line)
            return "slot"

        def give_back(got: object) -> None:
            self.free += 1

        fields = {"attempt": attempt, "give_back": give_back, "barrier": "slot", **fields}
        return Ticket(line=line, weight=weight, **fields)

    async def release(self) -> None:
        """One more is free; returns when the queue has seen it."""
        self.free += 1
        self.queue.wake()
        await settled()


async def settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


class Hashed:
    """What is waited for; those of one name are the same. `times`: how often any of them was looked up."""

    times = 0

    def __init__(self, name: int = 0) -> None:
        self.name = name

    def __hash__(self) -> int:
        Hashed.times += 1
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.name == other.name


def queue_of(most: int = 10_000) -> FairQueue:
    return FairQueue(time.monotonic, most=most)


async def begun(queue: FairQueue, *tickets: Ticket, seconds: float = 30) -> list["asyncio.Task[Any]"]:
    tasks = [asyncio.create_task(queue.wait(ticket, seconds)) for ticket in tickets]
    await settled()
    return tasks


async def ended(tasks: list["asyncio.Task[Any]"], queue: FairQueue) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (queue.waiting, queue.contested, queue.counts()) == (0, 0, {})


async def test_one_request_waits_for_a_single_turn_of_five_hundred() -> None:
    queue = queue_of()
    slots = Slots(queue)
    tasks = await begun(queue, *(slots.ticket(1) for _ in range(500)))
    await slots.release()
    tasks += await begun(queue, slots.ticket(2))
    await slots.release()
    await slots.release()
    assert slots.order in ([1, 1, 2], [1, 2, 1])
    await ended(tasks, queue)


@given(
    lines=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30)), min_size=1, max_size=6).map(
        lambda drawn: dict(enumerate(drawn, 1))
    ),
    at_a_time=st.lists(st.integers(1, 5), min_size=1, max_size=5),
)
def test_while_a_line_waits_no_other_has_more_than_its_turn(
    lines: dict[int, tuple[int, int]], at_a_time: list[int]
) -> None:
    """Between two of its turns each other line has one, of its weight; in all, nobody is left out."""

    async def run() -> list[int]:
        queue = queue_of()
        slots = Slots(queue)
        tickets = [
            slots.ticket(line, weight=weight)
            for turn in range(30)
            for line, (weight, count) in lines.items()
            if turn < count
        ]
        tasks = await begun(queue, *tickets)
        step = 0
        while len(slots.order) < len(tickets):
            slots.free += at_a_time[step % len(at_a_time)]
            step += 1
            queue.wake()
            await settled()
        assert await asyncio.gather(*tasks) == ["slot"] * len(tasks)
        assert (queue.waiting, queue.counts()) == (0, {})
        return slots.order

    order = asyncio.run(run())
    for line, (weight, count) in lines.items():
        places = [place for place, served in enumerate(order) if served == line]
        assert len(places) == count
        turns = [places[n] for n in range(0, count, weight)]
        for begin, after in pairwise([-1, *turns]):
            between = order[begin + 1 : after]
            for other, (their_weight, _) in lines.items():
                if other != line:
                    assert between.count(other) <= their_weight, (line, other, order)


async def test_what_is_shown_is_the_order_in_which_they_go() -> None:
    queue = queue_of()
    slots = Slots(queue)
    tickets = [slots.ticket(1, request_id=f"a{n}", weight=2, why="an account") for n in range(5)]
    tickets += [slots.ticket(2, request_id="b0"), slots.ticket(2, request_id="b1")]
    tasks = await begun(queue, *tickets)
    shown = queue.shown(100)
    assert [one.request_id for one in shown] == ["a0", "a1", "b0", "a2", "a3", "b1", "a4"]
    assert [one.position for one in queue.shown(3)] == [1, 2, 3]
    assert shown[0].why == "an account" and shown[0].waited_seconds >= 0
    assert (queue.counts(), queue.waiting) == ({1: 5, 2: 2}, 7)
    for one in shown:
        assert queue.shown(1)[0].request_id == one.request_id
        await slots.release()
    assert [task.result() for task in tasks] == ["slot"] * 7


async def test_a_line_that_is_held_up_for_its_own_reason_holds_up_nobody() -> None:
    queue = queue_of()
    slots = Slots(queue)
    tasks = await begun(queue, slots.ticket(1, attempt=lambda: None, barrier="its own"), slots.ticket(1))
    tasks += await begun(queue, slots.ticket(2))
    await slots.release()
    await slots.release()
    assert slots.order == [1, 2]
    assert queue.waiting == 1
    await ended(tasks, queue)


async def test_what_costs_no_turn_is_served_beside_the_others() -> None:
    """A key's own limit is taken from nobody: it passes those who wait for an account."""
    queue = queue_of()
    slots = Slots(queue)
    tasks = await begun(queue, *(slots.ticket(1) for _ in range(3)))
    own = slots.ticket(2, attempt=lambda: "its own", barrier="key 2", costs_a_turn=False)
    (task,) = await begun(queue, own)
    assert task.result() == "its own"
    assert queue.contested == 3
    await ended(tasks, queue)


async def test_time_ends_the_wait() -> None:
    queue = queue_of()
    slots = Slots(queue)
    assert await queue.wait(slots.ticket(1), 0.01) is None
    assert queue.waiting == 0
    slots.free = 1
    assert await queue.wait(slots.ticket(1), 5) == "slot"


async def test_who_leaves_gives_back_what_he_was_just_given() -> None:
    queue = queue_of()
    slots = Slots(queue, free=0)
    first, second = await begun(queue, slots.ticket(1), slots.ticket(2))
    slots.free = 1
    queue._look()  # it is granted, and its task has not run yet
    assert slots.order == [1]
    first.cancel()
    await settled()
    assert first.cancelled()
    assert second.result() == "slot"
    assert slots.order == [1, 2]


async def test_an_attempt_that_raises_ends_that_wait_alone() -> None:
    queue = queue_of()
    slots = Slots(queue)

    def refused() -> None:
        raise LookupError("revoked")

    bad, good = await begun(queue, slots.ticket(1, attempt=refused), slots.ticket(1))
    with pytest.raises(LookupError, match="revoked"):
        await bad
    await slots.release()
    assert good.result() == "slot"


async def test_a_full_queue_takes_from_the_longest_line_for_a_shorter() -> None:
    queue = queue_of(most=4)
    slots = Slots(queue)
    tasks = await begun(queue, *(slots.ticket(1) for _ in range(5)))
    assert [task.done() for task in tasks] == [False] * 4 + [True]
    assert tasks[4].result() is None
    tasks += await begun(queue, slots.ticket(2))
    assert [task.done() for task in tasks] == [False] * 3 + [True, True, False]
    tasks += await begun(queue, slots.ticket(2), slots.ticket(2))
    assert queue.counts() == {1: 2, 2: 2}
    assert tasks[-1].result() is None
    await ended(tasks, queue)


async def test_a_full_queue_keeps_nobody_from_what_no_other_waits_for() -> None:
    """Five hundred that wait for one account are no reason to refuse what an idle one could serve."""
    queue = queue_of(most=2)
    slots, others = Slots(queue), Slots(queue, free=1)
    tasks = await begun(queue, *(slots.ticket(1) for _ in range(2)))
    assert await queue.wait(others.ticket(1, barrier="other"), 5) == "slot"
    assert await queue.wait(others.ticket(1, barrier="other"), 5) is None
    assert await queue.wait(slots.ticket(1), 5) is None
    assert queue.waiting == 2
    await ended(tasks, queue)


async def test_a_moment_that_has_passed_is_not_looked_at_again_and_again() -> None:
    """It is of one that waits behind another, whose own moment counts."""
    queue = queue_of()
    slots = Slots(queue)
    now = time.monotonic()
    tickets = [slots.ticket(1, opens_at=now + 60), slots.ticket(2, opens_at=now - 1)]
    tasks = await begun(queue, *tickets)
    assert queue._timer is not None
    assert queue._timer.when() - asyncio.get_running_loop().time() > 0.5
    await ended(tasks, queue)


async def test_a_look_ends_where_nobody_can_be_served_any_more() -> None:
    """Thousands of keys may have a request that waits for the same: each end of one looks at the first."""
    queue = queue_of()
    slots = Slots(queue)
    tasks = await begun(queue, *(slots.ticket(line, barrier=Hashed()) for line in range(200)))
    Hashed.times = 0
    queue._look()
    assert Hashed.times < 10
    await ended(tasks, queue)


async def test_who_comes_looks_at_no_other() -> None:
    """Or five thousand that come would look at one another; what each has to say is known."""
    queue = queue_of()
    asked = 0

    def attempt() -> None:
        nonlocal asked
        asked += 1

    slots = Slots(queue)
    tasks = []
    for number in range(300):
        tasks += await begun(queue, slots.ticket(number % 5, attempt=attempt, barrier=number % 100))
    assert asked == 100
    await ended(tasks, queue)


async def test_where_all_is_taken_one_attempt_says_so() -> None:
    """A client may name another model in each of its requests."""
    queue = queue_of()
    slots = Slots(queue)
    asked, is_taken = 0, True

    def attempt() -> str | None:
        nonlocal asked
        asked += 1
        return None if is_taken else "slot"

    tickets = [
        slots.ticket(n % 3, attempt=attempt, barrier=n, wide="accounts", is_wide_closed=lambda: is_taken)
        for n in range(100)
    ]
    tasks = await begun(queue, *tickets)
    asked = 0
    queue._look()
    assert asked == 1
    is_taken = False
    queue._look()
    assert await asyncio.gather(*tasks) == ["slot"] * 100


async def test_who_goes_next_is_found_without_asking_all() -> None:
    """One place among three hundred requests, each for a model of its own."""
    queue = queue_of()
    slots = Slots(queue)
    fields = {"wide": "accounts", "is_wide_closed": lambda: not slots.free}
    tasks = await begun(queue, *(slots.ticket(1, barrier=Hashed(n), **fields) for n in range(300)))
    Hashed.times, slots.free = 0, 1
    queue._look()
    assert slots.order == [1] and Hashed.times < 30
    await ended(tasks, queue)


async def test_a_lower_weight_is_in_force_with_the_next_that_comes() -> None:
    """A line that is never empty would keep what is left of its turn for ever."""
    queue = queue_of()
    slots = Slots(queue)
    tasks = await begun(queue, *(slots.ticket(1, weight=1000) for _ in range(3)), slots.ticket(2))
    await slots.release()
    tasks += await begun(queue, slots.ticket(1, weight=1))
    assert [one.line for one in queue.shown(9)] == [1, 2, 1, 1]
    for _ in range(3):
        await slots.release()
    assert slots.order == [1, 1, 2, 1]
    await ended(tasks, queue)


async def test_nobody_waits_where_the_queue_is_off() -> None:
    queue = queue_of(most=0)
    assert await queue.wait(Slots(queue).ticket(1), 5) is None


async def test_a_known_moment_is_waited_for_and_not_asked_before() -> None:
    queue = queue_of()
    asked: list[float] = []
    opens_at = time.monotonic() + 0.05

    def attempt() -> str | None:
        asked.append(time.monotonic())
        return "open" if asked[-1] >= opens_at else None

    ticket = Slots(queue).ticket(1, attempt=attempt, opens_at=opens_at)
    queue._looked_at_all = time.monotonic()
    task = asyncio.create_task(queue.wait(ticket, 5))
    await settled()
    queue.wake()
    assert await task == "open"
    assert len(asked) == 1 and asked[0] >= opens_at


async def test_what_nobody_tells_of_is_seen_within_a_second() -> None:
    """A limit that was raised, say: a wrong moment must not hold up for long."""
    queue = queue_of()
    slots = Slots(queue)
    task = asyncio.create_task(queue.wait(slots.ticket(1, opens_at=time.monotonic() + 60), 20))
    await settled()
    slots.free = 1
    began = time.monotonic()
    assert await task == "slot"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("leave", [lambda task: task.cancel(), lambda task: None])
async def test_no_timer_is_left_behind(leave: Callable[["asyncio.Task[Any]"], object]) -> None:
    queue = queue_of()
    slots = Slots(queue)
    (task,) = await begun(queue, slots.ticket(1), seconds=0.05)
    assert queue._timer is not None
    leave(task)
    await asyncio.gather(task, return_exceptions=True)
    assert queue._timer is None
