from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.headroom import Headroom
from headgate.pool.policy import Quota, Turn
from tests.pool.sample import One

HOUR, DAY = 3600.0, 86_400.0


def hours(used: float, left: float) -> Quota:
    return Quota(used, left, 5 * HOUR)


def week(used: float, left: float) -> Quota:
    return Quota(used, left, 7 * DAY)


def chosen(*crowd: One) -> int:
    return Headroom().choose(crowd, None, Turn())[0].id


def test_what_would_expire_soonest_unused_is_spent_first() -> None:
    """A third left with ten minutes to go is lost otherwise; two thirds with four hours to go are not."""
    assert chosen(One(1, quotas=(hours(0.33, 4 * HOUR),)), One(2, quotas=(hours(0.67, 600),))) == 2


def test_a_week_that_ends_tomorrow_with_much_left_goes_before_one_that_has_just_begun() -> None:
    fresh = One(1, quotas=(hours(0.2, 2 * HOUR), week(0.3, 6 * DAY)))
    ending = One(2, quotas=(hours(0.2, 2 * HOUR), week(0.3, DAY / 2)))
    assert chosen(fresh, ending) == 2


def test_a_full_window_is_no_room_however_much_the_others_have() -> None:
    full = One(1, quotas=(hours(0.0, 600), week(1.0, DAY)))
    assert chosen(full, One(2, quotas=(hours(0.9, 4 * HOUR), week(0.9, 6 * DAY)))) == 2


def test_an_account_nobody_knows_is_tried_but_not_before_an_untouched_one() -> None:
    unknown, untouched = One(1), One(2, quotas=(hours(0.0, 5 * HOUR), week(0.0, 7 * DAY)))
    assert chosen(unknown, untouched) == 2
    assert chosen(unknown, One(2, quotas=(hours(0.9, 5 * HOUR),))) == 1


@given(st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_alike_accounts_have_conversations_in_proportion_to_their_shares(shares: list[int]) -> None:
    """Within one of the exact number, as long as nothing else differs."""
    crowd = [One(n, share=share, quotas=(hours(0.2, HOUR),)) for n, share in enumerate(shares, 1)]
    placed, rounds = Counter[int](), 5
    for _ in range(rounds * sum(shares)):
        choice, _ = Headroom().choose(crowd, None, Turn())
        choice.session_count += 1
        placed[choice.id] += 1
    assert all(abs(placed[one.id] - rounds * one.share) <= 1 for one in crowd)


@given(st.floats(0, 1), st.floats(0, 18_000), st.floats(0.001, 1))
def test_less_used_is_never_less_room(used: float, left: float, less: float) -> None:
    more = One(1, quotas=(hours(used, left),))
    assert chosen(replace(more, id=2), replace(more, quotas=(hours(max(used - less, 0), left),))) == 1


@given(st.floats(0, 0.99), st.floats(60, 17_000), st.floats(1, 1000))
def test_a_nearer_reset_is_never_less_room(used: float, left: float, later: float) -> None:
    near, far = One(1, quotas=(hours(used, left),)), One(2, quotas=(hours(used, left + later),))
    assert chosen(far, near) == 1
