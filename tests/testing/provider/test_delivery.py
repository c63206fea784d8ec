"""Every fault, seen from a raw socket."""

import time

import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, ask, connect, dechunked, events, fetch, post, read_answer, talk

_STREAM = post(ask("say 30 words", stream=True))
_PLAIN = post(ask("say 30 words"))


def _body(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


def _last_row(provider: SimulatedProvider) -> dict[str, object]:
    return list(provider.books()["requests"].values())[-1]


@pytest.mark.parametrize("status", [401, 402, 403, 404, 500, 502, 503, 529])
def test_status_fault_has_the_documented_shape(provider: SimulatedProvider, status: int) -> None:
    provider.script(KEY, rules=[{"fault": "status", "status": status}])
    got, headers, body = fetch(provider.url, _PLAIN)
    assert got == status
    assert body.startswith(b'{"type":"error","error":{"type":"')
    assert headers.get("x-should-retry") == ("true" if status >= 500 else None)
    if status == 404:
        assert b"model: claude-sonnet-5-5" in body


def test_refused_at_accept(provider: SimulatedProvider) -> None:
    """The connection is reset before anything is read; the next one is served."""
    provider.script("*", rules=[{"fault": "refuse", "stage": "accept", "times": 1}])
    with pytest.raises(OSError), connect(provider.url) as sock:
        sock.sendall(_PLAIN)
        assert sock.recv(1)
    assert fetch(provider.url, _PLAIN)[0] == 200


def test_refused_after_the_request(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "refuse"}])
    assert talk(provider.url, _PLAIN) == (b"", True)


@pytest.mark.parametrize(("stage", "has_head"), [("", False), ("body", True), ("mid_body", True)])
def test_hanging_answer_says_nothing_more(provider: SimulatedProvider, stage: str, has_head: bool) -> None:
    """No answer, a head without a body, or some events and then silence; the books call it unfinished."""
    provider.script(KEY, rules=[{"fault": "hang", "stage": stage, "event": 3}])
    with connect(provider.url) as sock:
        sock.sendall(_STREAM)
        sock.settimeout(0.3)
        data = b""
        with pytest.raises(TimeoutError):
            while piece := sock.recv(65536):
                data += piece
    assert data.startswith(b"HTTP/1.1 200 OK") == has_head
    assert len(events(dechunked(_body(data)))) == (3 if stage == "mid_body" else 0)
    assert _last_row(provider)["fully_written"] is False


def test_cut_in_the_head(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "cut", "stage": "head"}])
    data, was_reset = talk(provider.url, _STREAM)
    assert data.startswith(b"HTTP/1.1 200 OK") and b"\r\n\r\n" not in data and not was_reset


def test_cut_before_the_body(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "cut", "stage": "body"}])
    data, _ = talk(provider.url, _STREAM)
    assert data.endswith(b"\r\n\r\n") and _body(data) == b""


def test_cut_in_an_event_ends_at_a_chunk(provider: SimulatedProvider) -> None:
    """The chunks are whole, the event is not."""
    provider.script(KEY, rules=[{"fault": "cut", "stage": "mid_event", "event": 5}])
    data, _ = talk(provider.url, _STREAM)
    body = dechunked(_body(data))
    assert data.endswith(b"\r\n") and not body.endswith(b"\n\n")
    assert body.count(b"\n\n") == 5


def test_cut_in_a_chunk(provider: SimulatedProvider) -> None:
    """The last chunk is shorter than its size line says."""
    provider.script(KEY, rules=[{"fault": "cut", "stage": "mid_chunk", "event": 5}])
    rest = _body(talk(provider.url, _STREAM)[0])
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if len(rest) < int(size, 16):
            break
        rest = rest[int(size, 16) + 2 :]
    assert 0 < len(rest) < int(size, 16)


def test_cut_in_a_character(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "cut", "stage": "mid_utf8"}])
    body = dechunked(_body(talk(provider.url, _STREAM)[0]))
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        body.decode()


def test_cut_before_message_stop(provider: SimulatedProvider) -> None:
    """Usage was told in full, the end was not."""
    provider.script(KEY, rules=[{"fault": "cut", "stage": "before_message_stop"}])
    body = dechunked(_body(talk(provider.url, _STREAM)[0]))
    assert events(body)[-1][0] == "message_delta"
    row = _last_row(provider)
    assert row["usage"]["output_tokens"] == 30 and row["fully_written"] is False


def test_cut_with_a_clean_end(provider: SimulatedProvider) -> None:
    """HTTP is complete, the stream of events is not: only a reader of events can tell."""
    provider.script(KEY, rules=[{"fault": "cut", "stage": "mid_event", "ending": "clean"}])
    status, _, body = fetch(provider.url, _STREAM)
    assert status == 200 and b"message_stop" not in body and not body.endswith(b"\n\n")


def test_cut_with_a_reset(provider: SimulatedProvider) -> None:
    """What was written before arrives or is lost, as with any reset; the end is a reset."""
    provider.script(KEY, rules=[{"fault": "cut", "stage": "mid_event", "ending": "reset"}])
    assert talk(provider.url, _STREAM)[1] is True


