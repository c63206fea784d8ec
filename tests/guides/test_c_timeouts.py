"""Guide rows C: how long a client waits, and what it hears then."""

from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import error_of, message, record_of
from tests.testing.wire import events

HANG = {"fault": "hang"}
ONCE = {"retry": {"attempts": 1}}


@pytest.mark.parametrize(
    ("environment", "limit_ms"),
    [
        ({"CLAUDE_API_TIMEOUT": "300"}, 300),
        ({"PROXY_SERVER_TIMEOUT": "400"}, 400),
        ({"CLAUDE_API_TIMEOUT": "5000", "PROXY_SERVER_TIMEOUT": "350"}, 350),
        ({"CLAUDE_API_TIMEOUT": "250", "PROXY_SERVER_TIMEOUT": "5000"}, 250),
    ],
    ids=[
        "CLAUDE_API_TIMEOUT",
        "PROXY_SERVER_TIMEOUT",
        "the client's is shorter",
        "the provider's is shorter",
    ],
)
def test_c6_no_answer_in_time_is_a_504(
    tmp_path: Path, provider: SimulatedProvider, environment: dict[str, str], limit_ms: int
) -> None:
    """`CLAUDE_API_TIMEOUT`, `PROXY_SERVER_TIMEOUT`: 504 `timeout_error`, "Request timed out after [n]ms"."""
    provider.script("*", rules=[HANG])
    with Gateway(tmp_path, provider=provider.url, settings=ONCE, environment=environment) as gateway:
        for stream in (False, True):
            answer = message(gateway, stream=stream)
            error = error_of(answer)
            assert (answer.status_code, error["type"]) == (504, "timeout_error")
            assert error["message"] == f"Request timed out after {limit_ms}ms"
            record = record_of(gateway, answer)
            assert (record["status"], record["error"]) == (504, "request_timed_out")
            assert limit_ms * 0.95 <= record["duration_ms"] < limit_ms + 3000


def test_c6_another_account_may_be_tried(tmp_path: Path, provider: SimulatedProvider) -> None:
    """While another account may be tried it is: a timeout of one is not the client's."""
    provider.script("sk-ant-sim-a", rules=[HANG])
    environment = {"CLAUDE_API_TIMEOUT": "300"}
    accounts: list[dict[str, Any]] = [
        {"name": name, "api_key": f"sk-ant-sim-{name}", "priority": priority}
        for priority, name in enumerate(("a", "b"))
    ]
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, environment=environment) as gateway:
        answer = message(gateway)
        assert answer.status_code == 200
        first, second = record_of(gateway, answer)["attempts"]
        assert (first["account"], first["error"]) == ("a", "upstream_timed_out")
        assert (second["account"], second["status"]) == ("b", 200)


def test_c6_the_limit_is_named_not_what_was_left_of_it(tmp_path: Path, provider: SimulatedProvider) -> None:
    """[n] is the value that ran out, as the owner set it: an attempt may have got less."""
    provider.script("*", rules=[HANG])
    environment = {"CLAUDE_API_TIMEOUT": "250", "PROXY_SERVER_TIMEOUT": "400"}
    accounts = ("a", "b")
    with Gateway(
        tmp_path, provider=provider.url, accounts=accounts, settings=ONCE, environment=environment
    ) as gateway:
        error = error_of(message(gateway))
        assert error["message"] == "Request timed out after 400ms"
        assert "server.request_timeout_ms" in error["hint"]


def test_c6_a_stream_that_stalls_ends_in_the_same_words(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A stalled stream: the dialect's `error` event with the same words; before an event, the 504."""
    environment = {"CLAUDE_API_TIMEOUT": "300"}
    with Gateway(tmp_path, provider=provider.url, settings=ONCE, environment=environment) as gateway:
        provider.script("*", rules=[HANG | {"stage": "mid_body"}], pacing={"event_ms": 2})
        answer = message(gateway, "say 40 words", stream=True)
        assert answer.status_code == 200
        name, data = events(answer.content)[-1]
        assert (name, data["error"]["type"]) == ("error", "timeout_error")
        assert data["error"]["message"] == "Request timed out after 300ms"
        assert record_of(gateway, answer)["error"] == "request_timed_out"

        provider.script("*", rules=[HANG | {"stage": "body"}])
        answer = message(gateway, "say 40 words", stream=True)
        assert (answer.status_code, error_of(answer)["type"]) == (504, "timeout_error")
        assert error_of(answer)["message"] == "Request timed out after 300ms"
