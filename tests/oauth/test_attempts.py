from urllib.parse import parse_qs, urlsplit

import pytest

from headgate.errors import SignInFailed
from headgate.oauth.attempts import LIFE_SECONDS, Attempt, Attempts, Progress
from headgate.oauth.pkce import challenge_of
from headgate.oauth.registration import Registration
from headgate.providers.sign_in import SignIn
from tests.pool.sample import StillClock

REGISTRATION = Registration(
    "anthropic",
    "client-1",
    SignIn(
        authorize_url="https://id.example/authorize?tenant=1",
        token_url="https://id.example/token",
        redirect_uri="https://id.example/back",
        scopes=("a:b", "c"),
        authorize_extra=(("code", "true"),),
    ),
)


def begun(attempts: Attempts, account: str | None = "team") -> Attempt:
    return attempts.begin(REGISTRATION, account=account, options={})


def test_the_page_is_asked_as_the_standards_say() -> None:
    """RFC 6749, section 4.1.1; RFC 7636, section 4.3. The verifier stays here."""
    attempt = begun(Attempts(StillClock()))
    asked = parse_qs(urlsplit(attempt.url).query)
    assert asked == {
        "tenant": ["1"],
        "code": ["true"],
        "client_id": ["client-1"],
        "response_type": ["code"],
        "redirect_uri": ["https://id.example/back"],
        "scope": ["a:b c"],
        "code_challenge": [challenge_of(attempt.verifier)],
        "code_challenge_method": ["S256"],
        "state": [attempt.state],
    }
    assert attempt.verifier not in attempt.url
    assert attempt.verifier not in repr(attempt) and attempt.state not in repr(attempt)


def test_a4_two_at_once_do_not_disturb_each_other() -> None:
    attempts = Attempts(StillClock())
    one, other = begun(attempts, "one"), begun(attempts, "other")
    assert one.state != other.state and one.verifier != other.verifier
    assert attempts.take(other.state) is other
    assert attempts.take(one.state) is one


def test_a_code_counts_once() -> None:
    attempts = Attempts(StillClock())
    attempt = begun(attempts)
    attempts.take(attempt.state)
    with pytest.raises(SignInFailed, match="Invalid authorization code: it was used already"):
        attempts.take(attempt.state)


@pytest.mark.parametrize("state", ["", "x", "\ud800", "é"])
def test_a_foreign_state_is_nobodys(state: str) -> None:
    attempts = Attempts(StillClock())
    begun(attempts)
    with pytest.raises(SignInFailed, match="Invalid authorization code"):
        attempts.take(state)


def test_a_code_without_state_is_the_only_ones_that_waits() -> None:
    attempts = Attempts(StillClock())
    one, other = begun(attempts), begun(attempts)
    with pytest.raises(SignInFailed, match="which sign-in it is for is not said"):
        attempts.take(None)
    attempts.cancel(other.state)
    assert attempts.take(None) is one


def test_a4_an_attempt_ends_by_itself_and_says_so() -> None:
    clock = StillClock()
    attempts = Attempts(clock)
    attempt = begun(attempts)
    clock.at += LIFE_SECONDS
    assert attempt.at(clock.now()) is Progress.EXPIRED
    with pytest.raises(SignInFailed, match="not finished within 10 minutes") as caught:
        attempts.take(attempt.state)
    assert "Start it again" in caught.value.hint


def test_what_ended_can_be_asked_about_and_not_cancelled() -> None:
    attempts = Attempts(StillClock())
    attempt = begun(attempts)
    attempts.take(attempt.state).progress = Progress.DONE
    assert attempts.cancel(attempt.state) is attempt
    assert attempt.progress is Progress.DONE
    assert attempts.cancel("nobody's") is None


def test_a_flood_of_beginnings_is_bounded() -> None:
    attempts = Attempts(StillClock())
    first = begun(attempts)
    for _ in range(1000):
        last = begun(attempts)
    assert attempts.find(first.state) is None
    assert attempts.find(last.state) is last
