"""What an answer in OpenAI's dialects says of its usage: completions, embeddings, responses.

Sources: OpenAI API reference, "Chat completions" (`usage`, with `prompt_tokens_details` and
`completion_tokens_details`; in a stream in its last chunk, null in those before), "Responses" (`usage` with
`input_tokens_details` and `output_tokens_details`, in the event that ends the stream); `service_tier` beside
both.
"""

import msgspec

from headgate.dialects.meters import NEVER, Heard
from headgate.dialects.usage import Usage, word


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | int | None = None


class _Answer(msgspec.Struct):
    usage: _Counts | None = None
    service_tier: str | None = None
    error: _Error | str | None = None


class _Event(_Answer):
    """Of a response; chat has none of the two."""

    response: _Answer | None = None
    type: str | None = None


_decode = msgspec.json.Decoder(_Event).decode

_NO_DETAILS = _Details()


class _Reader:
    # Every chunk of a chat has `"usage":null` where usage was asked for: counts tell the one that has them.
    marks = (b'_tokens"', b'"error"', b'"error"')
    dull = NEVER
    events = frozenset({b"response.completed", b"response.incomplete", b"response.failed", b"error", b""})

    def read(self, data: bytes) -> Heard:
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Heard()
        answer = event if event.response is None else event.response
        error_type = None if answer.error is None else _type_of(answer.error)
        if error_type is None and event.type == "error":
            error_type = "error"
        if answer.usage is None:
            return Heard(None, error_type)
        return Heard(_usage(answer.usage, word(answer.service_tier)), error_type)


OPENAI = _Reader()


def _type_of(error: _Error | str) -> str:
    return "error" if isinstance(error, str) else error.type or str(error.code or "error")


def _usage(counts: _Counts, tier: str | None) -> Usage:
    """Cached tokens stand in the input here; ours are apart from it."""
    given = counts.prompt_tokens_details or counts.input_tokens_details or _NO_DETAILS
    made = counts.completion_tokens_details or counts.output_tokens_details or _NO_DETAILS
    whole = counts.input_tokens if counts.prompt_tokens is None else counts.prompt_tokens
    cached = (given.cached_tokens or 0) + (given.cache_write_tokens or 0)
    return Usage(
        None if whole is None else max(0, whole - cached),
        counts.output_tokens if counts.completion_tokens is None else counts.completion_tokens,
        given.cached_tokens,
        given.cache_write_tokens,
        reasoning_tokens=made.reasoning_tokens,
        service_tier=tier,
        audio_input_tokens=given.audio_tokens,
        image_input_tokens=given.image_tokens,
        audio_output_tokens=made.audio_tokens,
        image_output_tokens=made.image_tokens,
    )
