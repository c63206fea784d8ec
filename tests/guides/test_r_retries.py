"""Guide rows R: how often a passing failure is tried again, and what is no retry."""

from pathlib import Path
from typing import Any

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message, record_of

FAILS = {"fault": "status", "status": 500}


def test_r11_attempts_delay_and_backoff_take_effect(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`RETRY_ATTEMPTS`, `RETRY_DELAY_MS`, `RETRY_BACKOFF`: so many tries on one account, so far apart."""
    environment = {"RETRY_ATTEMPTS": "4", "RETRY_DELAY_MS": "100", "RETRY_BACKOFF": "2"}
    with Gateway(tmp_path, provider=provider.url, environment=environment) as gateway:
        for rule in (FAILS, {"fault": "garbage"}, {"fault": "status", "status": 529}):
            provider.reset()
            provider.script("*", rules=[rule | {"times": 3}])
            answer = message(gateway)
            assert answer.status_code == 200
            attempts = record_of(gateway, answer)["attempts"]
            assert [one["account"] for one in attempts] == ["one"] * 4
            ends = [one["started_ms"] + one["duration_ms"] for one in attempts]
            waits = [after["started_ms"] - end for end, after in zip(ends, attempts[1:], strict=False)]
            assert all(wait >= least for wait, least in zip(waits, (99, 199, 399), strict=True)), waits
            assert provider.books()["count"] == 4


def test_r11_no_more_tries_than_were_set(tmp_path: Path, provider: SimulatedProvider) -> None:
    """When they are used up the provider's answer is the client's."""
    provider.script("*", rules=[FAILS])
    settings = {"retry": {"attempts": 2, "delay_ms": 1}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        assert message(gateway).status_code == 500
        assert provider.books()["count"] == 2


def test_r11_moving_on_is_not_counted(tmp_path: Path, provider: SimulatedProvider) -> None:
    """With a single attempt all accounts are asked, at once: a limit or a refusal is left, not retried."""
    rules = {
        "a": {"fault": "429", "limit": "retry_after"},
        "b": {"fault": "status", "status": 401},
        "c": {"fault": "status", "status": 402},
        "d": FAILS,
    }
    for name, rule in rules.items():
        provider.script(f"sk-ant-sim-{name}", rules=[rule])
    accounts: list[dict[str, Any]] = [
        {"name": name, "api_key": f"sk-ant-sim-{name}", "priority": priority}
        for priority, name in enumerate("abcde")
    ]
    settings = {"retry": {"attempts": 1, "delay_ms": 60_000}}
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=settings) as gateway:
        answer = message(gateway)
        assert answer.status_code == 200
        record = record_of(gateway, answer)
        assert [one["account"] for one in record["attempts"]] == list("abcde")
        assert record["duration_ms"] < 30_000


def test_r11_nothing_is_retried_after_the_first_byte(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A stream that has begun is neither tried again nor moved: the client would get two beginnings."""
    settings = {"retry": {"attempts": 3, "delay_ms": 1}}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings) as gateway:
        for stage in ("mid_body", "mid_event", "before_message_stop"):
            provider.reset()
            provider.script("*", rules=[{"fault": "cut", "stage": stage}], pacing={"event_ms": 2})
            answer = message(gateway, "say 40 words", stream=True)
            assert answer.status_code == 200
            assert answer.content.count(b"event: message_start") == 1
            assert b"event: error" in answer.content
            assert len(record_of(gateway, answer)["attempts"]) == 1
            assert provider.books()["count"] == 1
