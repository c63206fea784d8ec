"""The arithmetic of limits, compared with models that are slow and plain."""

from collections import deque
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.limits import Limits, Rate, Spending, day_of, week_begin
from headgate.access.meter import Reservation, Sold
from headgate.access.slices import Slices
from headgate.dialects.usage import Usage
from headgate.errors import BudgetExceeded, RateLimited
from tests.pricing.costs import NANO, cost_of

START = 1_700_000_000.0
HAIKU = "claude-haiku-4-5"
SOLD = Sold(HAIKU)


class HandClock:
    def __init__(self) -> None:
        self.at = START
        self.set_by = 0.0
        """Seconds by which the wall clock alone was set."""

    def now(self) -> float:
        return self.at + self.set_by

    def monotonic(self) -> float:
        return self.at


def gate_with(**limits: Any) -> tuple[Gate, HandClock, ClientKey]:
    clock = HandClock()
    key = ClientKey(id=1, name="laptop", digest=b"x" * 32, limits=Limits(**limits))
    return Gate(clock), clock, key


@given(
    per_minute=st.integers(1, 100),
    pauses=st.lists(st.one_of(st.just(0.0), st.floats(0, 90, allow_nan=False)), max_size=200),
)
def test_a_rate_lets_in_what_a_bucket_would(per_minute: int, pauses: list[float]) -> None:
    """The plain model: a bucket that fills by the second. Only where it is full to a hair may they differ."""
    rate, level, now = Rate(), float(per_minute), START
    for pause in pauses:
        now += pause
        level = min(per_minute, level + pause * per_minute / 60)
        lets_in = rate.wait(1, per_minute, now) <= 0
        assert abs(level - 1) < 1e-3 or lets_in == (level >= 1)
        if lets_in:
            rate.use(1, per_minute, now)
            level -= 1


@given(per_minute=st.integers(1, 10_000))
def test_who_asks_just_in_time_is_never_refused(per_minute: int) -> None:
    rate, now = Rate(START + 60), START
    for number in range(50):
        now = START + (number + 1) * 60 / per_minute
        assert rate.wait(1, per_minute, now) == 0
        rate.use(1, per_minute, now)


@given(per_minute=st.integers(1, 50), steps=st.lists(st.floats(0.01, 30), min_size=1, max_size=300))
def test_no_minute_sees_more_than_two_of_its_limits(per_minute: int, steps: list[float]) -> None:
    """What came back while a first burst was used: never more than the limit and a minute's return."""
    rate, now, seen = Rate(), START, deque[float]()
    for step in steps:
        now += step / per_minute
        if rate.wait(1, per_minute, now) <= 0:
            rate.use(1, per_minute, now)
            seen.append(now)
        while seen and seen[0] <= now - 60:
            seen.popleft()
        assert len(seen) <= 2 * per_minute


def test_many_at_once_get_exactly_the_limit() -> None:
    gate, clock, key = gate_with(rpm=100)
    let_in = 0
    for _ in range(1000):
        try:
            gate.enter(key, 100).settle(SOLD, Usage(1, 1))
            let_in += 1
        except RateLimited as refusal:
            assert 0 < refusal.wait_seconds <= 0.6 + 1e-6
    assert let_in == 100
    clock.at += 30
    again = sum(1 for _ in range(1000) if _enters(gate, key) is not None)
    assert again == 50


def test_a_key_is_full_until_one_of_its_requests_ends() -> None:
    """And it is never said where other gateways have a part of it, which they would give."""
    gate, _, key = gate_with(concurrency=2)
    first, _ = gate.enter(key, 0), gate.enter(key, 0)
    assert gate.is_full(key)
    first.settle(None, None)
    assert not gate.is_full(key)
    gate.use_slices(Slices(0, 2))
    assert not gate.is_full(key)


def test_ten_thousand_keys_keep_to_their_own_limits() -> None:
    """100 000 requests in a mixed order: each key gets exactly what it may, whatever the others do."""
    clock = HandClock()
    gate, random = Gate(clock), Random(5)
    keys = [
        ClientKey(id=n + 1, name=f"k{n}", digest=n.to_bytes(32), limits=Limits(rpm=1 + n % 13, total_usd=4.0))
        for n in range(10_000)
    ]
    asked, let_in = [0] * len(keys), [0] * len(keys)
    running: list[tuple[int, Reservation]] = []
    for _ in range(100_000):
        number = random.randrange(len(keys))
        asked[number] += 1
        if (reservation := _enters(gate, keys[number])) is not None:
            let_in[number] += 1
            running.append((number, reservation))
        if len(running) > 500:
            _, reservation = running.pop(random.randrange(len(running)))
            reservation.settle(SOLD, Usage(100, 20))
    for _, reservation in running:
        reservation.settle(SOLD, Usage(100, 20))
    cost = cost_of(HAIKU, Usage(100, 20))
    for number, key in enumerate(keys):
        meter = gate.meter_of(key.id)
        assert meter.spending.total == let_in[number] * cost
        assert (meter.running, meter.reserved) == (0, 0)
        assert let_in[number] == min(asked[number], 1 + number % 13)


