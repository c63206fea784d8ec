"""Who waits for long shares a list; who waits shortly gets a timer."""

import asyncio

import pytest

from headgate.timetable import Timetable


class _Waiting:
    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.times = 0

    def moment_came(self) -> None:
        self.times += 1
        self.came.set()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 1.1])
async def test_the_moment_comes_once_and_hardly_early(seconds: float) -> None:
    """Near ones to the millisecond, far ones a sixteenth of a second early at most."""
    loop, waiting = asyncio.get_running_loop(), _Waiting()
    began = loop.time()
    Timetable().add(waiting, seconds)
    await asyncio.wait_for(waiting.came.wait(), 20)
    assert loop.time() - began >= seconds - 1 / 16 - 0.002
    assert waiting.times == 1


@pytest.mark.parametrize("seconds", [0.02, 1.05])
async def test_who_calls_off_is_not_called(seconds: float) -> None:
    """Near or far; and calling off again, or too late, does nothing."""
    timetable, gone, there = Timetable(), _Waiting(), _Waiting()
    place = timetable.add(gone, seconds)
    timetable.add(there, seconds + 0.1)
    timetable.call_off(gone, place)
    timetable.call_off(gone, place)
    await asyncio.wait_for(there.came.wait(), 20)
    assert gone.times == 0


async def test_a_nearer_moment_is_not_kept_waiting_by_a_farther_one() -> None:
    """Whoever comes later may want to be called sooner."""
    timetable, far, near = Timetable(), _Waiting(), _Waiting()
    timetable.add(far, 3600)
    timetable.add(near, 1.05)
    await asyncio.wait_for(near.came.wait(), 20)
    assert far.times == 0


async def test_who_is_called_may_wait_again() -> None:
    """A watch that looks now and then for as long as its connection lives."""
    timetable, again = Timetable(), _Waiting()

    class Watch:
        def moment_came(self) -> None:
            timetable.add(again, 1.01)

    timetable.add(Watch(), 1.01)
    await asyncio.wait_for(again.came.wait(), 20)


async def test_one_that_fails_takes_nobody_along(caplog: pytest.LogCaptureFixture) -> None:
    """Those beside it in the list are called, and so are those of later moments."""
    timetable, beside, later = Timetable(), _Waiting(), _Waiting()

    class Failing(_Waiting):
        def moment_came(self) -> None:
            raise ZeroDivisionError

    for _ in range(20):  # a list has no order: some stand before the failing one, some behind
        timetable.add(Failing(), 1.05)
    timetable.add(beside, 1.05)
    timetable.add(later, 1.3)
    await asyncio.wait_for(beside.came.wait(), 20)
    await asyncio.wait_for(later.came.wait(), 20)
    assert "A timer failed" in caplog.text
