import pytest

from headgate.testing.process import SimulatedProvider
from headgate.testing.provider.framing import BadRequest, ChunkedBody
from tests.testing.wire import ask, connect, fetch, post, read_answer, talk

_HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: sk-ant-sim-one\r\nanthropic-version: 1\r\n"
_BODY = post(ask()).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_chunked_request_is_read_wherever_it_is_cut(size: int) -> None:
    """Chunk lines with extensions and capitals, a trailer, and the next request left in the buffer."""
    wire = b"5;x=y\r\nhello\r\n00A\r\n 123456789\r\n0\r\ntrailer: t\r\n\r\nGET"
    reader, buffer, done = ChunkedBody(), bytearray(), False
    for start in range(0, len(wire), size):
        buffer += wire[start : start + size]
        done = done or reader.feed(buffer)
    assert (done, reader.body, bytes(buffer)) == (True, b"hello 123456789", b"GET")


@pytest.mark.parametrize("wire", [b"zz\r\n", b"-1\r\n", b"\r\n", b"2\r\nabcd\r\n", b"1" * 5000])
def test_bad_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(BadRequest):
        ChunkedBody().feed(bytearray(wire))


def test_chunked_request_is_answered(provider: SimulatedProvider) -> None:
    middle = len(_BODY) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (_BODY[:middle], _BODY[middle:]))
    request = _HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert fetch(provider.url, request)[0] == 200
    assert provider.received()[-1]["body"] == _BODY


def test_client_that_asks_is_told_to_continue(provider: SimulatedProvider) -> None:
    with connect(provider.url) as sock:
        sock.sendall(_HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(_BODY))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(_BODY)
        assert read_answer(sock)[0] == 200


@pytest.mark.parametrize("request_bytes", [b"nonsense\r\n\r\n", _HEAD + b"content-length: x\r\n\r\n"])
def test_what_is_not_http_is_refused(provider: SimulatedProvider, request_bytes: bytes) -> None:
    assert talk(provider.url, request_bytes)[0].startswith(b"HTTP/1.1 400 ")


def test_connection_closes_when_the_client_says_so(provider: SimulatedProvider) -> None:
    data, was_reset = talk(provider.url, post(ask(), extra=b"connection: close\r\n"))
    assert data.endswith(b"}") and not was_reset


def test_head_request_gets_no_body(provider: SimulatedProvider) -> None:
    request = b"HEAD / HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n"
    data, _ = talk(provider.url, request)
    assert data.startswith(b"HTTP/1.1 404 ") and data.endswith(b"\r\n\r\n")
