"""The legacy completion."""

import json

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import events, fetch, post


def test_legacy_completion_plain_and_streamed(provider: SimulatedProvider) -> None:
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": "\n\nHuman: hello\n\nAssistant:"}
    whole = json.loads(fetch(provider.url, post(body, "/v1/complete"))[2])
    assert (whole["type"], whole["stop_reason"]) == ("completion", "max_tokens")
    streamed = events(fetch(provider.url, post(body | {"stream": True}, "/v1/complete"))[2])
    assert {name for name, _ in streamed} == {"ping", "completion"}
    assert "".join(data.get("completion", "") for _, data in streamed) == whole["completion"]


def test_legacy_completion_needs_its_turns(provider: SimulatedProvider) -> None:
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": "hello"}
    assert fetch(provider.url, post(body, "/v1/complete"))[0] == 400
