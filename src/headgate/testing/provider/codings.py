"""Content codings, part by part: each part of a stream comes out flushed, to be decoded at once."""

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import zstandard

_Encode = Callable[[bytes, bool], bytes]


def encode_parts(parts: list[bytes], coding: str) -> list[bytes]:
    """Every part coded and flushed; the last also ends the coded stream."""
    encode = _ENCODERS[coding]()
    last = len(parts) - 1
    return [encode(part, index == last) for index, part in enumerate(parts)]


def is_accepted(coding: str, accept_encoding: str) -> bool:
    """Whether the caller names this coding with a weight above 0 (RFC 9110 section 12.5.3)."""
    for offer in accept_encoding.lower().split(","):
        name, _, weight = offer.partition(";")
        if name.strip() in (coding, "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _zlib_encoder(window_bits: int) -> _Encode:
    compressor = zlib.compressobj(wbits=window_bits)

    def encode(part: bytes, is_last: bool) -> bytes:
        return compressor.compress(part) + compressor.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)

    return encode


def _gzip() -> _Encode:
    return _zlib_encoder(16 + zlib.MAX_WBITS)


def _deflate() -> _Encode:
    return _zlib_encoder(zlib.MAX_WBITS)


def _brotli() -> _Encode:
    compressor = brotli.Compressor(quality=4)

    def encode(part: bytes, is_last: bool) -> bytes:
        return bytes(compressor.process(part) + (compressor.finish() if is_last else compressor.flush()))

    return encode


def _zstd() -> _Encode:
    compressor = zstandard.ZstdCompressor().compressobj()

    def encode(part: bytes, is_last: bool) -> bytes:
        flush = zstandard.COMPRESSOBJ_FLUSH_FINISH if is_last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return compressor.compress(part) + compressor.flush(flush)

    return encode


_ENCODERS: dict[str, Callable[[], _Encode]] = {
    "gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