@pytest.mark.parametrize("stage", ["mid_event", "mid_chunk", "mid_utf8"])
def test_cut_in_a_plain_answer(provider: SimulatedProvider, stage: str) -> None:
    provider.script(KEY, rules=[{"fault": "cut", "stage": stage}])
    data, _ = talk(provider.url, _PLAIN)
    announced = int(data.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(_body(data)) < announced


def test_drip_is_whole_in_the_end(provider: SimulatedProvider) -> None:
    """Byte by byte, head included, and nothing lost."""
    whole = fetch(provider.url, _STREAM)[2]
    provider.script(KEY, rules=[{"fault": "drip", "bytes": 1}])
    body = fetch(provider.url, _STREAM)[2]
    assert events(body)[1:] == events(whole)[1:]
    row = provider.received()[-1]
    assert row["sent_body"] == body and row["sent_head"].startswith(b"HTTP/1.1 200 OK")


def test_drip_takes_its_time(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "drip", "bytes": 200, "delay_ms": 5}])
    started = time.monotonic()
    size = len(fetch(provider.url, _PLAIN)[2])
    assert time.monotonic() - started >= size / 200 * 0.005


def test_garbage_instead_of_a_head(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "garbage"}])
    assert not talk(provider.url, _PLAIN)[0].startswith(b"HTTP")


def test_garbage_among_the_chunks(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "garbage", "stage": "body", "event": 4}])
    data, _ = talk(provider.url, _STREAM)
    with pytest.raises(ValueError):
        dechunked(_body(data))


@pytest.mark.parametrize("request_bytes", [_PLAIN, _STREAM])
@pytest.mark.parametrize("by", [10, -10])
def test_wrong_length(provider: SimulatedProvider, request_bytes: bytes, by: int) -> None:
    """Content-Length says more, or less, than what follows."""
    provider.script(KEY, rules=[{"fault": "wrong_length", "by": by}])
    data, _ = talk(provider.url, request_bytes)
    head = data.partition(b"\r\n\r\n")[0].lower()
    announced = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert announced == len(_body(data)) + by
    assert b"transfer-encoding" not in head


def test_error_event_comes_first(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "error_first"}])
    status, _, body = fetch(provider.url, _STREAM)
    assert status == 200
    [(name, data)] = events(body)
    assert (name, data["error"]["type"]) == ("error", "overloaded_error")


def test_error_event_comes_in_the_middle(provider: SimulatedProvider) -> None:
    rule = {"fault": "error_mid", "event": 6, "error": "api_error", "message": "Internal server error"}
    provider.script(KEY, rules=[rule])
    found = events(fetch(provider.url, _STREAM)[2])
    assert [name for name, _ in found].index("error") == 6 == len(found) - 1
    assert found[-1][1]["error"] == {"type": "api_error", "message": "Internal server error"}
    assert _last_row(provider)["usage"]["output_tokens"] == 1


def test_connection_closes_after_some_answers(provider: SimulatedProvider) -> None:
    """Without a word beforehand: the client's pooled connection is stale."""
    provider.script(KEY, rules=[{"fault": "close_after", "requests": 2}])
    with connect(provider.url) as sock:
        for _ in range(2):
            sock.sendall(_PLAIN)
            status, headers, _ = read_answer(sock)
            assert (status, "connection" in headers) == (200, False)
        assert sock.recv(1) == b""


def test_early_answer_does_not_wait_for_the_body(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "early_answer", "status": 413}])
    head = (
        _PLAIN.partition(b"\r\n\r\n")[0].replace(b"content-length: ", b"content-length: 99999999")
        + b"\r\n\r\n"
    )
    data, _ = talk(provider.url, head)
    assert data.startswith(b"HTTP/1.1 413 ") and b"request_too_large" in data


def test_early_answer_may_leave_the_connection_open(provider: SimulatedProvider) -> None:
    """The rest of the body is read and dropped; the next request is served."""
    provider.script(KEY, rules=[{"fault": "early_answer", "status": 413, "ending": "clean", "times": 1}])
    head, _, body = _PLAIN.partition(b"\r\n\r\n")
    with connect(provider.url) as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert read_answer(sock)[0] == 413
        sock.sendall(body + _PLAIN)
        assert read_answer(sock)[0] == 200


def test_big_headers(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "big_headers", "bytes": 100_000}])
    data, _ = talk(provider.url, _PLAIN.replace(b"Host: sim", b"Host: sim\r\nConnection: close"))
    assert len(data.partition(b"\r\n\r\n")[0]) > 100_000


def test_redirect(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "redirect", "location": "https://example.com/"}])
    status, headers, _ = fetch(provider.url, _PLAIN)
    assert (status, headers["location"]) == (307, "https://example.com/")


def test_pacing_keeps_its_times(provider: SimulatedProvider) -> None:
    """The first byte waits, then each event."""
    provider.script(KEY, pacing={"first_byte_ms": 40, "event_ms": 2})
    started = time.monotonic()
    count = len(events(fetch(provider.url, post(ask("say 10 words", stream=True)))[2]))
    assert time.monotonic() - started >= 0.04 + (count - 1) * 0.002


def test_small_writes_cut_anywhere(provider: SimulatedProvider) -> None:
    whole = fetch(provider.url, _STREAM)[2]
    provider.script(KEY, reply={"write_bytes": 7})
    assert events(fetch(provider.url, _STREAM)[2])[1:] == events(whole)[1:]
    assert _last_row(provider)["fully_written"] is True
