"""Which tool the simulated model calls, turn by turn."""

import json
from typing import Any

import pytest

from headgate.testing.provider.tools import due_call, text_of

TOOLS = [{"name": "Read"}, {"name": "Edit"}]
TASK = 'use tool Read {"path": "a"}, then use tool Edit {"path": "a", "old": "}", "n": 2.50}. Thanks {!}'


def due(*messages: dict[str, Any], **fields: Any) -> tuple[str, str] | None:
    call = due_call({"tools": TOOLS, "messages": list(messages), **fields})
    return call and (call.name, call.text)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def result(text: str) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": "t", "content": text}])


CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "x", "input": {}}]}


def test_calls_are_made_one_after_the_other() -> None:
    """The next one when the result of the one before is in; after the last one the model talks."""
    assert due(user(TASK)) == ("Read", '{"path": "a"}')
    assert due(user(TASK), CALLED, result("use tool Read {}")) == (
        "Edit",
        '{"path": "a", "old": "}", "n": 2.50}',
    )
    assert due(user(TASK), CALLED, result("1"), CALLED, result("2")) is None
    assert due(user(TASK), CALLED, result("1"), CALLED, user("Thank you")) is None


def test_what_a_client_adds_in_a_system_s_role_is_not_the_user_s() -> None:
    """Coding tools append such messages after the user's own."""
    assert due(user(TASK), {"role": "system", "content": 'use tool Edit {"x": 1}'}) == (
        "Read",
        '{"path": "a"}',
    )


@pytest.mark.parametrize("text", ["use tool Write {}", "use tool Read {broken}", "use tool Read", ""])
def test_no_call(text: str) -> None:
    """A tool that is not offered, an input that is no JSON, no input at all."""
    assert due(user(text)) is None


def test_a_forced_tool_is_called() -> None:
    """`tool_choice` names it; the user's words come first."""
    choice = {"type": "tool", "name": "Edit"}
    assert due(user("hello"), tool_choice=choice) == ("Edit", "{}")
    assert due(user(TASK), tool_choice=choice) == ("Read", '{"path": "a"}')


def test_the_text_of_a_message_includes_results() -> None:
    """Whatever else stands there is passed over."""
    inner = [{"type": "text", "text": "b"}, {"type": "image"}]
    blocks = [{"type": "text", "text": "a"}, {"type": "tool_result", "content": inner}, 5]
    assert text_of(json.loads(json.dumps(blocks))) == "a\nb"
    assert text_of("plain") == "plain"
    assert text_of(None) == ""
