"""Plain answers are read as the parser reads them, and no others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import BadAnswer
from headgate.upstream.framing import AnswerFraming
from headgate.upstream.plain import Plain, PlainReader

PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nrequest-id: req_1\r\n"
    b"X-Odd: a: b, \xff c\r\nContent-Length: 5\r\n\r\nh\r\nlo"
)


class Blind(PlainReader):
    """Leaves everything to the parser."""

    def read(self, data: bytes) -> Plain | None:
        return None


def outcome(data: bytes, reader: PlainReader) -> object:
    framing = AnswerFraming(reader)
    framing.expect(is_head_request=False)
    try:
        framing.feed(data)
    except BadAnswer:
        return "bad"
    if not framing.has_head:
        return "no head"
    return (
        framing.status,
        framing.reason,
        framing.headers,
        framing.fields,
        framing.content_length,
        framing.is_chunked,
        b"".join(framing.pieces),
        framing.is_done,
        framing.can_be_followed,
    )


def test_a_plain_answer_never_meets_the_parser() -> None:
    """Its lines come back as they were, its names in lower case."""
    plain = PlainReader().read(PLAIN)
    assert plain is not None
    status, reason, headers, fields, names, lines, body = plain
    assert (status, reason, body) == (200, b"OK", b"h\r\nlo")
    assert headers == [
        (b"content-type", b"application/json"),
        (b"request-id", b"req_1"),
        (b"x-odd", b"a: b, \xff c"),
        (b"content-length", b"5"),
    ]
    assert fields == dict(headers)
    assert names == set(fields)
    assert b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nh\r\nlo" == PLAIN


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-1],
        PLAIN + b"H",
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"200 OK", b"204 No Content"),
        PLAIN.replace(b"200 OK", b"100 Continue"),
        PLAIN.replace(b"200 OK", b"200"),
        PLAIN.replace(b"X-Odd", b"Content-Length"),
        PLAIN.replace(b"X-Odd", b"Request-Id"),
        PLAIN.replace(b"X-Odd: a: b, \xff c", b"Connection: close"),
        PLAIN.replace(b"X-Odd: a: b, \xff c", b"Proxy-Connection: close"),
        PLAIN.replace(b"X-Odd: a: b, \xff c", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"X-Odd: a: b, \xff c", b"Upgrade: h2c"),
        PLAIN.replace(b"X-Odd: ", b"X-Odd : "),
        PLAIN.replace(b"X-Odd: ", b" X-Odd: "),
        PLAIN.replace(b"X-Odd: ", b"X-Odd:  "),
        PLAIN.replace(b"a: b", b"a\rb"),
        PLAIN.replace(b"a: b", b"a\nb"),
        PLAIN.replace(b"a: b", b"a\0b"),
        PLAIN.replace(b"a: b", b"a\x7fb"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: +5"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: 5, 5"),
        PLAIN.replace(b"Content-Length: 5\r\n", b""),
        PLAIN.replace(b"a: b", b"x" * 1000),
        PLAIN.replace(b"X-Odd", b"X-Odd: 1\r\n" * 100 + b"X"),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"",
    ],
)
def test_whatever_is_in_doubt_is_the_parsers(data: bytes) -> None:
    """Also when the reader knows the lines of the plain answer already."""
    reader = PlainReader()
    assert reader.read(data) is None
    assert reader.read(PLAIN) is not None
    assert reader.read(data) is None


def test_what_one_answer_said_stays_when_the_next_says_something_else() -> None:
    reader = PlainReader()
    first = reader.read(PLAIN)
    assert reader.read(PLAIN.replace(b"req_1", b"req_2")) is not None
    assert first == PlainReader().read(PLAIN)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"request-id: req_1", b"request-id: req_22"),
        (b"request-id: req_1", b"request_id: req_1"),
        (b"request-id: req_1", b"request-id:req_1"),
        (b"request-id: req_1", b"request-id:  req_1"),
        (b"request-id: req_1", b"request-id: req_1 "),
        (b"request-id: req_1", b"request-id: "),
        (b"request-id: req_1", b"request-id:"),
        (b"request-id: req_1", b"request-id: \xe9"),
        (b"request-id: req_1", b"request-id: a\x00"),
        (b"request-id: req_1", b"Request-Id: req_1"),
        (b"request-id: req_1", b"connection: close"),
        (b"request-id: req_1", b"content-length: 5"),
        (b"Content-Length: 5", b"Content-Length: 05"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5", b"Content-Length: 5x"),
        (b"200 OK", b"500 Oops"),
        (b"200 OK", b"204 No Content"),
        (b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
@pytest.mark.parametrize("first", [PLAIN, PLAIN.replace(b": ", b":")])
def test_one_other_line_reads_the_same(before: bytes, after: bytes, first: bytes) -> None:
    """Behind an answer with as many lines, there and back."""
    reader = PlainReader()
    for data in (first, PLAIN.replace(before, after), first, PLAIN.replace(before, after), PLAIN):
        assert outcome(data, reader) == outcome(data, Blind())


@settings(max_examples=400)
@given(
    st.binary(min_size=5, max_size=5), st.binary(min_size=1, max_size=1), st.binary(min_size=4, max_size=6)
)
def test_other_values_of_the_same_length_read_the_same(value: bytes, digit: bytes, body: bytes) -> None:
    """Only values that are known to change are looked at, whatever stands there."""
    reader = PlainReader()
    for data in (PLAIN, PLAIN.replace(b"req_1", b"req_2").replace(b"Length: 5", b"Length: 6") + b"!"):
        assert reader.read(data) is not None
    changed = PLAIN.replace(b"req_1", value).replace(b"Length: 5", b"Length: " + digit)
    changed = changed.replace(b"h\r\nlo", body)
    for data in (PLAIN, changed, PLAIN, changed):
        assert outcome(data, reader) == outcome(data, Blind())


def test_heads_of_many_lengths_and_many_values_read_the_same() -> None:
    """Also where one length has its values at different places, and where more lengths come than are kept."""
    reader = PlainReader()
    for number in range(300):
        one, other = b"a" * (1 + number % 100), b"b" * (1 + number * 7 % 3)
        data = PLAIN.replace(b"req_1", one).replace(b"a: b", other)
        assert outcome(data, reader) == outcome(data, Blind())


SNIPPETS = [b"", b"\r\n", b"\n", b":", b" ", b"0", b"5", b"\t", b"\xe9", b"X: y\r\n", b"Connection: x\r\n"]


@settings(max_examples=400)
@given(st.data())
def test_changed_anywhere_it_reads_the_same(data: st.DataObject) -> None:
    """Some bytes replaced, put in or taken out: the outcome is the parser's."""
    changed = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        new = data.draw(st.sampled_from(SNIPPETS))
        changed[at : at + data.draw(st.integers(0, 2))] = new
    reader = PlainReader()
    reader.read(PLAIN)
    assert outcome(bytes(changed), reader) == outcome(bytes(changed), Blind())


NAMES = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.binary(max_size=30)


@settings(max_examples=300)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=40), st.integers(200, 599))
def test_made_up_answers_read_the_same(fields: list[tuple[bytes, bytes]], body: bytes, status: int) -> None:
    """Names of tokens, values of anything."""
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    data = b"HTTP/1.1 %d Fine\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)
    assert outcome(data, PlainReader()) == outcome(data, Blind())


def test_what_it_remembers_is_bounded() -> None:
    """Every answer brings a new id; the lines that repeat stay known."""
    reader = PlainReader()
    for number in range(500):
        more = b"".join(b"x-%d: 1\r\n" % one for one in range(number % 100))
        answer = PLAIN.replace(b"req_1", b"req_%d" % number).replace(b"X-Odd", more + b"X-Odd")
        plain = reader.read(answer.replace(b"OK", b"Fine %d" % number))
        assert plain is None or plain[3][b"request-id"] == b"req_%d" % number
    assert len(reader._heads) <= 64
    assert len(reader._moulds) <= 64
