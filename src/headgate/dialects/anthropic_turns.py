"""Messages of the Anthropic dialect as neutral turns.

Source: Anthropic API reference, "Messages" (content block types).
"""

from typing import Any

import msgspec

from headgate.conversation.facts import Facts, facts_of, opaque
from headgate.conversation.turns import Block, Call, Other, Result, Text, Thought, Turn

_THOUGHTS = {"thinking": "thinking", "redacted_thinking": "data"}
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def read_facts(span: bytes) -> Facts:
    """Of one element of `messages`, as it was sent. Never raises: what cannot be read is opaque."""
    try:
        return facts_of(read_turn(msgspec.json.decode(span)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, TypeError):
        return opaque(span)


def read_turn(message: Any) -> Turn:
    """Raises ValueError for what is no message."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise ValueError("a message has a role")
    return Turn(message["role"], _blocks(message.get("content")))


def _blocks(content: Any) -> tuple[Block, ...]:
    """A string is the same as one block of text."""
    if isinstance(content, str):
        return (Text(content),)
    if content is None:
        return ()
    if not isinstance(content, list):
        raise ValueError("content is a string or a list of blocks")
    return tuple(_block(one) for one in content)


def _block(block: Any) -> Block:
    if isinstance(block, str):
        return Text(block)
    if not isinstance(block, dict):
        raise ValueError("a block is an object")
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        return Text(block["text"])
    if kind in _CALLS:
        return Call(_text(block.get("id")), _text(block.get("name")), block.get("input"))
    if kind == "tool_result":
        return Result(
            _text(block.get("tool_use_id")), _blocks(block.get("content")), block.get("is_error") is True
        )
    if kind in _THOUGHTS:
        return Thought(len(_text(block.get(_THOUGHTS[kind]))))
    return Other(_text(kind), block)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
