"""Which tool the model calls next: what the user's words or `tool_choice` name, one call after the other.

`use tool Read {…}, then use tool Edit {…}` is worked off call by call, as an agent does: the next one is due
when the result of the one before is in, and after the last result the model just talks.
"""

import json
import re
from typing import Any, NamedTuple

_USE_TOOL = re.compile(r"\buse tool ([\w-]+)\s*(?=\{)", re.IGNORECASE)
_COMMAND_CHARACTERS = 4096  # commands are looked for at the end of the text: a large body stays cheap
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    """`text` is the input as the user wrote it, every number and escape in its spelling."""

    name: str
    text: str
    value: Any


def due_call(body: dict[str, Any]) -> Call | None:
    """The call that this turn has to make; None: talk."""
    names = {tool.get("name") for tool in body.get("tools") or () if isinstance(tool, dict)}
    task, results = _task_of(body)
    calls = _calls_in(text_of(task)[-_COMMAND_CHARACTERS:], names)
    if results < len(calls):
        return calls[results]
    choice = body.get("tool_choice") or {}
    if choice.get("type") == "tool" and choice.get("name") in names:
        return Call(choice["name"], "{}", {})
    return None


def _task_of(body: dict[str, Any]) -> tuple[Any, int]:
    """The content of the user's last message that brings no results, and how many came since."""
    results = 0
    for message in reversed(body.get("messages") or ()):
        if message.get("role") != "user":
            continue
        brought = _results_in(message.get("content"))
        if not brought:
            return message.get("content"), results
        results += brought
    return None, results


def _results_in(content: Any) -> int:
    blocks = content if isinstance(content, list) else []
    return sum(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks)


def _calls_in(text: str, names: set[Any]) -> list[Call]:
    calls: list[Call] = []
    for match in _USE_TOOL.finditer(text):
        try:
            value, end = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            break
        if match[1] in names:
            calls.append(Call(match[1], text[match.end() : end], value))
    return calls


def text_of(content: Any) -> str:
    """The text of a message's content, results of tools included."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict):
            continue
        if block.get("type") == "text":
            texts.append(str(block.get("text", "")))
        elif block.get("type") == "tool_result":
            texts.append(text_of(block.get("content")))
    return "\n".join(texts)
