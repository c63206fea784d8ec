"""Whole sessions, made with their truth beside them: the linked tree is that truth."""

import pytest

from headgate.testing.sessions import Told, coding_session, day_of_work, tell_session
from tests.conversation.linked import Linked, tree, truth


def _linked_tree(told: Told) -> object:
    linked = Linked()
    for one in told.in_order_of_ends():
        linked.tell(one)
    return tree(linked.links, linked.past)


@pytest.mark.parametrize("session", [None, "3f1c"])
@pytest.mark.parametrize("seed", range(20))
def test_a_long_session_is_the_tree_it_was(seed: int, session: str | None) -> None:
    told = coding_session(seed, session=session)
    assert _linked_tree(told) == truth(told)


@pytest.mark.parametrize("session", [None, "3f1c"])
@pytest.mark.parametrize("seed", [0, 1, 19])
def test_three_hours_of_work_are_the_tree_they_were(seed: int, session: str | None) -> None:
    """Some 400 requests, 40 sub-agents, 3 compactions, one of them retried (seeds 0 and 19)."""
    told = day_of_work(seed, session=session)
    assert told.now > 3 * 3_600_000 and sum(one.relation == "compaction" for one in told.sent) == 3
    assert _linked_tree(told) == truth(told)


@pytest.mark.parametrize("seed", range(5))
def test_two_callers_who_say_the_same_stay_apart(seed: int) -> None:
    told = Told(seed)
    tell_session(told, "ann's", caller="ann")
    state = told.dice.getstate()
    told.dice.seed(seed)
    tell_session(told, "bob's", caller="bob")
    told.dice.setstate(state)
    assert _linked_tree(told) == truth(told)


@pytest.mark.parametrize("seed", range(5))
def test_two_sessions_of_one_caller_that_say_the_same_stay_apart(seed: int) -> None:
    told = Told(seed)
    tell_session(told, "first", session="1")
    told.dice.seed(seed)
    tell_session(told, "second", session="2")
    assert _linked_tree(told) == truth(told)
