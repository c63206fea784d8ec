"""Limits divided among processes: by rows, in any order, and never more than a limit."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.limits import Limits
from headgate.access.slices import Claim, Demand, Slices, equal_part, in_steps, settle, share_out
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


def test_a_place_for_one_goes_to_the_other_in_its_turn() -> None:
    """Though requests wait where it was: the row is given away when the one that runs has ended."""
    table = Table(1, 2)
    one, other = table.holders
    table.ask(other, 1)
    assert [table.lets_in(one, 1, 0), table.lets_in(other, 1, 0)] == [1, 0]
    table.turn = 1
    assert [table.lets_in(one, 1, 1), table.held(one)] == [0, 1]
    assert table.lets_in(other, 1, 0) == 0
    assert [table.lets_in(one, 1, 0), table.lets_in(other, 1, 0)] == [0, 1]


@given(limit=limits, count=counts)
def test_equal_parts_are_the_whole(limit: int, count: int) -> None:
    assert sum(equal_part(limit, rank, count) for rank in range(count)) == limit


@given(wanted=st.floats(0, 2000), limit=limits)
def test_what_is_wanted_is_rounded_up_within_the_limit(wanted: float, limit: int) -> None:
    assert min(wanted, limit) <= in_steps(wanted, limit) <= limit


class Table:
    """Rows of one pot, as the database keeps them, and who lives."""

    def __init__(self, limit: int, count: int) -> None:
        self.limit = limit
        self.holders = [f"gateway-{number}" for number in range(count)]
        self.rows: dict[str, Claim] = {}
        self.turn = 0

    def ask(self, holder: str, wanted: int, in_use: int = 0, *, is_settled: bool = True) -> bool:
        settled = settle(Demand(self.limit, wanted, in_use, is_settled), holder, self.holders, self.rows)
        self.rows |= settled.rows
        return bool(settled.rows)

    def lets_in(self, holder: str, wanted: int, in_use: int) -> int:
        """The same question; how many may run there from now on."""
        settled = settle(Demand(self.limit, wanted, in_use), holder, self.holders, self.rows, self.turn)
        self.rows |= settled.rows
        assert settled.lets_in is not None
        return settled.lets_in.of(self.limit)

    def held(self, holder: str) -> int:
        if (claim := self.rows.get(holder)) is not None:
            return claim.of(self.limit)
        rank, count = self.holders.index(holder), len(self.holders)
        return 0 if self.rows else equal_part(self.limit, rank, count)

    def all_held(self) -> int:
        return sum(map(self.held, self.holders))


@given(seed=st.integers(), limit=limits, count=counts)
def test_never_more_than_the_limit_is_held(seed: int, limit: int, count: int) -> None:
    """Whoever asks for whatever, joins, dies, or finds another limit."""
    random, table = Random(seed), Table(limit, count)
    for _ in range(100):
        match random.randrange(12):
            case 0:
                table.holders.append(f"gateway-{random.random()}")
                table.holders.sort()
            case 1 if len(table.holders) > 1:
                table.rows.pop(table.holders.pop(random.randrange(len(table.holders))), None)
            case 2:
                table.limit = random.randrange(1, 1000)
            case _:
                holder = random.choice(table.holders)
                in_use = random.randrange(table.held(holder) + 1)
                wanted = random.randrange(table.limit + 1)
                table.ask(holder, wanted, in_use, is_settled=random.random() < 0.5)
                assert table.held(holder) >= in_use
        assert table.all_held() <= table.limit


@given(limit=st.integers(2, 1000), count=st.integers(2, 6), who=st.integers(0, 5))
def test_who_alone_asks_gets_nearly_all(limit: int, count: int, who: int) -> None:
    """After it asked, the others looked, and it asked once more; the others keep an eighth at most."""
    table = Table(limit, count)
    asking = table.holders[who % count]
    table.ask(asking, limit)
    for other in table.holders:
        if other != asking:
            table.ask(other, 0)
    table.ask(asking, limit)
    assert table.held(asking) >= limit - max(limit / 8, count - 1)
    assert table.all_held() == limit
    assert not any(table.ask(one, limit if one == asking else 0) for one in table.holders)


def test_two_who_ask_have_equal_parts_in_the_end() -> None:
    table = Table(60, 2)
    one, other = table.holders
    for _ in range(2):
        table.ask(one, 60)
        table.ask(other, 0)
    assert table.held(one) > 50
    table.ask(other, 60)
    table.ask(one, 60)
    table.ask(other, 60)
    assert (table.held(one), table.held(other)) == (30, 30)


def test_what_runs_is_given_away_when_it_ends() -> None:
    table = Table(8, 2)
    one, other = table.holders
    for _ in range(2):
        table.ask(one, 8, 4)
        table.ask(other, 0)
    held = table.held(one)
    table.ask(other, 4)
    table.ask(one, 8, in_use=held)
    assert table.held(one) == held
    table.ask(one, 0, in_use=2)
    table.ask(other, 4)
    assert table.held(other) >= 4


def test_who_is_never_idle_gives_away_what_others_want() -> None:
    """Hundreds may wait there for a place that is free, and fill each one as soon as it is."""
    table = Table(8, 2)
    one, other = table.holders
    running = 4
    for _ in range(2):
        running = max(running, table.lets_in(one, 8, running))
        table.ask(other, 0)
    assert running == 7
    table.ask(other, 8)
    assert (table.lets_in(one, 8, running), table.held(one)) == (4, 7)  # what runs is nobody else's yet
    assert (table.lets_in(one, 8, 4), table.lets_in(other, 8, 1)) == (4, 4)


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


@given(seed=st.integers(), count=st.integers(2, 4), limit=st.integers(4, 120))
def test_several_gates_let_in_no_more_than_one(seed: int, count: int, limit: int) -> None:
    """In whatever order they ask and divide anew: a minute at once, and then what comes back."""
    random, clock, table = Random(seed), HandClock(), Table(limit, count)
    key = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(rpm=limit))
    gates = {holder: Gate(clock) for holder in table.holders}
    for rank, gate in enumerate(gates.values()):
        gate.use_slices(Slices(rank, count))
    let_in = 0
    for _ in range(150):
        clock.at += random.choice((0.0, 0.0, 0.1, 1.0, 5.0))
        holder = random.choice(table.holders) if random.random() < 0.3 else table.holders[0]
        for _ in range(random.randrange(30)):
            let_in += lets_in(gates[holder], key)
        if random.random() < 0.5:
            demand = gates[holder].demands({1: key}.get).get((1, "requests"), Demand(limit, 0))
            table.ask(holder, demand.wanted)
            rank, claim = table.holders.index(holder), table.rows.get(holder)
            held = {} if claim is None else {(1, "requests"): claim}
            gates[holder].use_slices(Slices(rank, count, held))
        assert let_in <= limit + (clock.at - START) * limit / 60 + 1e-3
