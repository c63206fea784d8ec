from random import Random

import pytest

from bench.strategies.provider import FIVE_HOURS, SEVEN_DAYS, Quota, Subscription, units
from bench.strategies.traffic import Turn
from headgate.providers.anthropic import AnthropicProvider

NOW = 1_800_000_000.0


def subscription(limit: float = 100.0) -> Subscription:
    return Subscription(1, (Quota("5h", FIVE_HOURS, limit), Quota("7d", SEVEN_DAYS, 8 * limit)))


def test_a_window_opens_with_its_first_request_and_is_full_until_its_reset() -> None:
    one = subscription()
    assert one.admit(NOW)
    one.spend(100.0, NOW + 10)
    assert not one.admit(NOW + FIVE_HOURS - 1)
    assert one.admit(NOW + FIVE_HOURS + 7)
    assert one.quotas[0].resets_at == NOW + 2 * FIVE_HOURS + 7


def test_what_is_left_at_the_reset_has_expired() -> None:
    one = subscription()
    one.admit(NOW)
    one.spend(30.0, NOW)
    one.admit(NOW + FIVE_HOURS)
    assert one.quotas[0].expired == 70.0


def test_its_headers_are_read_by_the_gateways_own_reader() -> None:
    one = subscription()
    one.admit(NOW)
    one.spend(100.0, NOW)
    limits = AnthropicProvider().read_limits(one.headers(NOW), NOW)
    assert limits.is_hard
    assert limits.reset_at == NOW + FIVE_HOURS
    assert {window.name: window.utilization for window in limits.windows} == {"5h": 1.0, "7d": 0.125}


def test_a_prompt_is_cached_for_five_minutes_on_its_own_account() -> None:
    one, turn = subscription(), Turn(0.0, 1000, 100, is_compacted=False)
    assert [one.read_cache("talk", turn, NOW + at) for at in (0, 299, 598, 899)] == [False, True, True, False]
    assert not one.read_cache("other", turn, NOW)


def test_a_cached_prompt_costs_a_tenth_and_its_new_part_the_writing() -> None:
    turn = Turn(0.0, 1000, 10, is_compacted=False)
    assert units(turn, is_cached=False, new_tokens=200) == 1250 + 50
    assert units(turn, is_cached=True, new_tokens=200) == pytest.approx(80 + 250 + 50)


def test_weeks_have_begun_at_some_moment_before() -> None:
    weeks = [Subscription.of(1, Random(seed), NOW).quotas[1] for seed in range(50)]
    assert all(NOW <= week.resets_at <= NOW + SEVEN_DAYS and 0 <= week.used < week.limit for week in weeks)
    assert len({week.resets_at for week in weeks}) == 50
