from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.sessions import Running, Sessions


def test_a_conversation_stays_for_its_time_since_its_first_use() -> None:
    """Its length does not extend it."""
    sessions = Sessions(3600)
    sessions.bind("s", 1, 0.0)
    assert sessions.account_of("s", 3599.9) == 1
    assert sessions.account_of("s", 3600.0) is None


def test_when_full_the_conversation_that_began_first_is_forgotten() -> None:
    sessions = Sessions(3600, capacity=2)
    for at, key in enumerate("abc"):
        sessions.bind(key, 1, float(at))
    assert [sessions.account_of(key, 3.0) for key in "abc"] == [None, 1, 1]
    assert sessions.count(1) == 2


def test_an_account_that_is_gone_holds_no_conversation() -> None:
    sessions = Sessions(3600)
    sessions.bind("a", 1, 0.0)
    sessions.bind("b", 2, 0.0)
    sessions.forget_account(1)
    assert (sessions.account_of("a", 1.0), sessions.account_of("b", 1.0)) == (None, 2)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.floats(0, 7)), max_size=60))
def test_the_counts_are_those_of_the_live_conversations(steps: list[tuple[int, int, float]]) -> None:
    sessions, now = Sessions(10.0, capacity=5), 0.0
    model: dict[str, tuple[int, float]] = {}
    for key, account_id, later in steps:
        now += later
        sessions.bind(str(key), account_id, now)
        model.pop(str(key), None)
        model[str(key)] = (account_id, now)
        model = {k: v for k, v in model.items() if now - v[1] < 10.0}
        if len(model) > 5:
            del model[next(iter(model))]
        assert len(sessions) == len(model)
        assert all(sessions.account_of(k, now) == v[0] for k, v in model.items())
        for one in range(3):
            assert sessions.count(one) == sum(v[0] == one for v in model.values())


def test_a_renewed_conversation_stays_longer_and_leaves_after_the_others() -> None:
    sessions = Sessions(3600)
    sessions.bind("a", 1, 0.0)
    sessions.bind("b", 1, 10.0)
    sessions.renew("a", 3000.0)
    assert sessions.account_of("a", 3700.0) == 1
    sessions.expire(3700.0)
    assert (len(sessions), sessions.count(1)) == (1, 1)
    assert sessions.account_of("a", 6600.0) is None


def test_running_conversations_are_told_by_account() -> None:
    """How many, since when the first, until when the last; those whose time is over are not among them."""
    sessions = Sessions(3600)
    for key, account_id, at in (("gone", 1, 0.0), ("a", 1, 1000.0), ("b", 2, 2000.0), ("c", 1, 3000.0)):
        sessions.bind(key, account_id, at)
    assert sessions.running(3700.0) == {1: Running(2, 1000.0, 6600.0), 2: Running(1, 2000.0, 5600.0)}
    sessions.renew("a", 4000.0)
    assert sessions.running(4000.0)[1] == Running(2, 1000.0, 7600.0)
