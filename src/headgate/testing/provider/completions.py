"""`POST /v1/complete`, the legacy form: one JSON object, or `completion` events that each carry a piece.

Source: https://platform.claude.com/docs/en/api/completions/create and its streaming page.
"""

from typing import Any

import msgspec

from headgate.testing.provider.answer import Answer, ProviderError
from headgate.testing.provider.messages import PING, event
from headgate.testing.provider.speech import Spoken

STREAM_TYPE = b"text/event-stream; charset=utf-8"


def check_completion_request(body: dict[str, Any], models: frozenset[str]) -> None:
    kinds: dict[str, type] = {"model": str, "prompt": str, "max_tokens_to_sample": int}
    for name, kind in kinds.items():
        if name not in body:
            raise ProviderError(400, f"{name}: Field required")
        if not isinstance(body[name], kind):
            raise ProviderError(400, f"{name}: Input should be a valid {kind.__name__}")
    if "\n\nAssistant:" not in body["prompt"]:
        raise ProviderError(400, 'prompt: prompt must contain "\n\nAssistant:" turn')
    if body["model"] not in models:
        raise ProviderError(404, f"model: {body['model']}")


def as_message_request(body: dict[str, Any]) -> dict[str, Any]:
    """The same question in the newer form, so that one voice answers both."""
    asked = body["prompt"].rpartition("\n\nAssistant:")[0].rpartition("\n\nHuman:")[2].strip() or "…"
    return {
        "model": body["model"],
        "max_tokens": max(1, body["max_tokens_to_sample"]),
        "messages": [{"role": "user", "content": asked}],
    }


def completion_answer(completion_id: str, body: dict[str, Any], spoken: Spoken) -> Answer:
    reason = "max_tokens" if spoken.stop_reason == "max_tokens" else "stop_sequence"
    whole = _completion(completion_id, body["model"], spoken.blocks[-1].whole["text"], reason)
    if body.get("stream") is not True:
        return Answer(200, [msgspec.json.encode(whole)])
    pieces = [msgspec.json.decode(delta)["text"] for delta in spoken.blocks[-1].deltas]
    parts = [_event(_completion(completion_id, body["model"], piece, None)) for piece in pieces]
    last = _event(_completion(completion_id, body["model"], "", reason))
    return Answer(200, [PING, *parts, last], STREAM_TYPE, is_stream=True)


def _completion(completion_id: str, model: str, text: str, reason: str | None) -> dict[str, Any]:
    return {
        "type": "completion",
        "id": completion_id,
        "completion": text,
        "stop_reason": reason,
        "model": model,
        "stop": None,
        "log_id": completion_id,
    }


def _event(shape: dict[str, Any]) -> bytes:
    return event(b"completion", msgspec.json.encode(shape))
