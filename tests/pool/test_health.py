import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.faults import FORBIDDEN_COUNT, PROBED, Fault
from headgate.pool.health import MOST_MODELS, Health

NOW = 1_800_000_000.0
SHARED = [Fault.LIMITED, Fault.OVERLOADED, Fault.UNREACHABLE, Fault.SERVER_ERROR, Fault.BILLING]


class Changes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def health(changes: Changes) -> Health:
    return Health(Random(7), changes)


def rest_lengths(health: Health, fault: Fault, times: int) -> list[float]:
    """Fails again each time a rest is over."""
    now, lengths = NOW, []
    for _ in range(times):
        until = health.apply(fault, now=now)
        assert until is not None
        lengths.append(until - now)
        now = until
    return lengths


def test_a_limited_account_rests_until_the_stated_reset_and_returns_by_itself(health: Health) -> None:
    health.apply(Fault.LIMITED, until=NOW + 60, now=NOW)
    assert health.unavailable_until("m", NOW + 59.9) == NOW + 60
    assert health.unavailable_until("m", NOW + 60) is None


def test_without_a_stated_reset_the_rests_double_up_to_half_an_hour(health: Health) -> None:
    """1 s, 2 s, 4 s … 30 min, each off by at most a fifth."""
    lengths = rest_lengths(health, Fault.LIMITED, 14)
    for length, wanted in zip(lengths, [min(2.0**n, 1800.0) for n in range(14)], strict=True):
        assert wanted * 0.8 <= length <= wanted * 1.2
    assert len({round(length / min(2.0**n, 1800.0), 3) for n, length in enumerate(lengths)}) > 5


@pytest.mark.parametrize(("fault", "first", "top"), [(Fault.SERVER_ERROR, 2, 60), (Fault.UNREACHABLE, 2, 60)])
def test_passing_troubles_rest_shortly(health: Health, fault: Fault, first: float, top: float) -> None:
    lengths = rest_lengths(health, fault, 8)
    assert lengths[0] == pytest.approx(first)
    assert lengths[-1] == pytest.approx(top)


def test_a_reset_in_the_past_counts_as_none(health: Health) -> None:
    """`retry-after: 0` again and again must not hammer the provider."""
    assert health.apply(Fault.LIMITED, until=NOW - 5, now=NOW) == pytest.approx(NOW + 1, abs=0.21)


def test_a_burst_of_refusals_is_one_failure(health: Health, changes: Changes) -> None:
    """The answers of the requests that were in flight do not climb the ladder."""
    untils = {health.apply(Fault.LIMITED, now=NOW + n / 100) for n in range(50)}
    assert len(untils) == 1
    assert changes.count == 1


@given(
    st.lists(st.tuples(st.sampled_from(SHARED), st.none() | st.floats(1, 1e6), st.floats(0, 30)), max_size=20)
)
def test_no_answer_shortens_a_longer_rest(steps: list[tuple[Fault, float | None, float]]) -> None:
    health, now, longest = Health(Random(1), lambda: None), NOW, 0.0
    for fault, stated, later in steps:
        now += later
        health.apply(fault, until=None if stated is None else now + stated, now=now)
        until = health.unavailable_until(None, now)
        assert until is not None
        assert until >= longest or longest <= now
        longest = max(longest, until)


def test_a_later_stated_reset_extends_the_rest(health: Health) -> None:
    health.apply(Fault.LIMITED, until=NOW + 60, now=NOW)
    assert health.apply(Fault.LIMITED, until=NOW + 90, now=NOW + 1) == NOW + 90


def test_a_hint_with_an_overload_does_not_ban_for_hours(health: Health) -> None:
    assert health.apply(Fault.OVERLOADED, until=NOW + 7200, now=NOW) == NOW + 60


def test_a_capped_hint_does_not_shorten_a_rest_that_jitter_made_longer(health: Health) -> None:
    now, length = NOW, 0.0
    while length < 65:
        until = health.apply(Fault.OVERLOADED, now=now)
        assert until is not None
        now, length = until, until - now
    assert health.apply(Fault.OVERLOADED, until=now + 7200, now=now - length) == now


def test_a_limit_of_one_model_leaves_the_others_alone(health: Health) -> None:
    health.apply(Fault.MODEL_LIMITED, model="opus", until=NOW + 600, now=NOW)
    assert health.unavailable_until("opus", NOW) == NOW + 600
    assert health.unavailable_until("haiku", NOW) is None
    assert health.unavailable_until(None, NOW) is None


def test_a_missing_model_is_asked_again_after_ten_minutes(health: Health) -> None:
    assert health.apply(Fault.MODEL_MISSING, model="opus", now=NOW) == NOW + 600


def test_a_model_limit_without_a_model_concerns_the_account(health: Health) -> None:
    health.apply(Fault.MODEL_LIMITED, until=NOW + 600, now=NOW)
    assert health.unavailable_until("haiku", NOW) == NOW + 600


