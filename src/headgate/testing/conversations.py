"""Sample conversations: request bodies as coding tools send them, the same for the same seed."""

import base64
import random
from collections.abc import Iterator
from typing import Any

MODEL = "claude-sonnet-5-5"
_HISTORY_BYTES = 220_000
_BYTES_BESIDE_HISTORY = 17_000  # system, tools and first message, as compact JSON
_BYTES_A_TURN = 1_100  # a turn without its tool result's filling
_TOOLS = ("Bash", "Edit", "Glob", "Grep", "Read", "Task", "TodoWrite", "WebFetch", "Write")
_WORDS = (
    *("account", "answer", "batch", "byte", "cache", "client", "connection", "cursor", "header", "journal"),
    *("latency", "limit", "naïve", "origin", "parser", "queue", "recorder", "request", "retry", "schema"),
    *("segment", "session", "stream", "token", "worker", "—", "Größe", "данные", "接続", "数据", "مرحبا"),
    *("😀", "👩\u200d💻", "\\n", "\\u0041", '"quoted"', "C:\\temp", "</script>", "\u2028", "tab\there"),
)


def short_request(seed: int = 0, *, stream: bool = False) -> dict[str, Any]:
    """One question, a few hundred bytes."""
    body: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": _text(random.Random(seed), 30)}],
    }
    return body | {"stream": True} if stream else body


def coding_request(
    seed: int = 0, *, turns: int = 3, history_bytes: int = 0, stream: bool = True, session: str | None = None
) -> dict[str, Any]:
    """A turn of a coding tool: system blocks and tools with `cache_control`, tool calls, thinking, an image.

    `history_bytes` fills the tool results until the body has about that size. The same seed with one turn
    more continues the same conversation, so the cached prefix repeats.
    """
    dice = random.Random(seed)
    session = session or f"{dice.getrandbits(128):032x}"
    system, tools = _system(dice), _tools(dice)
    filling = max(0, history_bytes - _BYTES_BESIDE_HISTORY - turns * _BYTES_A_TURN) // max(1, turns)
    messages: list[dict[str, Any]] = [{"role": "user", "content": _first_message(dice)}]
    for turn in range(turns):
        messages += _turn(random.Random(f"{seed} {turn}"), filling)
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {
        "model": MODEL,
        "max_tokens": 32_000,
        "system": system,
        "tools": tools,
        "messages": messages,
        "metadata": {"user_id": f'{{"device_id":"{seed:064x}","account_uuid":"","session_id":"{session}"}}'},
        "thinking": {"type": "enabled", "budget_tokens": 8000},
        "stream": stream,
    }


def large_request(seed: int = 0, *, stream: bool = False) -> dict[str, Any]:
    """A long history: about 220 KB of JSON."""
    return coding_request(seed, turns=40, history_bytes=_HISTORY_BYTES, stream=stream)


def conversation(seed: int = 0, *, turns: int = 5) -> Iterator[dict[str, Any]]:
    """The requests of one session, each with one turn more than the last."""
    for turn in range(1, turns + 1):
        yield coding_request(seed, turns=turn)


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words))


def _filler(dice: random.Random, size: int) -> str:
    """About `size` bytes of text, cheap to make: one paragraph repeated with line numbers."""
    line = _text(dice, 12)
    count = size // (len(line.encode()) + 10) + 1
    return "\n".join(f"{number:6}\t{line}" for number in range(count))


def _system(dice: random.Random) -> list[dict[str, Any]]:
    """A short identity block, then a long one that both end a cached prefix."""
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    return [
        {"type": "text", "text": "You are a coding assistant that works in a terminal.", **cached},
        {"type": "text", "text": _text(dice, 800), **cached},
    ]


def _tools(dice: random.Random) -> list[dict[str, Any]]:
    schema = {
        "type": "object",
        "properties": {"path": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
        "required": ["path"],
        "additionalProperties": False,
        "$schema": "http://json-schema.org/draft-07/schema#",
    }
    return [{"name": name, "description": _text(dice, 60), "input_schema": schema} for name in _TOOLS]


def _first_message(dice: random.Random) -> list[dict[str, Any]]:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + dice.randbytes(2000)).decode()
    return [
        {"type": "text", "text": f"<system-reminder>\n{_text(dice, 40)}\n</system-reminder>\n"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}},
        {"type": "text", "text": _text(dice, 50)},
    ]


def _turn(dice: random.Random, filling: int) -> list[dict[str, Any]]:
    """The assistant thinks and calls a tool; the user's side returns its result."""
    call_id = f"toolu_01{dice.getrandbits(80):020x}"
    called = {"path": f"/src/{_text(dice, 1)}.py", "count": dice.randrange(1 << 40), "ratio": dice.random()}
    thought = {
        "type": "thinking",
        "thinking": _text(dice, 40),
        "signature": f"EqQB{dice.getrandbits(512):0128x}",
    }
    asked = {"type": "tool_use", "id": call_id, "name": dice.choice(_TOOLS), "input": called}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": _filler(dice, filling or 200)}
    return [
        {"role": "assistant", "content": [thought, {"type": "text", "text": _text(dice, 10)}, asked]},
        {"role": "user", "content": [result, {"type": "text", "text": _text(dice, 15)}]},
    ]
