"""Answers begin and end where RFC 9112 says, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadAnswer
from headgate.upstream.framing import MAX_INTERIM_ANSWERS, MAX_SILENT_BYTES, AnswerFraming
from headgate.upstream.plain import PlainReader

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5;name="value"\r\nhello\r\n6\r\n w\xc3\xb6rl\r\n1\r\nd\r\n0\r\nX-Trailer: late\r\n\r\n'
)
SIZED = b"HTTP/1.1 404 Not  Found\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 12\r\n\r\nhello w\xc3\xb6rld"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nall of this"
TRANSCRIPTS = [CHUNKED, SIZED, INTERIM + CHUNKED, INTERIM + SIZED, TO_THE_END]


def framing(*, is_head_request: bool = False) -> AnswerFraming:
    made = AnswerFraming(PlainReader())
    made.expect(is_head_request=is_head_request)
    return made


def read(data: bytes, *, is_head_request: bool = False) -> AnswerFraming:
    made = framing(is_head_request=is_head_request)
    made.feed(data)
    return made


def seen(read: AnswerFraming) -> tuple[object, ...]:
    return (
        read.status,
        read.reason,
        read.headers,
        read.content_length,
        read.is_chunked,
        b"".join(read.pieces),
        read.is_done,
        read.can_be_followed,
    )


@given(st.sampled_from(TRANSCRIPTS), st.data())
def test_any_cut_of_an_answer_reads_the_same(transcript: bytes, data: st.DataObject) -> None:
    """Where the network cuts says nothing."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(transcript) - 1))))
    in_parts = framing()
    for start, end in zip([0, *cuts], [*cuts, len(transcript)], strict=True):
        in_parts.feed(transcript[start:end])
    whole = read(transcript)
    assert seen(in_parts) == seen(whole)
    assert in_parts.end() and whole.end()


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=range(len(TRANSCRIPTS)))
def test_no_answer_is_done_before_its_last_byte(transcript: bytes) -> None:
    """The record is written when the end is in, so it must be neither early nor late."""
    byte_by_byte = framing()
    for at in range(len(transcript)):
        assert not byte_by_byte.is_done
        byte_by_byte.feed(transcript[at : at + 1])
    assert byte_by_byte.is_done == (transcript != TO_THE_END)


@given(st.binary(max_size=300))
def test_garbage_is_a_bad_answer_or_nothing(noise: bytes) -> None:
    """Never another exception, whatever comes."""
    try:
        read(noise)
        read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise)
    except BadAnswer:
        pass


@given(st.binary(max_size=4))
def test_only_http_begins_like_http(start: bytes) -> None:
    """The first bytes decide: nobody waits for the end of something that is no answer."""
    whole = start + b"Content-Length: 1\r\n\r\nx"
    with pytest.raises(BadAnswer):
        read(whole + b"\r\n\r\n")


def test_header_names_are_lower_case_and_keep_order_and_repeats() -> None:
    """What the rest of the gateway compares with."""
    answer = read(b"HTTP/1.1 200 OK\r\nB: 1\r\nA: x\xff\r\nb: 2\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == [(b"b", b"1"), (b"a", b"x\xff"), (b"b", b"2"), (b"content-length", b"0")]
    assert answer.is_done


def test_trailers_do_not_join_the_headers() -> None:
    """RFC 9110, section 6.5.1: they may not be merged without knowing the field."""
    assert b"x-trailer" not in dict(read(CHUNKED).headers)


@pytest.mark.parametrize(
    ("head", "is_head_request"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n", False),
    ],
    ids=["HEAD", "204", "304"],
)
def test_an_answer_without_body_is_done_with_its_head(head: bytes, is_head_request: bool) -> None:
    """RFC 9112, section 6.3, rule 1; and the connection carries the next answer."""
    answer = read(head, is_head_request=is_head_request)
    assert answer.is_done and answer.can_be_followed and not answer.pieces
    answer.expect(is_head_request=False)
    answer.feed(SIZED)
    assert (answer.status, answer.is_done) == (404, True)


@pytest.mark.parametrize(
    ("head", "is_head_request"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", False),
    ],
    ids=["HEAD with length", "HEAD chunked", "HEAD bare", "204", "304"],
)
@pytest.mark.parametrize("rest", [b"abc", b"HTTP/1.1 200 OK\r\n"], ids=["body", "answer"])
def test_bytes_after_an_answer_without_body_spoil_the_connection(
    head: bytes, is_head_request: bool, rest: bytes
) -> None:
    """They are nobody's answer, and the next caller must not get them."""
    answer = read(head + rest, is_head_request=is_head_request)
    assert answer.is_done and not answer.can_be_followed and not answer.pieces


@pytest.mark.parametrize("answer", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_bytes_after_the_end_spoil_the_connection_only(answer: bytes) -> None:
    """The answer itself is good."""
    clean = read(answer)
    for spoilt in (read(answer + b"HTTP/1.1 200 OK\r\n"), read(answer + b"\x00garbage")):
        assert spoilt.is_done and not spoilt.can_be_followed
        assert spoilt.pieces == clean.pieces
    clean.feed(b"H")
    assert not clean.can_be_followed


@pytest.mark.parametrize(
    ("head", "can_be_followed"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", False),
        (INTERIM + b"HTTP/1.1 200 OK\r\n", True),
        (INTERIM + b"HTTP/1.0 200 OK\r\n", False),
    ],
)
def test_keep_alive_is_what_the_answer_says(head: bytes, can_be_followed: bool) -> None:
    """HTTP/1.0 is closed in any case: its keep-alive breaks at old proxies (RFC 9112, appendix C.2.2)."""
    assert read(head + b"Content-Length: 0\r\n\r\n").can_be_followed is can_be_followed


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"<html>not HTTP</html>",
    ],
)
def test_what_the_standard_forbids_is_a_bad_answer(answer: bytes) -> None:
    """Two readings of one answer are how requests are smuggled: there is none here."""
    with pytest.raises(BadAnswer) as caught:
        read(answer)
    assert caught.value.reason == "EBADANSWER"


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n" + b"A: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"e" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"t" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM_ANSWERS + 1),
    ],
    ids=["lines", "value", "whole head", "interim", "extension", "trailer", "interim answers"],
)
@pytest.mark.parametrize("step", [1000, 1_000_000])
def test_what_is_neither_body_nor_end_is_bounded(flood: bytes, step: int) -> None:
    """A far side cannot fill the memory with what nobody reads."""
    answer = framing()
    with pytest.raises(BadAnswer, match="too many"):
        for at in range(0, len(flood), step):
            answer.feed(flood[at : at + step])


def test_a_large_head_within_the_bound_passes() -> None:
    """With a body that came in the same read: it does not count."""
    value = b"v" * (MAX_SILENT_BYTES - 1000)
    answer = read(b"HTTP/1.1 200 OK\r\nA: " + value + b"\r\nContent-Length: 90000\r\n\r\n" + b"b" * 90_000)
    assert dict(answer.headers)[b"a"] == value
    assert answer.is_done


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nA: b", SIZED[:-1], CHUNKED[:-1]])
def test_a_close_before_the_end_is_no_end(start: bytes) -> None:
    """Only an answer that states no length ends with its connection."""
    answer = framing()
    if start:
        answer.feed(start)
    assert not answer.end()
