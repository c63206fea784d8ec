"""Content codings come undone however the bytes are cut."""

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from headgate.wire.coding import IDENTITY, CodingError, Decoder, decoder_for


def _raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


CODERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b" X-GZIP ", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "raw deflate": (b"deflate", _raw_deflate),
    "br": (b"br", lambda data: bytes(brotli.compress(data, quality=1))),
    "zstd": (b"zstd", zstandard.compress),
}


def _decoder(coding: bytes) -> Decoder:
    decoder = decoder_for(coding)
    assert decoder is not None
    return decoder


@pytest.mark.parametrize("name", CODERS)
@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3500)))
def test_any_cut_gives_the_same_bytes(name: str, data: bytes, cuts: list[int]) -> None:
    """Also within the coding's own header."""
    coding, encode = CODERS[name]
    coded, decoder = encode(data), _decoder(coding)
    places = sorted({0, len(coded), *(cut for cut in cuts if cut < len(coded))})
    pieces = [coded[a:b] for a, b in pairwise(places)]
    assert b"".join([decoder.feed(piece) for piece in pieces]) == data


@pytest.mark.parametrize("name", CODERS)
def test_one_byte_at_a_time(name: str) -> None:
    coding, encode = CODERS[name]
    decoder, data = _decoder(coding), b"event: ping\n\n" * 50
    assert b"".join([decoder.feed(bytes([byte])) for byte in encode(data)]) == data


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_other_bytes_are_an_error(coding: bytes) -> None:
    """Told, so that the meter can stop; the client's bytes are not touched."""
    with pytest.raises(CodingError):
        _decoder(coding).feed(b"this is no coded answer at all, whatever its header says" * 3)


@pytest.mark.parametrize("name", CODERS)
def test_a_bomb_is_not_let_grow(name: str) -> None:
    """Past 64 MiB of plain bytes it is refused, and no more than a little beyond was ever made."""
    coding, encode = CODERS[name]
    coded, decoder, most = encode(bytes(80 * 1_048_576)), _decoder(coding), 0
    with pytest.raises(CodingError, match="swells"):
        for start in range(0, len(coded), 65_536):
            most += len(decoder.feed(coded[start : start + 65_536]))
    assert most <= 64 * 1_048_576


@pytest.mark.parametrize("coding", [b"", b"identity", b" Identity "])
def test_plain_answers_pass_as_they_are(coding: bytes) -> None:
    decoder = _decoder(coding)
    assert decoder is IDENTITY
    assert decoder.feed(b"abc") == b"abc"


@pytest.mark.parametrize("coding", [b"compress", b"gzip, br", b"aws-chunked"])
def test_unknown_codings_are_said_to_be(coding: bytes) -> None:
    assert decoder_for(coding) is None
