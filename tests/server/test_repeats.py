"""A repeated head is known by its bytes; anything else is the parser's."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.callers import ANONYMOUS
from headgate.relay.endpoints import find_endpoint
from headgate.relay.exchange import RequestHead
from headgate.relay.heads import ClientHead
from headgate.server.repeats import KnownHeads, KnownLines, Repeat

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
        shown_method="POST",
        shown_path="/v1/messages",
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


@pytest.mark.parametrize("size", [0, 1, 9, 10, 97, 98, 99, 100, 996, 997, 998, 999, 1000, 9_999, 10_000])
def test_a_length_is_known_by_its_size_about_another_digit(size: int) -> None:
    """One byte less or more is not the whole of it."""
    whole = request(b"x" * size)
    assert known().body_of(whole) == b"x" * size
    assert known().body_of(whole + b"P") is None
    assert known().body_of(whole[:-1]) is None


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


def test_a_line_that_many_clients_send_is_held_once() -> None:
    """Its name lower case, whatever the client's; another value is another line."""
    lines = KnownLines()
    first = lines.find(b"User-Agent", b"claude-cli/2")
    assert first == (b"user-agent", b"claude-cli/2")
    assert lines.find(bytes(b"User-" + b"Agent"), b"claude-cli/2") is first
    assert lines.find(b"User-Agent", b"claude-cli/3") == (b"user-agent", b"claude-cli/3")


@pytest.mark.parametrize("name", [b"Authorization", b"X-Api-Key", b"Cookie"])
def test_a_secret_lives_no_longer_than_its_connection(name: bytes) -> None:
    """It is handed out and not kept."""
    lines = KnownLines()
    assert lines.find(name, b"secret") is not lines.find(name, b"secret")


def test_lines_that_never_come_again_make_room() -> None:
    """Ids and dates of ten thousand clients are forgotten; what comes all the time is not."""
    lines = KnownLines()
    common = lines.find(b"accept", b"*/*")
    for number in range(10_000):
        lines.find(b"x-request", b"%d" % number)
        assert lines.find(b"accept", b"*/*") is common
    assert len(lines._young) + len(lines._old) <= 1024


def test_a_head_is_known_by_all_its_lines_and_by_the_address() -> None:
    known, head = KnownHeads(), ClientHead([(b"host", b"a"), (b"x-api-key", b"k")], ANONYMOUS)
    known.learn("127.0.0.1", head)
    assert known.find("127.0.0.1", [(b"host", b"a"), (b"x-api-key", b"k")]) is head
    assert known.find("127.0.0.2", [(b"host", b"a"), (b"x-api-key", b"k")]) is None
    for other in ([(b"host", b"a")], [(b"x-api-key", b"k"), (b"host", b"a")], [*head.headers, (b"a", b"")]):
        assert known.find("127.0.0.1", other) is None
    known.forget()
    assert known.find("127.0.0.1", head.headers) is None


def test_a_head_is_held_by_nobody_but_connections() -> None:
    """It holds a secret."""
    known, headers = KnownHeads(), [(b"host", b"a"), (b"x-api-key", b"k")]
    head = ClientHead(list(headers), ANONYMOUS)
    known.learn("127.0.0.1", head)
    del head
    gc.collect()
    assert known.find("127.0.0.1", headers) is None
    assert not known._known
