"""Claude Code when something goes wrong: what it goes on from by itself, and what it tells its user."""

from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.clients.claude_code import ClaudeCode, Outcome, succeeded
from tests.clients.records import messages, recorded
from tests.gateway import Gateway, wait_until

CUT = {"fault": "cut", "stage": "mid_event", "event": 20}
LIMITED = {"fault": "429", "limit": "unified"}


def failed(outcome: Outcome) -> str:
    """Its words for the user."""
    assert (outcome.code, outcome.result["is_error"]) == (1, True), outcome.out + outcome.err
    return outcome.text


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_it_goes_on_after_a_stream_that_broke(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider, coding: str
) -> None:
    """The provider dies within an event: the client asks once more, and its user sees a whole answer."""
    provider.script("*", rules=[CUT | {"times": 1}], coding=coding, pacing={"event_ms": 1})
    succeeded(claude.ask("say 50 words"))
    rows = messages(recorded(gateway, 2))
    assert [(row["status"], row["error"]) for row in rows] == [(200, "answer_cut"), (200, None)]


def test_streams_that_always_break_end_in_words(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """It gives up soon, and says that the answer broke off."""
    provider.script("*", rules=[CUT], pacing={"event_ms": 1})
    assert "API Error" in failed(claude.ask("say 50 words"))
    assert {row["error"] for row in messages(recorded(gateway, 1))} == {"answer_cut"}


def test_a_limit_is_never_noticed_while_another_account_is_free(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """In the middle of a session: the answer comes from the other account, and no client's try is spent."""
    first = succeeded(claude.ask("say 5 words"))
    (before,) = messages(recorded(gateway, 1))
    provider.script(f"sk-ant-sim-{before['account']}", rules=[LIMITED | {"seconds": 900}])
    succeeded(claude.ask("say 6 words", "--resume", first.session))
    _, after = messages(recorded(gateway, 2))
    assert (after["status"], after["session"]) == (200, first.session)
    assert {before["account"], after["account"]} == {"a", "b"}


def test_all_limited_is_told_with_the_time(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Our words and the reset's time; it does not sleep until then."""
    provider.script("*", rules=[LIMITED | {"seconds": 9000}])
    words = failed(claude.ask("say 5 words"))
    assert "all are rate limited. The first returns at 20" in words
    assert [row["error"] for row in messages(recorded(gateway, 1))] == ["all_accounts_limited"]


def test_a_short_limit_is_waited_for(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Seconds away it comes back by itself at the reset that we tell it."""
    for key in ("sk-ant-sim-a", "sk-ant-sim-b"):
        provider.script(key, rules=[{"fault": "429", "limit": "retry_after", "seconds": 2, "times": 1}])
    succeeded(claude.ask("say 5 words"))
    rows = messages(recorded(gateway, 2))
    assert [row["status"] for row in rows] == [429, 200]


def test_no_account_is_told_at_once(tmp_path: Path) -> None:
    """Our words reach the user."""
    with Gateway(tmp_path, accounts=()) as gateway:
        words = failed(ClaudeCode(tmp_path, gateway.url).ask("say 5 words"))
        assert "No active accounts available: none is configured" in words
        assert len(recorded(gateway, 1)) == 1


def test_an_unreachable_provider_is_told(tmp_path: Path) -> None:
    """After its own tries, whose number is its setting."""
    with Gateway(tmp_path, provider="http://127.0.0.1:9", accounts=("a",)) as gateway:
        claude = ClaudeCode(tmp_path, gateway.url)
        claude.environment["CLAUDE_CODE_MAX_RETRIES"] = "1"
        assert "All accounts failed to proxy the request" in failed(claude.ask("say 5 words"))
        assert {row["error"] for row in recorded(gateway, 2)} == {"all_accounts_failed"}


def test_a_session_goes_on_after_a_restart(claude: ClaudeCode, gateway: Gateway) -> None:
    """`--continue` on a gateway that has started anew."""
    first = succeeded(claude.ask("say 5 words"))
    gateway.stop(expect_code=0)
    gateway.start()
    second = succeeded(claude.ask("say 6 words", "--continue"))
    assert second.session == first.session
    assert [row["status"] for row in messages(recorded(gateway, 2))] == [200, 200]


def test_it_waits_for_a_gateway_that_restarts(claude: ClaudeCode, gateway: Gateway) -> None:
    """Asked while nobody listens, it tries on, and is served as soon as somebody does."""
    gateway.stop(expect_code=0)
    with claude.asking("say 5 words") as run:
        run.says('"api_retry"')
        gateway.start()
        succeeded(run.ended())


def test_an_answer_is_complete_though_the_gateway_stops(
    claude: ClaudeCode, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """SIGTERM during a stream: the answer runs to its end, then the gateway is gone."""
    provider.script("*", pacing={"event_ms": 30})
    with claude.asking("say 40 words") as run:
        wait_until(lambda: gateway.admin("/status")["open_streams"], what="an open stream")
        assert gateway.stop(expect_code=0) == 0
        outcome = succeeded(run.ended())
    assert outcome.result["usage"]["output_tokens"] >= 40
    assert len(outcome.text) > 100
