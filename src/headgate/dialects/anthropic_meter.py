"""What an answer in the Anthropic dialect says of its usage, and the error it reports.

Sources: Anthropic API reference, "Streaming messages" (usage in `message_start`, cumulative in
`message_delta`; `error` events), "Messages" (`usage`: `cache_creation`, `output_tokens_details`,
`server_tool_use`, `service_tier`, `speed`, `inference_geo`); `usage.iterations` in "Compaction", "Advisor
tool" (both charged beside the totals) and "Refusals and fallback" (the totals: of the attempt that served).
"""

from collections.abc import Mapping

import msgspec

from headgate.dialects.meters import Heard, Meter, listen
from headgate.dialects.parts import Beside, completed
from headgate.dialects.usage import Part, Usage, word


class _Error(msgspec.Struct):
    type: str | None = None


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Counts(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _ServerToolUse(msgspec.Struct):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None
    code_execution_requests: int | None = None


class _Iteration(_Counts):
    type: str | None = None
    model: str | None = None
    """That ran it; not of a compaction, which is always the model's that was asked for."""


class _AllCounts(_Counts):
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerToolUse | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: list[_Iteration] | None = None


class _Message(msgspec.Struct):
    usage: _AllCounts | None = None


class _Answer(msgspec.Struct):
    """The fields wanted of a JSON answer and of every event alike."""

    usage: _AllCounts | None = None
    message: _Message | str | None = None
    error: _Error | str | None = None


class _PlainMessage(msgspec.Struct):
    usage: _Counts | None = None


class _PlainAnswer(msgspec.Struct):
    """Of an answer whose rarer fields have another shape than documented: they must not cost the others."""

    usage: _Counts | None = None
    message: _PlainMessage | str | None = None
    error: _Error | str | None = None


class _Block(msgspec.Struct):
    type: str | None = None


class _Blocks(msgspec.Struct):
    """The content of a JSON answer, or what a stream begins."""

    content: list[_Block] = []
    content_block: _Block | None = None


class _ResultMessage(msgspec.Struct):
    model: str | None = None
    usage: _AllCounts | None = None


class _PlainResultMessage(msgspec.Struct):
    model: str | None = None
    usage: _Counts | None = None


class _Result(msgspec.Struct):
    message: _ResultMessage | None = None


class _PlainResult(msgspec.Struct):
    message: _PlainResultMessage | None = None


class _ResultLine(msgspec.Struct):
    """Of a batch: one of its requests."""

    result: _Result | None = None


class _PlainResultLine(msgspec.Struct):
    result: _PlainResult | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_decode_plain = msgspec.json.Decoder(_PlainAnswer).decode
_decode_blocks = msgspec.json.Decoder(_Blocks).decode
_decode_line = msgspec.json.Decoder(_ResultLine).decode
_decode_plain_line = msgspec.json.Decoder(_PlainResultLine).decode


class _Reader:
    marks = (b"message_", b"error", b"tool_use")
    dull = b"event: content_block_delta\n"
    events = frozenset({b"message_start", b"message_delta", b"content_block_start", b"error", b""})

    def read(self, data: bytes) -> Heard:
        heard = self._read(data)
        if data.find(b"tool_use") >= 0 and (calls := _tool_calls(data)):
            return msgspec.structs.replace(heard, tool_calls=calls)
        return heard

    def _read(self, data: bytes) -> Heard:
        try:
            answer: _Answer | _PlainAnswer = _decode(data)
        except msgspec.ValidationError:
            try:
                answer = _decode_plain(data)
            except msgspec.DecodeError:
                return _NOTHING
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _NOTHING
        message = answer.message
        counts = answer.usage if message is None or isinstance(message, str) else message.usage
        error_type = None if answer.error is None else _type_of(answer.error)
        if isinstance(counts, _AllCounts):
            beside = None if counts.iterations is None else _beside(counts.iterations)
            return Heard(_full_usage(counts), error_type, beside)
        return Heard(None if counts is None else _usage(counts), error_type)


_NOTHING = Heard()
_TOOLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_ATTEMPTS = frozenset({"message", "fallback_message"})
_USUAL = frozenset({None, "standard", "priority", "batch", "fast", "global", "us", "not_available"})

ANTHROPIC = _Reader()


def meter_for(fields: Mapping[bytes, bytes]) -> Meter:
    """The meter that suits an answer's `content-type` and `content-encoding` (names lower case)."""
    return listen(fields, ANTHROPIC)


def _tool_calls(data: bytes) -> int:
    """A call is a block of the content, whoever runs the tool; its result is none."""
    try:
        found = _decode_blocks(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    blocks = found.content if found.content_block is None else [found.content_block]
    return sum(block.type in _TOOLS for block in blocks)


def read_result(line: bytes) -> tuple[str | None, Usage | None]:
    """Of a batch's results: the model that answered and what that used; no usage: it cost nothing, or the
    line is none."""
    try:
        read: _ResultLine | _PlainResultLine = _decode_line(line)
    except msgspec.ValidationError:
        try:
            read = _decode_plain_line(line)
        except msgspec.DecodeError:
            return None, None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    message = None if read.result is None else read.result.message
    if message is None or message.usage is None:
        return None, None
    counts = message.usage
    if not isinstance(counts, _AllCounts):
        return message.model, _usage(counts)
    beside = None if counts.iterations is None else _beside(counts.iterations)
    usage = _full_usage(counts)
    return message.model, usage if beside is None else completed(usage, beside)


def _type_of(error: _Error | str) -> str:
    """Some gateways in between write the error as a bare string."""
    return "error" if isinstance(error, str) else error.type or "error"


def _usage(counts: _Counts) -> Usage:
    return Usage(counts.input_tokens, counts.output_tokens, counts.cache_read_input_tokens, *_writes(counts))


def _full_usage(counts: _AllCounts) -> Usage:
    """Arguments by place, words that are known looked up: every answer comes through here."""
    details, tools = counts.output_tokens_details, counts.server_tool_use
    write_5m, write_1h = _writes(counts) if counts.iterations is None else _all_writes(counts)
    tier, speed, geo = counts.service_tier, counts.speed, counts.inference_geo
    usage = Usage(
        counts.input_tokens,
        counts.output_tokens,
        counts.cache_read_input_tokens,
        write_5m,
        write_1h,
        None if details is None else details.thinking_tokens,
        tier if tier in _USUAL else word(tier),
        speed if speed in _USUAL else word(speed),
        geo if geo in _USUAL else word(geo),
    )
    if tools is None:
        return usage
    return msgspec.structs.replace(
        usage,
        web_search_requests=tools.web_search_requests,
        web_fetch_requests=tools.web_fetch_requests,
        code_execution_requests=tools.code_execution_requests,
    )


def _writes(counts: _Counts) -> tuple[int | None, int | None]:
    """Cache writes without the split by lifetime are five-minute ones: the provider's default."""
    split = counts.cache_creation
    if split is None:
        return counts.cache_creation_input_tokens, None
    return split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens


def _all_writes(counts: _AllCounts) -> tuple[int | None, int | None]:
    """The total is of all iterations, its split may be of the first one alone."""
    total = counts.cache_creation_input_tokens or 0
    write_5m, write_1h = _writes(counts)
    if (write_5m or 0) + (write_1h or 0) >= total:
        return write_5m, write_1h
    each = [_writes(one) for one in counts.iterations or () if one.type in _ATTEMPTS]
    of_5m, of_1h = (sum(one[place] or 0 for one in each) for place in (0, 1))
    if of_5m + of_1h == total:
        return of_5m, of_1h
    return total - (write_1h or 0), write_1h


def _beside(iterations: list[_Iteration]) -> Beside | None:
    """What is charged and stands in no total, and whose the totals are. None: nothing of that kind.

    A compaction is a call of its own, and so is an advisor's. Where the model that was asked for declined and
    another one served, the totals are that one's; who declined is charged if it had said anything.
    """
    served_by = None
    attempts = [one for one in iterations if one.type in _ATTEMPTS]
    if any(one.type == "fallback_message" for one in attempts) or _are_of_several(attempts):
        serving = [one for one in attempts if one.type == "fallback_message"] or attempts
        served_by = serving[-1].model
    parts = []
    for one in iterations:
        if one.type == "message":
            is_charged = served_by is not None and one.model not in (None, served_by) and one.output_tokens
        else:
            is_charged = one.type in ("compaction", "advisor_message")
        if is_charged:
            parts.append(Part(one.model, _usage(one)))
    return Beside(tuple(parts), served_by) if parts or served_by is not None else None


def _are_of_several(attempts: list[_Iteration]) -> bool:
    return len({one.model for one in attempts if one.model is not None}) > 1
