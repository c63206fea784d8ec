from typing import Any

import pytest

from headgate.conversation.turns import Call, Other, Result, Text, Thought
from headgate.dialects.anthropic_turns import read_turn


@pytest.mark.parametrize(
    "block, read",
    [
        ({"type": "text", "text": "a", "citations": []}, Text("a")),
        ({"type": "tool_use", "id": "1", "name": "n", "input": {"a": 1}}, Call("1", "n", {"a": 1})),
        ({"type": "server_tool_use", "id": "1", "name": "n", "input": {}}, Call("1", "n", {})),
        ({"type": "tool_result", "tool_use_id": "1"}, Result("1", ())),
        ({"type": "tool_result", "tool_use_id": "1", "content": "a"}, Result("1", (Text("a"),))),
        (
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "is_error": True,
                "content": [{"type": "text", "text": "a"}],
            },
            Result("1", (Text("a"),), has_failed=True),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "x"}, Thought(2)),
        ({"type": "redacted_thinking", "data": "xxx"}, Thought(3)),
        ({"type": "of_next_year", "a": 1}, Other("of_next_year", {"type": "of_next_year", "a": 1})),
        ({"type": "text", "text": 3}, Other("text", {"type": "text", "text": 3})),
    ],
)
def test_each_kind_of_block_has_its_neutral_form(block: Any, read: Any) -> None:
    assert read_turn({"role": "user", "content": [block]}).blocks == (read,)


@pytest.mark.parametrize("message", [None, 3, "x", [], {}, {"role": 1}, {"role": "user", "content": 3}])
def test_what_is_no_message_is_refused(message: Any) -> None:
    with pytest.raises(ValueError):
        read_turn(message)
