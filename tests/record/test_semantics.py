"""Records as spans: what counts as a parent, and what a span says."""

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, StatusCode

from headgate.dialects.usage import Usage
from headgate.record.semantics import is_wanted, parent_of, spans_of
from tests.record.samples import attempt, request

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("sent", "is_valid"),
    [
        (b"00-%b-%b-01" % (TRACE, SPAN), True),
        (b"01-%b-%b-01-more" % (TRACE, SPAN), True),  # of a version to come
        (b"00-%b-%b-01-more" % (TRACE, SPAN), False),
        (b"ff-%b-%b-01" % (TRACE, SPAN), False),
        (b"00-%b-%b-01" % (TRACE.upper(), SPAN), False),
        (b"00-%b-%b-01" % (b"0" * 32, SPAN), False),
        (b"00-%b-%b-01" % (TRACE, b"0" * 16), False),
        (b"00-%b-01" % TRACE, False),
        (b"", False),
        (b"\xff" * 128, False),
    ],
)
def test_a_parent_is_what_the_standard_takes_for_one(sent: bytes, is_valid: bool) -> None:
    """W3C Trace Context, level 1."""
    parent = parent_of(sent)
    assert (parent is not None) is is_valid
    if parent is not None:
        assert (parent.trace_id, parent.span_id) == (int(TRACE, 16), int(SPAN, 16))


def test_only_a_client_that_says_so_wants_no_spans() -> None:
    for flags, wanted in ((b"00", False), (b"01", True), (b"03", True)):
        record = request("a", traceparent=b"00-%b-%b-%b" % (TRACE, SPAN, flags))
        assert is_wanted(record) is wanted
    assert is_wanted(request("a", traceparent=b"nonsense"))


def test_ids_are_the_same_each_time_and_differ_between_requests() -> None:
    resource = Resource({})
    one, again, other = (
        [
            (span.context.trace_id, span.context.span_id)
            for span in spans_of(request(of), resource)
            if span.context
        ]
        for of in ("a", "a", "b")
    )
    assert one == again
    assert len({*one, *other}) == 4


def test_failures_are_said_where_they_are() -> None:
    """A refusal of the caller's is no failure of the server's; a cut answer is one."""
    resource = Resource({})
    for changes, code, error in (
        ({"status": 400, "error": "invalid_request_error"}, StatusCode.UNSET, "invalid_request_error"),
        ({"status": 503, "error": None}, StatusCode.ERROR, "503"),
        ({"status": 200, "error": "answer_cut"}, StatusCode.ERROR, "answer_cut"),
        ({"status": 200}, StatusCode.UNSET, None),
    ):
        root = next(spans_of(request("a", **changes), resource))
        assert root.attributes is not None
        assert root.attributes.get("error.type") == error
        assert root.status.status_code is code


def test_what_is_no_operation_of_a_model_is_plain_http() -> None:
    record = request("a", method="GET", path="/v1/files/file_1", model=None, usage=None)
    root, tried = spans_of(record, Resource({}))
    assert (root.name, tried.name) == ("GET", "GET")  # a path may hold an id: no name for a span
    assert tried.kind is SpanKind.CLIENT
    assert tried.attributes is not None
    assert "gen_ai.operation.name" not in tried.attributes


def test_a_count_that_is_too_large_for_the_wire_is_left_out() -> None:
    spans = list(spans_of(request("a", usage=Usage(1, 2**70), attempts=(attempt("work"),)), Resource({})))
    assert spans[1].attributes is not None
    assert spans[1].attributes["gen_ai.usage.input_tokens"] == 1
    assert "gen_ai.usage.output_tokens" not in spans[1].attributes