def _enters(gate: Gate, key: ClientKey) -> Reservation | None:
    try:
        return gate.enter(key, 100)
    except (RateLimited, BudgetExceeded):
        return None


def test_no_more_run_at_one_time_than_may() -> None:
    gate, _, key = gate_with(concurrency=3)
    running = [_enters(gate, key) for _ in range(5)]
    let_in = [one for one in running if one is not None]
    assert len(let_in) == 3
    for _ in range(2):
        let_in[0].settle(SOLD, None)  # a second time frees nothing more
    assert [_enters(gate, key) is not None for _ in range(2)] == [True, False]


def test_tokens_are_settled_by_what_was_used() -> None:
    """The guess is given back; a request larger than a minute's limit is let in when all of it is free."""
    gate, clock, key = gate_with(tpm=1000)
    first = gate.enter(key, 4 * 600)  # guessed: 600
    assert _enters(gate, key) is not None  # 25 by its bytes
    first.settle(SOLD, Usage(50, 50, 1_000_000))  # the prompt cache's do not count
    large = _enters(gate, key)
    assert large is not None
    large.settle(SOLD, Usage(3000, 0))
    assert _enters(gate, key) is None
    clock.at += 60
    assert _enters(gate, key) is None  # two minutes' worth was used beyond
    clock.at += 180
    assert _enters(gate, key) is not None


@given(
    st.lists(
        st.tuples(st.integers(0, 50_000), st.integers(0, 5_000), st.floats(0, 100_000)),
        min_size=1,
        max_size=60,
    )
)
def test_a_budget_is_exact_after_settlement(used: list[tuple[int, int, float]]) -> None:
    """One after the other: a request is let in exactly while less than the budget of its day was used."""
    gate, clock, key = gate_with(daily_usd=0.02)
    spent: dict[int, int] = {}
    for input_tokens, output_tokens, pause in used:
        clock.at += pause
        today = spent.get(day_of(clock.at), 0)
        usage = Usage(input_tokens, output_tokens)
        try:
            reservation = gate.enter(key, 0)
        except BudgetExceeded as refusal:
            assert today >= 0.02 * NANO
            assert "laptop" in refusal.message and "a day" in refusal.message
            continue
        assert today < 0.02 * NANO
        reservation.settle(SOLD, usage)
        spent[day_of(clock.at)] = today + cost_of(HAIKU, usage)
    meter = gate.meter_of(key.id)
    assert meter.spending.total == sum(spent.values())
    assert (meter.running, meter.reserved) == (0, 0)


def test_requests_at_once_are_let_in_by_what_they_may_cost() -> None:
    """The mean of those before is kept free for each that runs."""
    gate, _, key = gate_with(total_usd=1.0)
    gate.enter(key, 0).settle(SOLD, Usage(100_000, 0))  # ten cents
    running = [one for _ in range(100) if (one := _enters(gate, key)) is not None]
    assert len(running) == 9
    with pytest.raises(RateLimited, match="Rate limit") as refusal:
        gate.enter(key, 0)  # it may still be let in: what a client is told to be used up it does not repeat
    assert (refusal.value.wait_seconds, refusal.value.is_by_time) == (1, False)
    assert "$1.00 in all, and its running requests may need" in refusal.value.hint
    for one in running:
        one.settle(SOLD, Usage(100_000, 0))
    with pytest.raises(BudgetExceeded):
        gate.enter(key, 0)


def test_a_first_burst_is_let_in_by_what_it_sends() -> None:
    """Nothing is known of a new key: thousands of requests at once must not pass a budget of a dollar."""
    gate, _, key = gate_with(daily_usd=1.0)
    running = []
    with pytest.raises(RateLimited):
        running += [gate.enter(key, 100_000, HAIKU) for _ in range(1000)]
    cost = cost_of(HAIKU, Usage(25_000, 500))
    meter = gate.meter_of(key.id)
    assert 0 < meter.reserved - NANO <= cost
    assert meter.running == meter.reserved // cost


@pytest.mark.parametrize("cents", [107, 214, 428, 10, 1])
def test_who_has_used_a_budget_to_the_cent_has_nothing_left(cents: int) -> None:
    """$1.07 as a float is a hair more in nano-USD than 107 cents are."""
    gate, _, key = gate_with(total_usd=cents / 100)
    gate.enter(key, 0).settle(SOLD, Usage(cents * 10_000, 0))
    with pytest.raises(BudgetExceeded, match="in all"):
        gate.enter(key, 0)


