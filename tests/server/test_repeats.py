"""A repeated head is known by its bytes; anything else is the parser's."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.access.callers import ANONYMOUS
from headgate.relay.endpoints import find_endpoint
from headgate.relay.exchange import RequestHead
from headgate.relay.heads import ClientHead
from headgate.server.repeats import Repeat

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nX-Api-Key: k\r\n\r\n"


def request(body: bytes) -> bytes:
    return HEAD % len(body) + body


def repeat_of(
    data: bytes, *, keep_alive: bool = True, query: bytes = b"", extra: tuple[bytes, bytes] = (b"a", b"b")
) -> Repeat | None:
    client = ClientHead([(b"host", b"a"), (b"x-api-key", b"k"), extra], ANONYMOUS)
    endpoint = find_endpoint(b"POST", b"/v1/messages")
    assert endpoint is not None
    head = RequestHead(
        b"POST",
        b"/v1/messages",
        query,
        client,
        endpoint,
        endpoint.target(b"/v1/messages", query),
        content_length=2,
        is_http_1_0=False,
        keep_alive=keep_alive,
    )
    return Repeat.of(data, head)


def known() -> Repeat:
    repeat = repeat_of(request(b"{}"))
    assert repeat is not None
    return repeat


@given(st.binary(max_size=2000))
def test_the_same_head_with_another_body_is_known(body: bytes) -> None:
    """Only the digits of the length differ."""
    assert known().body_of(request(body)) == body


@given(st.binary(max_size=50), st.data())
def test_one_other_byte_in_the_head_is_the_parsers(body: bytes, data: st.DataObject) -> None:
    """Every byte but the digits counts; digits may only become the right digits."""
    whole = bytearray(request(body))
    end = whole.index(b"\r\n\r\n") + 4
    place = data.draw(st.integers(0, end - 1))
    whole[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    found = known().body_of(bytes(whole))
    assert found is None or bytes(whole) == request(found)


@given(st.binary(min_size=1, max_size=50), st.integers(1, 50))
def test_a_body_that_is_not_whole_is_the_parsers(body: bytes, missing: int) -> None:
    """Part of a body, or the start of a next request behind it, is not looked at."""
    whole = request(body)
    assert known().body_of(whole[: max(1, len(whole) - missing)]) is None
    assert known().body_of(whole + b"P") is None


def test_odd_lengths_are_the_parsers() -> None:
    """Signs, spaces, other digits, no digits: the parser has the last word."""
    for digits in (b"", b"+2", b"-2", b" 2", b"2 ", b"\xb2", b"0x2", b"2_0", b"9" * 30):
        data = HEAD.replace(b"%d", digits) + b"{}"
        assert known().body_of(data) is None, digits


def test_what_is_no_pattern_is_not_remembered() -> None:
    """A connection that closes, a key in the query, an expectation, a head cut in the middle."""
    whole = request(b"{}")
    assert repeat_of(whole, keep_alive=False) is None
    assert repeat_of(whole, query=b"key=hg_x") is None
    assert repeat_of(whole, extra=(b"expect", b"100-continue")) is None
    assert repeat_of(whole[:40]) is None