def test_a_refused_credential_is_out_until_somebody_acts(health: Health) -> None:
    assert health.apply(Fault.REFUSED, until=NOW + 5, now=NOW) == math.inf
    health.succeeded("m", NOW + 1e6)
    assert health.unavailable_until("m", NOW + 1e6) == math.inf
    health.resume(NOW)
    assert not health.on_record


def test_a_bill_is_checked_every_half_hour_unless_a_reset_was_given(health: Health) -> None:
    assert health.apply(Fault.BILLING, now=NOW) == NOW + 1800
    assert health.apply(Fault.BILLING, until=NOW + 9000, now=NOW + 1801) == NOW + 9000


def test_one_forbidden_answer_is_about_one_resource_three_are_about_the_account(health: Health) -> None:
    assert health.apply(Fault.FORBIDDEN, now=NOW) is None
    assert health.apply(Fault.FORBIDDEN, now=NOW + 100) is None
    assert health.apply(Fault.FORBIDDEN, now=NOW + 599) == NOW + 599 + 1800


def test_forbidden_answers_far_apart_or_between_good_ones_do_not_add_up(health: Health) -> None:
    for n in range(5):
        assert health.apply(Fault.FORBIDDEN, now=NOW + n * 301) is None
    health.apply(Fault.FORBIDDEN, now=NOW + 4 * 301)
    health.forget()
    for n in range(5):
        assert health.apply(Fault.FORBIDDEN, now=NOW + n) is None
        health.succeeded("m", NOW + n)


def test_a_good_answer_resets_the_ladder(health: Health) -> None:
    rest_lengths(health, Fault.LIMITED, 6)
    health.succeeded("m", NOW + 10_000)
    assert not health.on_record
    assert rest_lengths(health, Fault.LIMITED, 1)[0] < 1.3


def test_a_good_answer_during_a_limit_does_not_end_it(health: Health) -> None:
    """It belongs to a request that was sent before the refusal."""
    health.apply(Fault.LIMITED, until=NOW + 60, now=NOW)
    health.succeeded("m", NOW + 1)
    assert health.unavailable_until("m", NOW + 2) == NOW + 60


def test_a_good_answer_ends_a_passing_trouble_at_once(health: Health) -> None:
    health.apply(Fault.SERVER_ERROR, now=NOW)
    health.succeeded("m", NOW + 0.1)
    assert health.unavailable_until("m", NOW + 0.1) is None


def test_a_good_answer_for_another_model_keeps_the_models_ladder(health: Health) -> None:
    until = health.apply(Fault.MODEL_LIMITED, model="opus", now=NOW)
    assert until is not None
    health.succeeded("haiku", until)
    assert (health.apply(Fault.MODEL_LIMITED, model="opus", now=until) or 0) - until > 1.5


def test_resume_does_not_lift_a_stated_limit(health: Health) -> None:
    """Limits are respected, also by the owner's resume."""
    health.apply(Fault.LIMITED, until=NOW + 60, now=NOW)
    health.apply(Fault.BILLING, now=NOW)
    health.resume(NOW)
    assert health.unavailable_until("m", NOW) == NOW + 60


def test_failures_long_past_do_not_lengthen_a_rest(health: Health) -> None:
    rest_lengths(health, Fault.SERVER_ERROR, 5)
    assert health.apply(Fault.SERVER_ERROR, now=NOW + 10_000) == NOW + 10_002


def test_the_weightiest_rest_explains(health: Health) -> None:
    """A ban is the reason, however long a passing trouble lasts."""
    health.apply(Fault.LIMITED, until=NOW + 5, now=NOW)
    health.apply(Fault.OVERLOADED, until=NOW + 60, now=NOW)
    assert health.why("m", NOW) == "rate limited until 2027-01-15T08:00:05Z"


def test_state_survives_a_restart(health: Health) -> None:
    health.apply(Fault.LIMITED, until=NOW + 60, reason="429", now=NOW)
    health.apply(Fault.MODEL_MISSING, model="opus", now=NOW)
    health.apply(Fault.REFUSED, reason="401", now=NOW)
    health.succeeded("haiku", NOW)
    again = Health(Random(1), lambda: None)
    again.from_state(json.loads(json.dumps(health.to_state(), allow_nan=False)))
    assert again.to_state() == health.to_state()
    assert again.why(None, NOW) == "needs re-auth: 401"
    assert again.unavailable_until("opus", NOW) == math.inf


def test_the_memory_of_served_models_is_bounded(health: Health) -> None:
    for n in range(MOST_MODELS + 50):
        health.succeeded(f"m{n}", NOW)
    assert len(health.served) == MOST_MODELS


