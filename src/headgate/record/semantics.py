"""Requests as OpenTelemetry spans and measurements, by the semantic conventions for generative AI (1.41).

A request is a SERVER span; each try on an account is a CLIENT span below it. What was said is in none.
Imported by `otlp.py` alone: the packages are those of the extra `otel`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from headgate.dialects.usage import Usage
from headgate.record.events import Attempt, RequestRecord

Attributes = dict[str, str | int | float | bool]

PROVIDERS = {
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "azure-openai": "azure.ai.openai",
}
"""Well-known names of the conventions, where they are not ours."""
OPERATIONS = {
    "/v1/messages": "chat",
    "/api/v1/messages": "chat",
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/complete": "text_completion",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""Other requests (files, batches, counts) are no operations of a model."""

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SCOPE = InstrumentationScope("headgate")


def operation_of(record: RequestRecord) -> str | None:
    return OPERATIONS.get(record.path)


def parent_of(traceparent: bytes) -> SpanContext | None:
    """What a client sent (W3C Trace Context, level 1); None: nothing that counts."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def is_wanted(record: RequestRecord) -> bool:
    """A client that traces and has not sampled its request wants no spans of it."""
    parent = parent_of(record.traceparent)
    return parent is None or parent.trace_flags.sampled


def spans_of(record: RequestRecord, resource: Resource) -> Iterator[ReadableSpan]:
    """The request first, then its tries in their order."""
    parent = parent_of(record.traceparent)
    trace_id = parent.trace_id if parent is not None else _number(record.id, "trace", 16)
    sampled = TraceFlags(TraceFlags.SAMPLED)
    own = SpanContext(trace_id, _number(record.id, "request", 8), is_remote=False, trace_flags=sampled)
    began = record.at_ms * 1_000_000
    ended = began + round(record.duration_ms * 1_000_000)
    yield ReadableSpan(
        name=f"{record.method} {record.path}" if operation_of(record) else record.method,
        context=own,
        parent=parent,
        resource=resource,
        attributes=_of_request(record),
        kind=SpanKind.SERVER,
        status=_status(_fault_of(record)),
        start_time=began,
        end_time=ended,
        instrumentation_scope=_SCOPE,
    )
    last = len(record.attempts) - 1
    for number, attempt in enumerate(record.attempts):
        began_at = began + round(attempt.started_ms * 1_000_000)
        serves = number == last and attempt.error is None
        until = ended if serves else began_at + round(attempt.duration_ms * 1_000_000)
        span_id = _number(record.id, str(number), 8)
        yield ReadableSpan(
            name=_name_of_try(record),
            context=SpanContext(trace_id, span_id, is_remote=False, trace_flags=sampled),
            parent=own,
            resource=resource,
            attributes=_of_attempt(record, attempt, serves=serves),
            kind=SpanKind.CLIENT,
            status=_status(attempt.error or (record.error if serves else None)),
            start_time=began_at,
            end_time=max(began_at, until),
            instrumentation_scope=_SCOPE,
        )


def common(record: RequestRecord) -> Attributes:
    """What spans and measurements of an operation share."""
    found: Attributes = {"gen_ai.provider.name": PROVIDERS.get(record.provider, record.provider)}
    if (operation := operation_of(record)) is not None:
        found["gen_ai.operation.name"] = operation
    return found


def input_tokens(usage: Usage) -> int:
    """With what the cache gave and took, as the conventions count them."""
    cached = (usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens)
    return (usage.input_tokens or 0) + sum(one or 0 for one in cached)


def _of_request(record: RequestRecord) -> Attributes:
    found: Attributes = {
        "http.request.method": record.method,
        "url.path": record.path,
        "url.scheme": "http",
        "http.response.status_code": record.status,
        "client.address": record.client_address,
        "user_agent.original": record.user_agent,
        "http.request.body.size": record.request_bytes,
        "http.response.body.size": record.response_bytes,
        "headgate.request.id": record.id,
        "headgate.client_key": record.caller,
        "headgate.own_time": record.overhead_ms / 1000,
    }
    _add_error(found, record.error, record.status)
    return found


def _of_attempt(record: RequestRecord, attempt: Attempt, *, serves: bool) -> Attributes:
    found = common(record)
    found |= {"http.request.method": record.method, "headgate.account": attempt.account}
    if record.model is not None:
        found["gen_ai.request.model"] = record.model
        found["gen_ai.request.stream"] = record.stream
    if record.session is not None:
        found["gen_ai.conversation.id"] = record.session
    if attempt.status is not None:
        found["http.response.status_code"] = attempt.status
    _add_error(found, attempt.error or (record.error if serves else None), attempt.status or 0)
    if serves:
        if record.stream and record.first_byte_ms is not None:
            found["gen_ai.response.time_to_first_chunk"] = (record.first_byte_ms - attempt.started_ms) / 1000
        if record.usage is not None:
            found |= _of_usage(record.usage)
    return found


def _of_usage(usage: Usage) -> Attributes:
    written = (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    found: Mapping[str, int | None] = {
        "gen_ai.usage.input_tokens": input_tokens(usage),
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": written or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    return {name: tokens for name, tokens in found.items() if tokens is not None and tokens < 2**63}


def _add_error(found: Attributes, error: str | None, status: int) -> None:
    if error is not None or status >= 400:
        found["error.type"] = error or str(status)


def _fault_of(record: RequestRecord) -> str | None:
    """What a SERVER span counts as its own failure: not what the caller did wrong."""
    if record.status >= 500:
        return record.error or str(record.status)
    return record.error if record.status < 400 else None


def _status(error: str | None) -> Status:
    return Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, error)


def _name_of_try(record: RequestRecord) -> str:
    operation = operation_of(record)
    if operation is None:
        return record.method
    return operation if record.model is None else f"{operation} {record.model}"


def _number(request_id: str, of: str, size: int) -> int:
    """Ids follow from the request's own, so that nobody has to hand them on."""
    digest = hashlib.blake2b(f"{of}:{request_id}".encode("utf-8", "replace"), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1
