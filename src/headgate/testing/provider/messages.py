"""`POST /v1/messages`: a reply as one JSON object or as server-sent events.

Sources: https://platform.claude.com/docs/en/api/messages;
https://platform.claude.com/docs/en/build-with-claude/streaming, "Event types": message_start, content blocks,
message_delta with cumulative usage, message_stop, ping anywhere.
"""

from typing import Any

import msgspec

from headgate.testing.provider.answer import Answer, ProviderError, error_body
from headgate.testing.provider.script import Reply, Rule
from headgate.testing.provider.speech import Block, Spoken

_STREAM_TYPE = b"text/event-stream; charset=utf-8"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_UNKNOWN = (
    b": a comment line\n\n",
    b'event: weather_report\ndata: {"type":"weather_report","sky":{"clouds":3}}\n\n',
    b"id: 7\nretry: 3000\n\n",
)


def event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)


def whole_usage(billed: dict[str, Any], spoken: Spoken) -> dict[str, Any]:
    """`usage` as it stands in a finished message."""
    usage = billed | {"output_tokens": spoken.output_tokens, "service_tier": "standard"}
    if spoken.searches:
        usage["server_tool_use"] = {"web_search_requests": spoken.searches, "web_fetch_requests": 0}
    if spoken.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": spoken.thinking_tokens}
    return usage


def message(
    message_id: str, model: str, spoken: Spoken, usage: dict[str, Any], container: dict[str, Any] | None
) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "model": model,
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "content": [block.whole for block in spoken.blocks],
        "stop_reason": spoken.stop_reason,
        "stop_sequence": spoken.stop_sequence,
        "usage": usage,
    }
    if container is not None:
        shape["container"] = container
    return shape


def plain_answer(shape: dict[str, Any]) -> Answer:
    return Answer(200, [msgspec.json.encode(shape)], usages={0: shape["usage"]})


def streamed_answer(shape: dict[str, Any], spoken: Spoken, reply: Reply) -> Answer:
    """The same message as events; a reader learns of usage at the start and before the end."""
    started = shape["usage"] | {"output_tokens": min(1, spoken.output_tokens)}
    opening = shape | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": started}
    parts = [event(b"message_start", msgspec.json.encode({"type": "message_start", "message": opening}))]
    if reply.unknown_events:
        parts += _UNKNOWN
    for index, block in enumerate(spoken.blocks):
        parts += _block_events(index, block, pings=reply.pings if index == 0 else 0)
    parts.append(_message_delta(shape, reply))
    usages = {0: started, len(parts) - 1: shape["usage"]}
    parts.append(_MESSAGE_STOP)
    return Answer(200, parts, _STREAM_TYPE, [(b"cache-control", b"no-cache")], is_stream=True, usages=usages)


def _block_events(index: int, block: Block, *, pings: int) -> list[bytes]:
    start = {"type": "content_block_start", "index": index, "content_block": block.start}
    events = [event(b"content_block_start", msgspec.json.encode(start)), *[PING] * pings]
    head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
    # The provider pads its events with blanks before the last brace.
    events += [b"%b%b%b}\n\n" % (head, delta, b"  " * (n % 4)) for n, delta in enumerate(block.deltas)]
    events.append(event(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % index))
    return events


def _message_delta(shape: dict[str, Any], reply: Reply) -> bytes:
    usage = {
        name: value
        for name, value in shape["usage"].items()
        if name not in ("service_tier", "cache_creation")
    }
    delta = {"stop_reason": shape["stop_reason"], "stop_sequence": shape["stop_sequence"]}
    data: dict[str, Any] = {"type": "message_delta", "delta": delta, "usage": usage}
    if reply.unknown_events:
        data["mood"] = {"certainty": 0.5}
    return event(b"message_delta", msgspec.json.encode(data))


def with_error_event(answer: Answer, rule: Rule, request_id: str) -> Answer:
    """An `error` event instead of the stream, or after some of its events; the stream then ends properly."""
    status = 529 if rule.error in ("", "overloaded_error") else 500
    error = ProviderError(status, rule.message, type_=rule.error)
    keep = 0 if rule.fault == "error_first" else _struck(answer, rule)
    answer.parts = [*answer.parts[:keep], event(b"error", error_body(error, request_id))]
    answer.usages = {index: usage for index, usage in answer.usages.items() if index < keep}
    return answer


def _struck(answer: Answer, rule: Rule) -> int:
    wanted = len(answer.parts) // 2 if rule.event is None else rule.event
    return max(0, min(wanted, len(answer.parts)))
