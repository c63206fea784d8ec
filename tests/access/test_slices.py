"""Limits divided among processes: what is whose, and what a gate lets in by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.limits import Limits
from headgate.access.slices import Claim, Slices, equal_part, in_steps, share_out
from headgate.errors import RateLimited
from tests.access.test_limits import START, HandClock

counts = st.integers(1, 6)
limits = st.integers(1, 1000)


@given(limit=limits, wanted=st.lists(st.integers(0, 2000), min_size=1, max_size=6))
def test_all_of_a_limit_is_shared_out_fairly(limit: int, wanted: list[int]) -> None:
    """Who wants more than he has has no less than anybody else, but for one that cannot be divided."""
    parts = share_out(limit, wanted)
    assert sum(parts) == limit
    for part, asked in zip(parts, wanted, strict=True):
        assert part >= min(asked, limit // len(wanted))
        if part < asked:
            assert part >= max(parts) - 1


@given(limit=st.integers(1, 5), wanted=st.lists(st.integers(0, 5), min_size=2, max_size=6))
def test_where_there_is_too_little_for_one_each_it_goes_round(limit: int, wanted: list[int]) -> None:
    asking = sum(map(bool, wanted))
    turns = [share_out(limit, wanted, turn) for turn in range(asking)]
    assert {sum(parts) for parts in turns} <= {limit}
    if limit < asking:
        assert [sum(parts) for parts in zip(*turns, strict=True)] == [limit * bool(one) for one in wanted]


@given(limit=limits, count=counts)
def test_equal_parts_are_the_whole(limit: int, count: int) -> None:
    assert sum(equal_part(limit, rank, count) for rank in range(count)) == limit


@given(wanted=st.floats(0, 2000), limit=limits)
def test_what_is_wanted_is_rounded_up_within_the_limit(wanted: float, limit: int) -> None:
    assert min(wanted, limit) <= in_steps(wanted, limit) <= limit


def test_without_the_database_who_held_little_has_an_equal_part_later_than_who_held_much() -> None:
    """First the one gives up what it had more, and then the other takes it."""
    much, little = (
        Slices(rank, 2, {(1, "running"): Claim(granted, 16, 0)}, ("one", "other"))
        for rank, granted in enumerate((15, 1))
    )
    careful = [slices.careful().part(1, "running", 16) for slices in (much, little)]
    assert careful == [8, 1]
    assert [slices.careful().forgotten().part(1, "running", 16) for slices in (much, little)] == [8, 8]


def test_of_a_higher_limit_no_more_is_held_and_of_a_lower_one_what_it_lacks_is_lost() -> None:
    """The others may have taken all of the one, and run all that they held of the other."""
    claim = Claim(9, 12, 0)
    assert [claim.of(limit) for limit in (20, 12, 10, 3, 1)] == [9, 9, 7, 0, 0]


# ---- at the gate -----------------------------------------------------------------------------------

KEY = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(rpm=60))


def lets_in(gate: Gate, key: ClientKey = KEY) -> bool:
    try:
        gate.enter(key, 0).settle(None, None)
    except RateLimited:
        return False
    return True


def count_let_in(gate: Gate, key: ClientKey = KEY) -> int:
    count = 0
    while lets_in(gate, key):
        count += 1
    return count


def test_a_gate_lets_in_its_part() -> None:
    gate = Gate(HandClock())
    gate.use_slices(Slices(1, 3))
    assert count_let_in(gate) == 20
    with pytest.raises(RateLimited) as refused:
        gate.enter(KEY, 0)
    assert refused.value.limit == 60  # what the key may have, not what is here
    assert "60 requests a minute" in refused.value.hint


def test_what_is_taken_on_comes_used_up() -> None:
    """Somebody else may have used it in this minute; it comes back as fast as the greater part does."""
    clock = HandClock()
    gate = Gate(clock)
    gate.use_slices(Slices(0, 2))
    assert count_let_in(gate) == 30
    gate.use_slices(Slices(0, 2, {(1, "requests"): Claim(60, 60, 60)}))
    assert count_let_in(gate) == 0
    clock.at += 10
    assert count_let_in(gate) == 10
    clock.at += 120
    assert count_let_in(gate) == 60


def test_what_is_given_away_takes_its_part_of_what_was_used() -> None:
    clock = HandClock()
    gate = Gate(clock)
    for _ in range(30):
        assert lets_in(gate)
    gate.use_slices(Slices(0, 2, {(1, "requests"): Claim(20, 60, 0)}))
    assert count_let_in(gate) == 10


def test_who_holds_nothing_lets_nobody_in_and_says_so() -> None:
    lacked: list[bool] = []
    for what, own in (
        ("requests", Limits(rpm=1)),
        ("tokens", Limits(tpm=1)),
        ("running", Limits(concurrency=1)),
    ):
        key = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=own)
        gate = Gate(HandClock())
        gate.on_lack = lambda: lacked.append(True)
        gate.use_slices(Slices(1, 2))
        with pytest.raises(RateLimited) as refused:
            gate.enter(key, 4)
        assert refused.value.wait_seconds == 1.0
        (pot, demand), *_ = gate.demands({1: key}.get).items()
        assert (pot, demand.wanted) == ((1, what), 1)
    assert len(lacked) == 3


def test_tokens_are_settled_by_the_part_that_is_held_then() -> None:
    clock = HandClock()
    key = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(tpm=600))
    gate = Gate(clock)
    gate.use_slices(Slices(0, 2))
    reservation = gate.enter(key, 4 * 300)
    gate.use_slices(Slices(0, 2, {(1, "tokens"): Claim(600, 600, 600)}))
    reservation.settle(None, None)
    assert gate.meter_of(1).tokens.left(600, START) == 300  # what came on top comes back with time
