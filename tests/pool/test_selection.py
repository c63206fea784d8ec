from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import SettingsError
from headgate.pool.headroom import Headroom
from headgate.pool.policy import Quota, SelectionPolicy, Turn
from headgate.pool.selection import (
    POLICIES,
    FillFirst,
    LeastRequests,
    RoundRobin,
    StickySessions,
    Weighted,
    policy_named,
)
from tests.pool.sample import One

quotas = st.builds(
    Quota,
    used=st.floats(0, 1),
    seconds_left=st.floats(0, 700_000),
    seconds=st.sampled_from([18_000.0, 604_800.0]),
    per_request=st.none() | st.floats(0, 1),
)
ones = st.builds(
    One,
    id=st.integers(1, 9),
    share=st.integers(0, 20),
    in_flight=st.integers(0, 5),
    request_count=st.integers(0, 1000),
    session_count=st.integers(0, 50),
    quotas=st.lists(quotas, max_size=3).map(tuple),
)
crowds = st.lists(ones, min_size=1, max_size=6, unique_by=lambda one: one.id)


@given(st.sampled_from(POLICIES), st.lists(crowds, min_size=1, max_size=8))
def test_a_policy_picks_among_those_it_is_shown(policy: SelectionPolicy, crowds: list[list[One]]) -> None:
    """Whoever was there a moment ago: the state left by other crowds never brings one back."""
    turn = Turn()
    for crowd in crowds:
        before = (turn, [repr(one) for one in crowd])
        choice, turn_after = policy.choose(crowd, None, turn)
        assert choice in crowd
        assert before == (turn, [repr(one) for one in crowd])
        turn = turn_after


@given(crowds, st.integers(1, 4))
def test_round_robin_gives_everybody_the_same_number_of_turns(crowd: list[One], rounds: int) -> None:
    turn, served = Turn(), Counter[int]()
    for _ in range(rounds * len(crowd)):
        choice, turn = RoundRobin().choose(crowd, None, turn)
        served[choice.id] += 1
    assert set(served.values()) == {rounds}


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 3))
def test_weighted_is_in_exact_proportion_to_the_shares(shares: list[int], rounds: int) -> None:
    crowd = [One(n, share=share) for n, share in enumerate(shares, 1)]
    turn, served = Turn(), Counter[int]()
    for _ in range(rounds * sum(shares)):
        choice, turn = Weighted().choose(crowd, None, turn)
        served[choice.id] += 1
    assert served == {one.id: rounds * one.share for one in crowd}


def test_weighted_mixes_evenly() -> None:
    crowd, turn, order = [One(1, share=5), One(2), One(3)], Turn(), ""
    for _ in range(7):
        choice, turn = Weighted().choose(crowd, None, turn)
        order += str(choice.id)
    assert order == "1121311"


@pytest.mark.parametrize("policy", [Weighted(), LeastRequests(), StickySessions(), FillFirst(), Headroom()])
def test_a_share_of_nought_serves_only_when_nobody_else_can(policy: SelectionPolicy) -> None:
    spare, other = One(1, share=0), One(2, in_flight=3, request_count=500, session_count=9)
    assert policy.choose([spare, other], None, Turn())[0] is other
    assert policy.choose([spare], None, Turn())[0] is spare


@given(crowds)
def test_least_requests_has_fewest_in_flight(crowd: list[One]) -> None:
    choice, _ = LeastRequests().choose(crowd, None, Turn())
    willing = [one for one in crowd if one.share] or crowd
    assert choice.in_flight == min(one.in_flight for one in willing)


def test_least_requests_counts_what_was_served_against_the_share() -> None:
    small, big = One(1, share=1, request_count=10), One(2, share=20, request_count=100)
    assert LeastRequests().choose([small, big], None, Turn())[0] is big


@given(st.sampled_from([one for one in POLICIES if one.keeps_sessions]), crowds, st.data())
def test_a_conversation_stays_where_it_is(
    policy: SelectionPolicy, crowd: list[One], data: st.DataObject
) -> None:
    current = data.draw(st.sampled_from(crowd))
    assert policy.choose(crowd, current, Turn())[0] is current


@given(crowds, st.randoms())
def test_fill_first_has_one_order_whatever_goes_on(crowd: list[One], random: Random) -> None:
    choice, turn = FillFirst().choose(crowd, None, Turn())
    random.shuffle(crowd)
    again = [replace(one, in_flight=9, request_count=999, session_count=99) for one in crowd]
    assert FillFirst().choose(again, None, turn)[0].id == choice.id
    willing = [one.id for one in crowd if one.share] or [one.id for one in crowd]
    assert choice.id == min(willing)


def test_a_new_conversation_goes_where_least_is_going_on() -> None:
    crowd = [One(1, session_count=3), One(2, session_count=2), One(3, session_count=2, in_flight=2)]
    assert StickySessions().choose(crowd, None, Turn())[0].id == 2


@pytest.mark.parametrize(
    "name", ["session", "Round_Robin", " WEIGHTED", "least-requests", "Fill_First", "HEADROOM"]
)
def test_names_are_taken_in_any_case_with_either_dash(name: str) -> None:
    assert policy_named(name).name == name.strip().lower().replace("_", "-")


def test_an_unknown_strategy_is_named_with_the_valid_ones() -> None:
    with pytest.raises(SettingsError, match=r"^Invalid strategy: fastest$") as caught:
        policy_named("fastest")
    assert all(policy.name in caught.value.hint for policy in POLICIES)
