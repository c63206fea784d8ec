from hypothesis import given
from hypothesis import strategies as st

from headgate.pool.sessions import Sessions


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
