"""Sessions: how they end, and what of them is kept."""

import pytest

from headgate.admin import sessions
from headgate.admin.sessions import IDLE_SECONDS, LONGEST_SECONDS, Sessions, csrf_token_of, tokens_in

KEY = "correct-horse-battery"


class SetClock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def test_a_session_ends_when_nobody_uses_it(clock: SetClock) -> None:
    """Each request puts its end off."""
    opened = Sessions(clock)
    token = opened.open(KEY)
    for _ in range(3):
        clock.time += IDLE_SECONDS - 1
        assert opened.find(KEY, token) is not None
    clock.time += IDLE_SECONDS
    assert opened.find(KEY, token) is None
    clock.time -= IDLE_SECONDS
    assert opened.find(KEY, token) is None, "what has ended does not come back"


def test_a_session_ends_after_a_week_whatever_is_done(clock: SetClock) -> None:
    opened = Sessions(clock)
    token, began = opened.open(KEY), clock.time
    while clock.time < began + LONGEST_SECONDS - 3600:
        clock.time += 3600
        assert (opened.find(KEY, token) is None) == (clock.time >= began + LONGEST_SECONDS)
    clock.time += 3600
    assert opened.find(KEY, token) is None


@pytest.mark.parametrize("other", ["another-key", None])
def test_another_admin_key_ends_all(clock: SetClock, other: str | None) -> None:
    """Also where the old one is put back later, and where there is none any more."""
    opened = Sessions(clock)
    token = opened.open(KEY)
    assert opened.find(other, token) is None
    assert opened.find(KEY, token) is None
    assert len(opened) == 0


def test_a_session_that_was_closed_is_over_for_everybody(clock: SetClock) -> None:
    opened = Sessions(clock)
    first, second = opened.open(KEY), opened.open(KEY)
    assert opened.close(first)
    assert not opened.close(first)
    assert (opened.find(KEY, first), opened.find(KEY, second) is None) == (None, False)


def test_a_look_at_a_session_is_no_sign_of_life(clock: SetClock) -> None:
    """A stream that is open does not keep its log-in open."""
    opened = Sessions(clock)
    token = opened.open(KEY)
    clock.time += IDLE_SECONDS - 1
    assert opened.holds(KEY, token)
    clock.time += 1
    assert not opened.holds(KEY, token)
    assert not opened.holds(KEY, "another")


def test_their_number_is_bounded(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was idle longest makes room; those that have ended do so first."""
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
    opened = Sessions(clock)
    tokens = [opened.open(KEY) for _ in range(3)]
    assert opened.find(KEY, tokens[0]) is not None
    tokens.append(opened.open(KEY))
    assert [opened.find(KEY, token) is None for token in tokens] == [False, True, False, False]
    assert len(opened) == 3


def test_no_token_is_kept(clock: SetClock) -> None:
    """What is in memory opens nothing: digests, and the key's own."""
    opened = Sessions(clock)
    tokens = [opened.open(KEY) for _ in range(20)]
    kept = repr(vars(opened))
    assert len(set(tokens)) == 20
    assert all(len(token) == 43 for token in tokens), "256 bits in base64"
    for token in tokens:
        assert token not in kept
        assert csrf_token_of(token) not in kept
    assert KEY not in kept


@pytest.mark.parametrize(
    ("cookies", "found"),
    [
        ([], []),
        (["headgate_session=abc"], ["abc"]),
        (["theme=dark; headgate_session=abc; x=y"], ["abc"]),
        (["headgate_session=planted; headgate_session=abc"], ["planted", "abc"]),
        (["a=b", "headgate_session=abc"], ["abc"]),
        (['headgate_session="abc"'], ["abc"]),
        (["headgate_session=", "headgate_session", "xheadgate_session=abc", "HEADGATE_SESSION=abc"], []),
        (["; ;=;headgate_session=a=b"], ["a=b"]),
        (["headgate_session=x;" * 1000], ["x"] * 8),
    ],
)
def test_the_tokens_of_a_request(cookies: list[str], found: list[str]) -> None:
    """Whatever else is in the lines; planted ones do not hide ours, and many cost little."""
    assert tokens_in(cookies) == found
