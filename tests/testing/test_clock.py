import time
from pathlib import Path

import pytest

from headgate.testing.clock import SharedClock


def test_advance_is_seen_through_every_handle(tmp_path: Path) -> None:
    ours, theirs = SharedClock(tmp_path / "clock"), SharedClock(tmp_path / "clock")
    before = theirs.now(), theirs.monotonic()
    ours.advance(3600)
    assert theirs.offset == 3600
    assert theirs.now() - before[0] >= 3600 and theirs.monotonic() - before[1] >= 3600
    ours.close()
    theirs.close()


def test_new_clock_shows_the_machines_time(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock")
    assert abs(clock.now() - time.time()) < 1
    clock.close()


def test_offset_outlives_its_handle(tmp_path: Path) -> None:
    first = SharedClock(tmp_path / "clock")
    first.advance(1.5)
    first.close()
    second = SharedClock(tmp_path / "clock")
    assert second.offset == 1.5
    second.close()


def test_clock_does_not_go_back(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock")
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    clock.close()


def test_a_set_wall_clock_lets_no_time_pass(tmp_path: Path) -> None:
    """As NTP or an owner sets it, in either direction; what passed besides stays."""
    clock = SharedClock(tmp_path / "clock")
    clock.advance(10)
    before = clock.now(), clock.monotonic()
    clock.set_wall(-3600)
    assert -3600 <= clock.now() - before[0] < -3590 and 0 <= clock.monotonic() - before[1] < 10
    clock.set_wall(7200)
    assert 3600 <= clock.now() - before[0] < 3610
    assert clock.offset == 10
    clock.close()


def test_a_held_clock_is_moved_by_its_test_alone(tmp_path: Path) -> None:
    ours, theirs = SharedClock(tmp_path / "clock"), SharedClock(tmp_path / "clock")
    ours.hold()
    before = ours.now(), ours.monotonic()
    assert (theirs.now(), theirs.monotonic()) == before
    ours.advance(10)
    ours.set_wall(-4)
    assert (theirs.now(), theirs.monotonic()) == (before[0] + 6, before[1] + 10)
    ours.close()
    theirs.close()
