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
    status, reason, headers, fields, lines, body = plain
    assert (status, reason, body) == (200, b"OK", b"h\r\nlo")
    assert headers == [
        (b"content-type", b"application/json"),
        (b"request-id", b"req_1"),
        (b"x-odd", b"a: b, \xff c"),
        (b"content-length", b"5"),
    ]
    assert fields == dict(headers)
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


SNIPPETS = [b"", b"\r\n", b"\n", b":", b" ", b"0", b"5", b"\t", b"\xe9", b"X: y\r\n", b"Connection: x\r\n"]


@settings(max_examples=400)
@given(st.data())
def test_changed_anywhere_it_reads_the_same(data: st.DataObject) -> None:
    """Some bytes replaced, put in or taken out: the outcome is the parser's."""
    changed = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        new = data.draw(
            st.sampled_from([b"", b"\r\n", b"\n", b":", b" ", b"0", b"5", b"\t", b"\xe9", b"X: y\r\n"])
        )
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
    for number in range(5000):
        plain = reader.read(PLAIN.replace(b"req_1", b"req_%d" % number).replace(b"OK", b"Fine %d" % number))
        assert plain is not None and plain[3][b"request-id"] == b"req_%d" % number
    assert len(reader._young) + len(reader._old) <= 1024
    assert len(reader._status_lines) <= 512
