"""Whether bytes are UTF-8 (RFC 3629), for those who do not want the text."""

from codecs import utf_8_decode

_PIECE = 32_768
"""Bytes. A text takes up to four times the room of its bytes: of a whole conversation it would leave the
processor's caches and come from the system page by page, three times as long as the look at it takes. And one
character beyond ASCII makes all of its piece dear: most have a few."""


def check_utf8(data: bytes | bytearray) -> None:
    """Raises UnicodeDecodeError, whose positions count from somewhere within."""
    if data.isascii():
        return
    view, start, end = memoryview(data), 0, len(data)
    while start < end:
        # A character that the cut went through is left for the next piece.
        start += utf_8_decode(view[start : start + _PIECE], "strict", start + _PIECE >= end)[1]