def test_a_small_budget_is_not_said_to_be_none() -> None:
    gate, _, key = gate_with(daily_usd=0.001)
    gate.enter(key, 0).settle(SOLD, Usage(1350, 0))
    with pytest.raises(BudgetExceeded, match=r"has used \$0.00135 of \$0.001 a day"):
        gate.enter(key, 0)


def test_requests_at_once_do_not_pass_the_tokens_of_five_hours_together() -> None:
    """The mean of those before is kept free for each that runs; who is refused by that may soon come back."""
    gate, clock, key = gate_with(window_tokens=1000)
    gate.enter(key, 0).settle(SOLD, Usage(100, 0))
    running = [one for _ in range(100) if (one := _enters(gate, key)) is not None]
    assert len(running) == 9
    with pytest.raises(RateLimited) as refusal:
        gate.enter(key, 0)
    assert refusal.value.wait_seconds == 1
    for one in running:
        one.settle(SOLD, Usage(100, 0))
    with pytest.raises(RateLimited) as refusal:
        gate.enter(key, 0)
    assert refusal.value.wait_seconds == 5 * 3600
    clock.at += 5 * 3600
    assert _enters(gate, key) is not None


def test_weeks_begin_on_monday() -> None:
    gate, clock, key = gate_with(weekly_usd=0.1)
    clock.at = 1_767_225_600.0 + 3 * 86_400  # Sunday, 4 January 2026
    gate.enter(key, 0).settle(SOLD, Usage(100_000, 0))
    with pytest.raises(BudgetExceeded, match="a week") as refusal:
        gate.enter(key, 0)
    assert "2026-01-05 00:00 UTC" in refusal.value.hint
    clock.at += 86_400
    gate.enter(key, 0)


@given(st.integers(0, 40_000))
def test_a_week_has_seven_days(day: int) -> None:
    assert 0 <= day - week_begin(day) < 7
    assert (week_begin(day) + 3) % 7 == 0


@pytest.mark.parametrize("seconds", [-40 * 86_400, -3600, -1, 3600])
def test_a_minute_is_one_however_the_clock_is_set(seconds: float) -> None:
    """Set back by an hour, it must not take an hour until a key may ask again."""
    gate, clock, key = gate_with(rpm=60, tpm=6000)
    for _ in range(60):
        gate.enter(key, 400)
    clock.set_by = seconds
    clock.at += 2
    assert [_enters(gate, key) is not None for _ in range(3)] == [True, True, False]
    with pytest.raises(RateLimited) as refusal:
        gate.enter(key, 0)
    assert refusal.value.wait_seconds == pytest.approx(1)
    assert refusal.value.full_at == pytest.approx(clock.now() + 60)


@pytest.mark.parametrize("seconds", [40 * 86_400, 86_400, 3600])
def test_budgets_hold_under_a_clock_that_was_ahead(seconds: float) -> None:
    """Until its day has come nothing would count in that of the clock that is right again."""
    limits = {"daily_usd": 0.1}, {"weekly_usd": 0.1}, {"window_tokens": 100_000}
    for gate, clock, key in (gate_with(**one) for one in limits):
        clock.set_by = seconds
        gate.enter(key, 0).settle(SOLD, Usage(50_000, 0))
        clock.set_by = 0.0
        gate.enter(key, 0).settle(SOLD, Usage(50_000, 0))
        with pytest.raises((BudgetExceeded, RateLimited)):
            gate.enter(key, 0)
        clock.at += 7 * 86_400
        gate.enter(key, 0)


def test_five_hours_begin_with_a_first_request() -> None:
    gate, clock, key = gate_with(window_tokens=1000)
    gate.enter(key, 0).settle(SOLD, Usage(900, 100))
    clock.at += 4 * 3600
    with pytest.raises(RateLimited) as refusal:
        gate.enter(key, 0)
    assert refusal.value.wait_seconds == 3600
    clock.at += 3600
    gate.enter(key, 0).settle(SOLD, Usage(1, 0))


def test_limits_of_all_hold_where_a_key_has_none() -> None:
    gate, _, key = gate_with(rpm=2)
    gate.defaults = Limits(rpm=1, concurrency=1)
    assert gate.limits_of(key) == Limits(rpm=2, concurrency=1)
    gate.defaults = Limits()
    assert gate.limits_of(key) == Limits(rpm=2)


def test_what_others_used_counts_and_nothing_is_forgotten() -> None:
    mine, theirs = Spending(), Spending()
    mine.add(5, 10, START)
    theirs.add(3, 4, START)
    mine.join(theirs)
    assert (mine.total, mine.day_nano, mine.window_tokens) == (5, 5, 10)
    theirs.add(7, 20, START)
    mine.join(theirs)
    assert (mine.total, mine.day_nano, mine.window_tokens) == (10, 10, 24)
