"""The meter hears the same, however an answer is cut, coded or broken."""

import gzip
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.anthropic_meter import meter_for
from headgate.dialects.meters import Meter, StreamMeter
from headgate.dialects.usage import Part, Usage, shares_of

STREAM = {b"content-type": b"text/event-stream; charset=utf-8"}
JSON = {b"content-type": b"application/json"}
AT_FIRST = Usage(25, 1, 7, 100, 200, service_tier="standard")
USAGE = Usage(25, 15, 7, 100, 200, service_tier="standard")


def _event(name: str, **fields: Any) -> bytes:
    data = json.dumps({"type": name, **fields}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


START = _event(
    "message_start",
    message={
        "id": "msg_1",
        "usage": {
            "input_tokens": 25,
            "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
)
TEXT = _event(
    "content_block_delta", index=0, delta={"type": "text_delta", "text": 'error message_delta 水😀 "'}
)
DELTA = _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 15})
TRANSCRIPT = b"".join(
    [START, b": ping\n\n", _event("ping"), *[TEXT] * 5, _event("unheard_of", usage=None), DELTA]
) + _event("message_stop")
ERROR = _event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def _metered(meter: Meter, pieces: list[bytes]) -> Usage | None:
    for piece in pieces:
        meter.feed(piece)
    return meter.finish()


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


# ---- streams -------------------------------------------------------------------------------------


@given(cuts=st.lists(st.integers(0, 5000)))
def test_any_cut_of_a_stream_gives_the_same_usage(cuts: list[int]) -> None:
    """Cumulative counts: the last one that was told counts."""
    assert _metered(meter_for(STREAM), _cut(TRANSCRIPT, cuts)) == USAGE


@given(cuts=st.lists(st.integers(0, 5000)))
def test_any_cut_of_a_coded_stream_too(cuts: list[int]) -> None:
    headers = {**STREAM, b"content-encoding": b"gzip"}
    assert _metered(meter_for(headers), _cut(gzip.compress(TRANSCRIPT), cuts)) == USAGE


@given(end=st.integers(0, len(TRANSCRIPT)))
def test_a_stream_that_breaks_off_has_the_usage_seen_so_far(end: int) -> None:
    """Nothing, what the start told, or all of it: never a figure of its own."""
    usage = _metered(meter_for(STREAM), [TRANSCRIPT[:end]])
    assert usage in (None, AT_FIRST, USAGE)
    if len(START) <= end < len(TRANSCRIPT) - len(DELTA) - 60:
        assert usage == AT_FIRST


@given(cuts=st.lists(st.integers(0, 5000)), place=st.integers(0, 3))
def test_an_error_event_is_heard_wherever_it_stands(cuts: list[int], place: int) -> None:
    """Its type is the record's word, its data is what the provider's meaning is read from."""
    parts = [START, TEXT, DELTA]
    parts.insert(place, ERROR)
    meter = meter_for(STREAM)
    _metered(meter, _cut(b"".join(parts), cuts))
    assert meter.error_type == "overloaded_error"
    assert json.loads(meter.error_data or b"")["error"]["message"] == "Overloaded"


def test_the_answer_can_be_judged_from_its_first_whole_event_on() -> None:
    meter = meter_for(STREAM)
    for byte in START[:-1]:
        meter.feed(bytes([byte]))
        assert not meter.has_event
    meter.feed(START[-1:])
    assert meter.has_event


def test_an_open_event_is_known() -> None:
    """Words of ours go between events, or end the one that is open."""
    meter = meter_for(STREAM)
    assert isinstance(meter, StreamMeter)
    meter.feed(START + TEXT[:20])
    assert (meter.is_plain, meter.open_event) == (True, TEXT[:20])


def test_bytes_that_are_no_gzip_end_the_listening_only() -> None:
    """Nothing is raised: the client's bytes go on."""
    meter = meter_for({**STREAM, b"content-encoding": b"gzip"})
    assert _metered(meter, [b"no gzip", TRANSCRIPT]) is None


def test_odd_data_says_nothing() -> None:
    """Broken JSON, other types, deep nesting."""
    odd = [b"{", b"[]", b"7", b'"x"', b'{"usage":[]}', b'{"usage":{"input_tokens":"9"}}', b"[" * 100_000]
    stream = b"".join(b"event: message_delta\ndata: " + data + b"\n\n" for data in odd)
    assert _metered(meter_for(STREAM), [START, stream]) == AT_FIRST


def test_later_totals_do_not_count_cache_writes_twice() -> None:
    """`message_delta` repeats the total without the split."""
    later = _event("message_delta", usage={"output_tokens": 15, "cache_creation_input_tokens": 300})
    assert _metered(meter_for(STREAM), [START, later]) == USAGE


ALL_TOLD = {
    "input_tokens": 105,
    "cache_read_input_tokens": 6039,
    "cache_creation_input_tokens": 7,
    "output_tokens": 900,
    "output_tokens_details": {"thinking_tokens": 700},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1, "code_execution_requests": 3},
    "service_tier": "batch",
    "speed": "fast",
    "inference_geo": "us",
}
ALL_READ = Usage(
    *(105, 900, 6039, 7),
    reasoning_tokens=700,
    service_tier="batch",
    speed="fast",
    inference_geo="us",
    web_search_requests=2,
    web_fetch_requests=1,
    code_execution_requests=3,
)


