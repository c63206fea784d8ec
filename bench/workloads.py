"""What is asked and what is answered: request bodies, and the mock's answers to the byte.

The answers follow Anthropic's Messages API (API reference, "Messages" and "Streaming Messages"): one JSON
message, or server-sent events from `message_start` to `message_stop`, cumulative usage in `message_delta`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CLIENT_KEY = "hg-bench-client-key-0123456789abcdef"
"""The one client key that Headgate checks. nginx forwards it unread."""

MODEL = "claude-sonnet-4-5-20250929"
SESSIONS = 8
"""Conversations that take turns, so that session affinity has something to look up."""

LARGE_BODY_BYTES = 220_000
TEXT_DELTAS = 99
"""With the six events round them (`stream_events`) they make 105."""


@dataclass(frozen=True)
class Workload:
    name: str
    mode: str
    """What the mock is asked to do, in the query of the request."""
    connections: int
    bodies: tuple[bytes, ...]
    answer: bytes
    """The body that must come back, byte for byte, before a figure is trusted."""

    @property
    def path(self) -> str:
        return f"/v1/messages?bench={self.mode}"


def request_headers() -> dict[str, str]:
    """As the official SDKs send them."""
    return {
        "accept": "application/json",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        "user-agent": "Anthropic/Python 0.70.0",
        "x-api-key": CLIENT_KEY,
    }


def post(mode: str, session: int) -> bytes:
    """A short request as it goes over the wire; `mode` is what the mock does."""
    body = _small_body(session % SESSIONS, stream=mode != "json")
    headers = {**request_headers(), "host": "127.0.0.1", "content-length": str(len(body))}
    lines = [f"POST /v1/messages?bench={mode} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


# Requests


def _session_id(session: int) -> str:
    return f"user_{'0' * 62}{session:02d}_account__session_00000000-0000-4000-8000-{session:012d}"


def _small_body(session: int, *, stream: bool) -> bytes:
    request = {
        "model": MODEL,
        "max_tokens": 256,
        "stream": stream,
        "messages": [{"role": "user", "content": "Say hello."}],
        "metadata": {"user_id": _session_id(session)},
    }
    return json.dumps(request, separators=(",", ":")).encode()


def _tool(number: int) -> dict[str, Any]:
    return {
        "name": f"Tool{number}",
        "description": "Reads a file from the local file system, with line numbers. " * 8,
        "input_schema": {
            "type": "object",
            "properties": {
                "file_path": {"type": "string", "description": "The absolute path to the file"},
                "offset": {"type": "integer", "description": "The line to start from"},
            },
            "required": ["file_path"],
        },
    }


def _turn(number: int) -> list[dict[str, Any]]:
    """One step of an agent: it reads a file, the client hands the file's text back."""
    call = {
        "type": "tool_use",
        "id": f"toolu_{number:024d}",
        "name": "Tool1",
        "input": {"file_path": f"/src/m{number}.py"},
    }
    lines = "".join(f'{line:6d}\tdef step_{line}(value: str) -> str:  # "naïve"\n' for line in range(40))
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": lines}]}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": "I read the next file."}, call]},
        {"role": "user", "content": [result]},
    ]


def _large_body(session: int) -> bytes:
    """A coding agent's request late in a session: system prompt, tools, many turns with file contents."""
    request: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 32_000,
        "system": [
            {"type": "text", "text": "You are a coding agent. " * 600, "cache_control": {"type": "ephemeral"}}
        ],
        "tools": [_tool(number) for number in range(20)],
        "metadata": {"user_id": _session_id(session)},
        "messages": [{"role": "user", "content": "Rename `value` everywhere."}],
    }
    size = _encoded_size(request)
    turn_size = _encoded_size(_turn(0))
    for number in range((LARGE_BODY_BYTES - size) // turn_size):
        request["messages"] += _turn(number)
    padding = LARGE_BODY_BYTES - _encoded_size(request) - _encoded_size({"role": "user", "content": ""})
    request["messages"].append({"role": "user", "content": "x" * max(padding, 1)})
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


def _changed_body(session: int) -> bytes:
    """The same of an agent whose system prompt has the time of day, say: `load.lua` changes it each time."""
    return _large_body(session).replace(b"You are a coding agent.", b"@@@@@@@@ coding agent ..", 1)


def _encoded_size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


# Answers


def _message(content: list[dict[str, Any]], usage: dict[str, int], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


_INPUT_USAGE = {"input_tokens": 2095, "cache_creation_input_tokens": 128, "cache_read_input_tokens": 4096}


def json_answer() -> bytes:
    text = "Hello! I am here and ready to work on your code with you, one step at a time. " * 2
    return json.dumps(
        _message([{"type": "text", "text": text}], {**_INPUT_USAGE, "output_tokens": 42}, "end_turn")
    ).encode()


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def stream_events() -> list[bytes]:
    """105 events: start, block start, ping, 99 deltas, block stop, message delta with the usage, stop."""
    deltas = [
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": f" word {number}"})
        for number in range(TEXT_DELTAS)
    ]
    return [
        _event("message_start", message=_message([], {**_INPUT_USAGE, "output_tokens": 1}, None)),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("ping"),
        *deltas,
        _event("content_block_stop", index=0),
        _event(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 199},
        ),
        _event("message_stop"),
    ]


def last_events(output_tokens: int) -> bytes:
    """What ends a stream, with the usage."""
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"output_tokens": output_tokens}
    return _event("message_delta", delta=delta, usage=usage) + _event("message_stop")


def _bodies(make: Callable[[int], bytes]) -> tuple[bytes, ...]:
    return tuple(make(session) for session in range(SESSIONS))


def workloads() -> dict[str, Workload]:
    streamed = b"".join(stream_events())
    small = _bodies(lambda session: _small_body(session, stream=False))
    streaming = _bodies(lambda session: _small_body(session, stream=True))
    return {
        "small": Workload("small", "json", 32, small, json_answer()),
        "stream": Workload("stream", "stream", 16, streaming, streamed),
        "large": Workload("large", "json", 32, _bodies(_large_body), json_answer()),
        "changed": Workload("changed", "json", 32, _bodies(_changed_body), json_answer()),
    }
