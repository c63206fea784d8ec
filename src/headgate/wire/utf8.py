"""Whether bytes are UTF-8 (RFC 3629), for those who do not want the text."""

from codecs import utf_8_decode

_PIECE = 32_768
"""Bytes. A text takes up to four times the room of its bytes: of a whole conversation it would leave the
processor's caches and come from the system page by page, three times as long as the look at it takes."""


def check_utf8(data: bytes | bytearray) -> None:
    """Raises UnicodeDecodeError, whose positions count from somewhere within."""
    start, end = 0, len(data)
    if end <= _PIECE and data.isascii():
        return
    while start < end:
        piece = data[start : start + _PIECE]
        if piece.isascii():
            start += _PIECE
        else:
            # A character that the cut went through is left for the next piece.
            start += utf_8_decode(piece, "strict", start + _PIECE >= end)[1]
