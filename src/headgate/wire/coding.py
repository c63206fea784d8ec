"""Content codings, undone piece by piece for the meter (RFC 9110, section 8.4; RFC 8878 for zstd).

The client always gets the coded bytes as they came; only our own reading needs the plain ones.
"""

import sys
import zlib
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard


class Decoder(Protocol):
    def feed(self, data: bytes) -> bytes:
        """The plain bytes that these coded ones complete. Raises `CodingError`."""
        ...


class CodingError(ValueError):
    """The bytes are not what Content-Encoding says, or swell beyond the bound."""


_MAX_SWELL = 64 * 1_048_576
"""Plain bytes of one answer that we are ready to look at: far above any message, far below a bomb."""

_MAX_SWELL_AT_ONCE = 8 * 1_048_576
"""Of one piece: more than this holds everybody up while it is undone and looked through."""

_ZSTD_STEP = 512
"""Coded bytes undone at once, because zstd takes no bound: a block of four may stand for 128 KiB."""


class _Identity:
    def feed(self, data: bytes) -> bytes:
        return data


class _Swelling:
    """Undoes one coding and refuses to swell without end."""

    def __init__(self, decoder: "_Zlib | _Brotli | _Zstd", *, is_bounded: bool) -> None:
        self._decoder = decoder
        self._allowance = _MAX_SWELL if is_bounded else sys.maxsize

    def feed(self, data: bytes) -> bytes:
        allowance = min(self._allowance, _MAX_SWELL_AT_ONCE)
        try:
            plain = self._decoder.undo(data, allowance)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise CodingError(str(error)) from error
        if len(plain) >= allowance:
            raise CodingError(f"the answer swells beyond {allowance} bytes")
        self._allowance -= len(plain)
        return plain


class _Zlib:
    """gzip, and deflate in both of the forms that servers send (with and without the zlib header)."""

    def __init__(self, *, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)
        self._may_be_raw = window_bits == zlib.MAX_WBITS
        self._opening = b""

    def undo(self, data: bytes, allowance: int) -> bytes:
        may_be_raw = self._may_be_raw
        if may_be_raw:
            data = self._opening + data
            if len(data) < 2:  # the zlib header's length: which form it is cannot be told yet
                self._opening = data
                return b""
            self._may_be_raw = False
        try:
            plain = self._zlib.decompress(data, allowance)
        except zlib.error:
            if not may_be_raw:
                raise
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            plain = self._zlib.decompress(data, allowance)
        return plain


class _Brotli:
    def __init__(self) -> None:
        self._brotli = brotli.Decompressor()

    def undo(self, data: bytes, allowance: int) -> bytes:
        pieces = [self._brotli.process(data, output_buffer_limit=allowance)]
        while not self._brotli.can_accept_more_data() and sum(map(len, pieces)) < allowance:
            pieces.append(self._brotli.process(b"", output_buffer_limit=allowance))
        return b"".join(pieces)


class _Zstd:
    def __init__(self) -> None:
        # The window is bounded as RFC 8878 section 3.1.1.1.2 recommends for the web.
        decompressor = zstandard.ZstdDecompressor(max_window_size=8 * 1_048_576)
        self._zstd = decompressor.decompressobj(read_across_frames=True)

    def undo(self, data: bytes, allowance: int) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(data), _ZSTD_STEP):
            pieces.append(self._zstd.decompress(data[start : start + _ZSTD_STEP]))
            allowance -= len(pieces[-1])
            if allowance <= 0:
                break
        return b"".join(pieces)


IDENTITY: Decoder = _Identity()
"""No coding: whoever meets it may take the bytes as they are."""


def decoder_for(coding: bytes, *, is_bounded: bool = True) -> Decoder | None:
    """A decoder for a Content-Encoding header; None when we cannot undo that coding.

    Not `is_bounded`: for who keeps nothing of it, however much it is in all. One piece has its bound still.
    """
    match coding.strip().lower():
        case b"" | b"identity":
            return IDENTITY
        case b"gzip" | b"x-gzip":
            return _Swelling(_Zlib(window_bits=zlib.MAX_WBITS | 16), is_bounded=is_bounded)
        case b"deflate":
            return _Swelling(_Zlib(window_bits=zlib.MAX_WBITS), is_bounded=is_bounded)
        case b"br":
            return _Swelling(_Brotli(), is_bounded=is_bounded)
        case b"zstd":
            return _Swelling(_Zstd(), is_bounded=is_bounded)
    return None