def test_d7_all_that_the_provider_counts_is_read_however_a_stream_is_cut() -> None:
    """D7: at every single byte; what the start told and the end repeats is not counted twice."""
    start = _event("message_start", message={"id": "msg_1", "usage": {**ALL_TOLD, "output_tokens": 1}})
    end = _event("message_delta", delta={}, usage=ALL_TOLD)
    stream = b"".join([start, TEXT, end, _event("message_stop")])
    for place in range(len(stream) + 1):
        assert _metered(meter_for(STREAM), [stream[:place], stream[place:]]) == ALL_READ
    assert _metered(meter_for(JSON), [json.dumps({"usage": ALL_TOLD}).encode()]) == ALL_READ


def _iteration(kind: str, fresh: int, output: int, model: str | None = None, **more: Any) -> dict[str, Any]:
    named = {} if model is None else {"model": model}
    return {"type": kind, "input_tokens": fresh, "output_tokens": output, **named, **more}


def _of(iterations: list[dict[str, Any]], **top: Any) -> Usage:
    """As one piece and as a stream, which agree."""
    told = {"input_tokens": 23, "output_tokens": 15, **top, "iterations": iterations}
    usage = _metered(meter_for(JSON), [json.dumps({"usage": told}).encode()])
    start = _event("message_start", message={"usage": {"input_tokens": 99, "output_tokens": 1}})
    assert _metered(meter_for(STREAM), [start, _event("message_delta", usage=told)]) == usage
    assert usage is not None
    return usage


def test_what_a_compaction_used_is_charged_too() -> None:
    """The totals leave it out; the iterations of the answer itself are in them. It is a call of its own."""
    usage = _of([_iteration("compaction", 1000, 50), _iteration("message", 23, 15)])
    assert (usage.input_tokens, usage.output_tokens) == (1023, 65)
    assert usage.parts == (Part(None, Usage(1000, 50, requests=1)),)


def test_what_an_advisor_used_is_its_own_models() -> None:
    """Advisor tool: the totals are those of the executor alone; the advisor's two calls are priced alike."""
    advice = [_iteration("advisor_message", 800, 1600, "claude-opus-5", cache_read_input_tokens=9)]
    executor = [_iteration("message", 12, 8, "claude-haiku-5-5"), _iteration("message", 11, 7)]
    usage = _of([executor[0], *advice, executor[1], *advice], service_tier="priority", speed="fast")
    assert usage == Usage(
        *(23 + 1600, 15 + 3200, 18),
        service_tier="priority",
        speed="fast",
        parts=(Part("claude-opus-5", Usage(1600, 3200, 18, service_tier="priority", requests=2)),),
    )
    rest = shares_of(usage)[-1]
    assert rest == Part(None, Usage(23, 15, 0, *(0, 0, 0), "priority", "fast", None, *[0] * 7))


def test_who_served_in_the_place_of_another_is_priced_by_its_own_model() -> None:
    """Refusals and fallback: the totals are the serving attempt's; one that declined in silence is free."""
    silent, halfway = (
        _iteration("message", 20, 0, "claude-fable-5"),
        _iteration("message", 20, 9, "claude-fable-5"),
    )
    served = _iteration("fallback_message", 23, 15, "claude-opus-5")
    of_the_server = Part("claude-opus-5", Usage(23, 15, requests=1))
    assert _of([served]).parts == (of_the_server,), "asked directly, since it declined before"
    assert _of([silent, served]) == Usage(23, 15, parts=(of_the_server,))
    usage = _of([halfway, served])
    assert usage == Usage(43, 24, parts=(of_the_server, Part("claude-fable-5", Usage(20, 9, requests=1))))
    assert _of([halfway, _iteration("message", 23, 15, "claude-opus-5")]) == usage, "nobody served in the end"
    assert _of([_iteration("message", 12, 8, "m"), _iteration("message", 11, 7, "m")]) == Usage(23, 15)


def test_the_split_of_cache_writes_is_that_of_all_iterations() -> None:
    """The totals are of all of them, but `cache_creation` may be of the first one alone."""

    def writes(five: int, hour: int) -> dict[str, Any]:
        split = {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour}
        return {"cache_creation_input_tokens": five + hour, "cache_creation": split}

    first, second = writes(10, 100), writes(5, 50)
    totals = {**first, "cache_creation_input_tokens": 165}
    each = [_iteration("message", 20, 9, **first), _iteration("message", 3, 6, **second)]
    assert _of(each, **totals) == Usage(23, 15, None, 15, 150)
    assert _of(each[:1], **totals) == Usage(23, 15, None, 65, 100), "who wrote the rest is not told"


