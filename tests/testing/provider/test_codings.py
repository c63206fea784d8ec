import gzip
import zlib

import brotli
import pytest
import zstandard

from headgate.testing.process import SimulatedProvider
from headgate.testing.provider.codings import encode_parts, is_accepted
from tests.testing.wire import KEY, ask, events, fetch, post

_DECODE = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@pytest.mark.parametrize("coding", _DECODE)
@pytest.mark.parametrize("stream", [False, True])
def test_coded_answer_is_the_same_answer(provider: SimulatedProvider, coding: str, stream: bool) -> None:
    request = post(ask(stream=stream), extra=b"accept-encoding: gzip, deflate, br, zstd\r\n")
    plain = fetch(provider.url, request)[2]
    provider.script(KEY, coding=coding)
    _, headers, body = fetch(provider.url, request)
    assert headers["content-encoding"] == coding
    decoded = _DECODE[coding](body)
    assert len(decoded) == len(plain)
    if stream:
        assert events(decoded)[1:] == events(plain)[1:]


def test_each_event_can_be_decoded_as_it_comes() -> None:
    """Every part is flushed: a reader need not wait for the end."""
    parts = [b"event: one\n\n", b"event: two\n\n", b"event: three\n\n"]
    decoder = zlib.decompressobj(31)
    assert [decoder.decompress(part) for part in encode_parts(parts, "gzip")] == parts


def test_coding_is_used_only_where_accepted(provider: SimulatedProvider) -> None:
    provider.script(KEY, coding="br")
    _, headers, body = fetch(provider.url, post(ask(), extra=b"accept-encoding: gzip\r\n"))
    assert "content-encoding" not in headers and body.startswith(b"{")


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        ("br", True),
        ("gzip, BR;q=0.5", True),
        ("*", True),
        ("br;q=0, gzip", False),
        ("", False),
        ("brotli", False),
    ],
)
def test_accept_encoding_is_read(accepts: str, expected: bool) -> None:
    assert is_accepted("br", accepts) is expected
