"""Lines of a batch's results: summed by model however they are cut and coded, in bounded memory."""

import gzip
import json
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.batch_results import batch_of, results_meter_for
from headgate.dialects.meters import Meter
from headgate.dialects.usage import Part, Usage

LINES = {b"content-type": b"application/x-jsonl"}


def line(number: int, model: str = "claude-opus-5", **usage: Any) -> bytes:
    told = {"input_tokens": 10, "output_tokens": 4, "service_tier": "batch"} | usage
    message = {
        "id": "msg_1",
        "model": model,
        "content": [{"type": "text", "text": 'ü"usage"\n'}],
        "usage": told,
    }
    result = {"type": "succeeded", "message": message}
    return json.dumps({"custom_id": f"c{number}", "result": result}).encode() + b"\n"


def failed(number: int) -> bytes:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": '"usage" is odd'}}
    result = {"type": "errored", "error": error}
    return json.dumps({"custom_id": f"f{number}", "result": result}).encode() + b"\n"


RESULTS = b"".join(
    [line(1), failed(1), line(2, "claude-haiku-4-5"), b'{"result":{"type":"expired"}}\n', line(3)]
)
OPUS = Part("claude-opus-5", Usage(20, 8, service_tier="batch", requests=2))
HAIKU = Part("claude-haiku-4-5", Usage(10, 4, service_tier="batch", requests=1))
USAGE = Usage(30, 12, service_tier="batch", requests=3, parts=(OPUS, HAIKU))


def heard(meter: Meter, pieces: list[bytes]) -> Usage | None:
    for piece in pieces:
        meter.feed(piece)
    assert meter.finish() == meter.finish()
    return meter.finish()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(one % (len(data) + 1) for one in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("coding", [b"", b"gzip"])
@given(cuts=st.lists(st.integers(0, 5000)))
def test_any_cut_gives_the_same_sums(coding: bytes, cuts: list[int]) -> None:
    data = gzip.compress(RESULTS) if coding else RESULTS
    assert heard(results_meter_for({**LINES, b"content-encoding": coding}), cut(data, cuts)) == USAGE


def test_a_download_that_breaks_off_has_the_whole_lines_so_far() -> None:
    """At every byte: a line that is not whole is none."""
    for end in range(len(RESULTS) + 1):
        usage = heard(results_meter_for(LINES), [RESULTS[:end]])
        # The end of a line's JSON is its last byte but one.
        whole = sum(end >= RESULTS.index(b"c%d" % n) + len(line(n)) for n in (1, 3))
        assert usage is None or usage.requests in range(1, 4)
        assert usage is not None or whole == 0
    assert heard(results_meter_for(LINES), [RESULTS[:-1]]) == USAGE, "the last line needs no end"


def test_gigabytes_are_summed_in_the_memory_of_a_line() -> None:
    """Coded too, where an answer of another kind would have been given up long before."""
    padding = json.dumps({"text": "x" * 20_000})[:-1].encode() + b"," + line(1)[1:]
    piece = padding * 100
    coded = gzip.compress(piece * 40, compresslevel=1)
    meter = results_meter_for({**LINES, b"content-encoding": b"gzip"})
    tracemalloc.start()
    try:
        for start in range(0, len(coded), 65_536):
            meter.feed(coded[start : start + 65_536])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(piece) * 40 > 64 * 1_048_576
    assert peak < 24 * 1_048_576
    usage = meter.finish()
    assert usage is not None
    assert (usage.requests, usage.input_tokens) == (4_000, 40_000)


def test_a_line_that_is_too_long_costs_only_itself() -> None:
    meter = results_meter_for(LINES)
    meter.feed(line(1) + b'{"usage":"')
    for _ in range(9):
        meter.feed(b"x" * 1_048_576)
    assert heard(meter, [b'"}\n', line(2, "claude-haiku-4-5"), line(3)]) == USAGE


def test_what_is_no_result_says_nothing() -> None:
    odd = [
        *(b"\n", b"\r\n", b"[]\n", b"7\n", b'"usage"\n', b'{"usage":1}\n', b"[" * 100_000 + b'"usage"\n'),
        b'{"result":{"message":{"usage":null}}}\n',
        b'{"result":{"message":{"usage":{"input_tokens":"many"}}}}\n',
        b'{"result":{"message":{"model":7,"usage":{"input_tokens":1}}}}\n',
    ]
    assert heard(results_meter_for(LINES), [b"".join(odd) + RESULTS]) == USAGE
    assert heard(results_meter_for(LINES), [b"".join(odd)]) is None
    rare = line(1, "claude-haiku-4-5", server_tool_use=7, service_tier=None)
    assert heard(results_meter_for(LINES), [rare]) == Usage(
        10, 4, service_tier="batch", requests=1, parts=(HAIKU,)
    ), "a rare field of another shape does not cost the counts"


def test_all_is_at_the_price_of_batches_and_an_advisor_is_its_own_model() -> None:
    """A provider in between may leave the tier out, or say `standard`."""
    advice = {"type": "advisor_message", "model": "claude-haiku-4-5", "input_tokens": 5, "output_tokens": 6}
    usage = heard(results_meter_for(LINES), [line(1, service_tier="standard", iterations=[advice])])
    assert usage is not None and usage.parts is not None
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 15, 10)
    assert {part.model: part.usage.service_tier for part in usage.parts} == {
        "claude-haiku-4-5": "batch",
        "claude-opus-5": "batch",
    }


def test_a_refusal_is_read_as_one_and_a_part_is_not_counted() -> None:
    meter = results_meter_for({b"content-type": b"application/json"})
    assert heard(meter, [b'{"type":"error","error":{"type":"not_found_error","message":"m"}}']) is None
    assert meter.error_type == "not_found_error"
    assert heard(results_meter_for({**LINES, b"content-range": b"bytes 0-9/99"}), [RESULTS]) is None
    assert heard(results_meter_for({**LINES, b"content-encoding": b"compress"}), [RESULTS]) is None
    assert heard(results_meter_for({**LINES, b"content-encoding": b"gzip"}), [b"no gzip", RESULTS]) is None


def test_which_paths_are_results() -> None:
    assert batch_of("/v1/messages/batches/msgbatch_01A-b/results") == "msgbatch_01A-b"
    for path in ("/v1/messages/batches/a/b/results", "/v1/messages/batches/a/cancel", "/v1/messages/batches"):
        assert batch_of(path) is None
