"""Usage in OpenAI's words, through the same meters."""

import json
from typing import Any

from headgate.dialects.meters import listen
from headgate.dialects.openai_usage import OPENAI
from headgate.dialects.usage import Usage

CHAT = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 10},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 5,
        "rejected_prediction_tokens": 0,
    },
}
CHAT_READ = Usage(
    *(86, 300, 1920),
    reasoning_tokens=128,
    service_tier="priority",
    audio_input_tokens=10,
    audio_output_tokens=5,
)
STREAM = {b"content-type": b"text/event-stream"}


def heard(content_type: bytes, *pieces: bytes) -> tuple[Usage | None, str | None]:
    meter = listen({b"content-type": content_type}, OPENAI)
    for piece in pieces:
        meter.feed(piece)
    return meter.finish(), meter.error_type


def event(data: Any, name: str | None = None) -> bytes:
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def test_cached_tokens_are_told_apart_from_the_input() -> None:
    """There they stand in it; a price of their own wants them out."""
    body = json.dumps({"usage": CHAT, "service_tier": "priority"}).encode()
    assert heard(b"application/json", body) == (CHAT_READ, None)
    embedding = json.dumps({"usage": {"prompt_tokens": 8, "total_tokens": 8}}).encode()
    assert heard(b"application/json", embedding) == (Usage(8), None)


def test_d7_a_chat_stream_cut_anywhere() -> None:
    """D7: chunks before the last say `"usage": null`; the end is no JSON."""
    chunk = event({"choices": [{"delta": {"content": "the error is"}}], "usage": None})
    last = event({"choices": [], "usage": CHAT, "service_tier": "priority"})
    stream = chunk * 2 + last + event(b"[DONE]")
    for place in range(len(stream) + 1):
        assert heard(b"text/event-stream", stream[:place], stream[place:]) == (CHAT_READ, None)


def test_d7_a_stream_of_a_response_cut_anywhere() -> None:
    """D7: its last event has the whole response in it."""
    usage = {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 28, "cache_write_tokens": 100},
        "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 16},
    }
    begin = event({"type": "response.created", "response": {"usage": None}}, "response.created")
    done = {"type": "response.completed", "response": {"usage": usage, "service_tier": "flex"}}
    stream = begin + event(done, "response.completed")
    wanted = Usage(200, 52, 28, 100, reasoning_tokens=16, service_tier="flex")
    for place in range(len(stream) + 1):
        assert heard(b"text/event-stream", stream[:place], stream[place:]) == (wanted, None)


def test_errors_are_heard() -> None:
    body = b'{"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}'
    assert heard(b"application/json", body) == (None, "insufficient_quota")
    assert heard(b"application/json", b'{"error": {"message": "m", "code": 429}}') == (None, "429")
    failed = event(
        {"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "response.failed"
    )
    assert heard(b"text/event-stream", failed) == (None, "server_error")
    told = event({"type": "error", "message": "m"}, "error")
    assert heard(b"text/event-stream", told) == (None, "error")


def test_odd_data_says_nothing() -> None:
    for odd in (b"[", b"7", b'{"usage": []}', b'{"usage": {"prompt_tokens": "9"}}', b"[" * 100_000):
        assert heard(b"application/json", odd) == (None, None)
    more_cached_than_sent = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}
    body = json.dumps({"usage": more_cached_than_sent}).encode()
    assert heard(b"application/json", body) == (Usage(0, None, 9), None)