def test_no_sum_of_iterations_is_too_large_for_the_journal() -> None:
    usage = _of([_iteration("advisor_message", 2**62, 1, "m")] * 9)
    assert usage.input_tokens is not None and usage.input_tokens < 2**63
    many = [_iteration("advisor_message", 1, 1, f"m{number}") for number in range(500)]
    parts = _of(many).parts
    assert parts is not None and len(parts) == 65
    assert sum(part.usage.input_tokens or 0 for part in parts) == 500


@pytest.mark.parametrize(
    "odd",
    [
        {"server_tool_use": 7},
        {"service_tier": {}},
        {"iterations": [None]},
        {"iterations": [{"type": "advisor_message", "model": 7}]},
        {"output_tokens_details": {"thinking_tokens": "many"}},
        {"service_tier": "x" * 5000},
        {"speed": "a\0b"},
    ],
)
def test_a_rare_field_of_another_shape_does_not_cost_the_counts(odd: dict[str, Any]) -> None:
    told = json.dumps({"usage": {"input_tokens": 3, "output_tokens": 4, **odd}}).encode()
    assert _metered(meter_for(JSON), [told]) == Usage(3, 4)


# ---- JSON ----------------------------------------------------------------------------------------

MESSAGE = json.dumps({"type": "message", "usage": {"input_tokens": 3, "output_tokens": 4}}).encode()


@given(cuts=st.lists(st.integers(0, 100)))
def test_any_cut_of_a_json_answer(cuts: list[int]) -> None:
    assert _metered(meter_for(JSON), _cut(MESSAGE, cuts)) == Usage(3, 4)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"type":"error","error":{"type":"api_error","message":"m"}}', "api_error"),
        (b'{"error":"a gateway in between"}', "error"),
        (b'{"error":{"message":"no type"}}', "error"),
    ],
)
def test_a_json_error_is_read(body: bytes, word: str) -> None:
    meter = meter_for(JSON)
    assert _metered(meter, [body]) is None
    assert (meter.error_type, meter.error_data) == (word, body)


def test_whoever_looks_for_more_gets_whole_pieces() -> None:
    """Ids are never cut in two."""
    for headers, data in ((STREAM, TRANSCRIPT), (JSON, MESSAGE)):
        heard: list[bytes] = []
        meter = meter_for(headers)
        meter.on_text = heard.append
        _metered(meter, [bytes([byte]) for byte in data])
        assert b"".join(heard) == data
        assert all(piece.endswith(b"\n\n") for piece in heard) or heard == [MESSAGE]


@pytest.mark.parametrize(
    "headers",
    [{}, {b"content-type": b"application/pdf"}, {**JSON, b"content-encoding": b"compress"}],
)
def test_what_has_no_usage_is_not_listened_to(headers: dict[bytes, bytes]) -> None:
    meter = meter_for(headers)
    assert meter.has_event
    assert _metered(meter, [MESSAGE]) is None


# ---- tools -----------------------------------------------------------------------------------------


def _block(kind: str, place: int) -> bytes:
    block = {"type": kind, "id": "toolu_1", "name": "read", "input": {}}
    return _event("content_block_start", index=place, content_block=block)


TOOL_TEXT = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a tool_use block"})
TOOLS = b"".join(
    [
        *(START, _block("text", 0), TOOL_TEXT, TOOL_TEXT, _block("tool_use", 1)),
        *(
            _event(
                "content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "tool_use"}
            ),
        ),
        *(_block("server_tool_use", 2), _block("web_search_tool_result", 3), _block("tool_use", 4)),
        _event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 15}),
    ]
)


@given(cuts=st.lists(st.integers(0, 5000)))
def test_h7_calls_of_tools_are_counted_however_a_stream_is_cut(cuts: list[int]) -> None:
    """H7: the client's tools and the provider's; a result is none, nor is what only speaks of one."""
    usage = _metered(meter_for(STREAM), _cut(TOOLS, cuts))
    assert usage == msgspec.structs.replace(USAGE, tool_calls=3)


def test_h7_calls_of_tools_in_an_answer_of_one_piece() -> None:
    """Content of another shape costs no count."""
    kinds = ("text", "tool_use", "mcp_tool_use", "mcp_tool_result", "server_tool_use")
    usage = {"input_tokens": 3, "output_tokens": 4}
    for content, calls in (([{"type": kind} for kind in kinds], 3), ("tool_use", None), (["tool_use"], None)):
        answer = json.dumps({"content": content, "stop_reason": "tool_use", "usage": usage}).encode()
        assert _metered(meter_for(JSON), [answer]) == Usage(3, 4, tool_calls=calls)