@pytest.mark.parametrize("fault", [Fault.LIMITED, Fault.UNREACHABLE, Fault.BILLING])
def test_a_rest_written_by_a_clock_that_was_set_back_is_void(health: Health, fault: Fault) -> None:
    """Else a clock that was a year ahead at start would keep the account out for a year."""
    end = health.apply(fault, until=NOW + 300, now=NOW)
    assert end is not None and health.unavailable_until(None, NOW) == end
    assert health.unavailable_until(None, NOW - 30) == end  # a correction, no new time
    for now in (NOW - 3600, NOW - 86_400 * 365):
        assert health.unavailable_until(None, now) is None
        assert health.rests(now) == [] and health.why(None, now) is None
    assert health.apply(fault, until=NOW - 3000, now=NOW - 3600) == pytest.approx(
        NOW - 3600 + (60 if fault is Fault.UNREACHABLE else 600), abs=3600
    )
    assert health.unavailable_until(None, NOW - 3599) is not None


def test_what_waits_for_the_owner_waits_whatever_the_clock_says(health: Health) -> None:
    health.apply(Fault.REFUSED, now=NOW)
    assert health.unavailable_until(None, NOW - 86_400) == math.inf


# ---- finding out whether a limit is over ---------------------------------------------------------------


def ended_by_our_own_time(health: Health, fault: Fault = Fault.LIMITED, model: str | None = None) -> float:
    """The moment at which a rest without a stated end is over."""
    until = health.apply(fault, model=model, now=NOW)
    assert until is not None
    return until


@pytest.mark.parametrize("fault", sorted(PROBED))
def test_one_request_at_a_time_finds_out(health: Health, fault: Fault) -> None:
    for _ in range(FORBIDDEN_COUNT - 1 if fault is Fault.FORBIDDEN else 0):
        assert health.apply(fault, now=NOW) is None
    now = ended_by_our_own_time(health, fault, "m")
    assert health.unavailable_until("m", now) is None
    probe = health.begin_probe("m", now)
    assert health.unavailable_until("m", now + 5) == now + 5
    assert "finds out" in str(health.why("m", now + 5))
    assert health.begin_probe("m", now) == []
    health.end_probe(probe)
    assert health.unavailable_until("m", now + 5) is None


def test_what_a_probe_finds_out_counts(health: Health) -> None:
    now = ended_by_our_own_time(health)
    failed = health.begin_probe("m", now)
    until = health.apply(Fault.LIMITED, now=now)
    health.end_probe(failed)
    assert until is not None
    assert until - now > 1.5  # the second rung
    assert health.unavailable_until("m", now) == until
    succeeded = health.begin_probe("m", until)
    health.succeeded("m", until)
    assert not health.on_record
    health.end_probe(succeeded)
    assert not health.on_record


def test_a_stated_reset_needs_no_probe(health: Health) -> None:
    """The provider said when: all may come."""
    health.apply(Fault.LIMITED, until=NOW + 60, now=NOW)
    assert health.begin_probe("m", NOW + 60) == []
    assert health.unavailable_until("m", NOW + 60) is None


def test_a_probe_for_one_model_leaves_the_others_alone(health: Health) -> None:
    now = ended_by_our_own_time(health, Fault.MODEL_LIMITED, "m")
    assert health.begin_probe("other", now) == []
    assert health.begin_probe("m", now)
    assert health.unavailable_until("other", now) is None
    assert health.unavailable_until("m", now) is not None


def test_rungs_and_who_named_the_end_outlive_a_restart_and_a_probe_does_not(health: Health) -> None:
    """A gateway that was killed while a request found out lets the next one find out."""
    now = ended_by_our_own_time(health)
    now = health.apply(Fault.LIMITED, now=now) or 0.0
    health.begin_probe("m", now)
    again = Health(Random(7), Changes())
    again.from_state(json.loads(json.dumps(health.to_state())))
    assert again.unavailable_until("m", now) is None
    assert again.begin_probe("m", now)
    third = again.apply(Fault.LIMITED, now=now)
    assert third is not None
    assert 3.2 <= third - now <= 4.8


@given(st.lists(st.sampled_from(["begin", "end", "fail", "succeed", "wait"]), max_size=40))
def test_at_most_one_probe_runs_and_none_is_left_stuck(steps: list[str]) -> None:
    """Whatever happens in whatever order: when all requests are over, the account can be asked again."""
    health, now, running = Health(Random(3), Changes()), NOW, []
    over = 0  # so many of those that run ask about a rest that a later failure has replaced
    health.apply(Fault.LIMITED, now=now)
    for step in steps:
        if step == "wait":
            now += 4000.0
        elif step == "begin" and health.unavailable_until("m", now) is None:
            if probe := health.begin_probe("m", now):
                assert not any(one.is_probed for other in running[over:] for one in other)
                running.append(probe)
        elif step == "fail":
            health.apply(Fault.LIMITED, now=now)
            over = len(running)
        elif step == "succeed":
            health.succeeded("m", now)
        elif running:
            health.end_probe(running.pop())
            over = min(over, len(running))
    for probe in running:
        health.end_probe(probe)
    assert health.unavailable_until("m", now + 4000.0) is None
