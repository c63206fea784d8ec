"""One timer serves a moving deadline."""

import asyncio
import socket
import time

from headgate.timetable import Place, Timetable, Waiting
from headgate.upstream.deadline import NEVER, Deadline


class Rig:
    """A deadline on the running loop's own time, and how often a place was taken for it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timetable = Timetable()
        self.fired = asyncio.Event()
        self.armed = 0
        self.deadline = Deadline(self, self.loop.time, self.fired.set)  # type: ignore[arg-type]

    def add(self, waiting: Waiting, seconds: float) -> Place:
        self.armed += 1
        return self.timetable.add(waiting, seconds)

    def call_off(self, waiting: Waiting, place: Place) -> None:
        self.timetable.call_off(waiting, place)

    def set_in(self, seconds: float) -> None:
        now = self.loop.time()
        self.deadline.set(now + seconds, now)


async def test_a_deadline_that_only_moves_later_arms_one_timer() -> None:
    """A connection that serves a thousand requests a second arms a handful in its life."""
    rig = Rig()
    for step in range(1000):
        rig.set_in(60 + step)
    assert rig.armed == 1
    rig.deadline.cancel()


async def test_it_fires_at_the_last_moment_set_and_not_before() -> None:
    """The timer that fires early arms itself for the rest."""
    rig = Rig()
    start = rig.loop.time()
    rig.set_in(0.02)
    rig.set_in(0.1)
    await rig.fired.wait()
    assert rig.loop.time() - start >= 0.099
    assert rig.armed >= 2


async def test_a_moment_that_moves_nearer_is_kept() -> None:
    """An idle limit shorter than the first byte's."""
    rig = Rig()
    start = rig.loop.time()
    rig.set_in(30)
    rig.set_in(0.02)
    await rig.fired.wait()
    assert rig.loop.time() - start < 10


async def test_a_deadline_switched_off_does_not_fire() -> None:
    """By assignment, which is what a wake-up costs, or for good."""
    for switch in ("assigned", "cancelled"):
        rig = Rig()
        rig.set_in(0.01)
        if switch == "assigned":
            rig.deadline.at = NEVER
        else:
            rig.deadline.cancel()
        later = rig.loop.create_future()
        rig.loop.call_later(0.05, later.set_result, None)
        await later
        assert not rig.fired.is_set()
        rig.set_in(0.01)
        await rig.fired.wait()


async def test_after_a_stall_what_came_meanwhile_counts() -> None:
    """Both loops read sockets before they look at timers: a busy machine makes no timeouts."""
    rig = Rig()
    ours, theirs = socket.socketpair()
    rig.loop.add_reader(ours, lambda: rig.set_in(60))
    rig.set_in(0.02)
    theirs.send(b"!")
    stalled_until = time.monotonic() + 0.05
    while time.monotonic() < stalled_until:
        pass
    await asyncio.sleep(0.02)
    assert not rig.fired.is_set()
    rig.loop.remove_reader(ours)
    rig.deadline.cancel()
    ours.close()
    theirs.close()
