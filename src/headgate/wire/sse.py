"""Server-sent events as bytes (WHATWG HTML, section 9.2 "Server-sent events").

Lines end with CR, LF or CRLF; an event ends with an empty line; `data` fields of one event are joined
by LF. Nothing here waits or decodes text: a stream cut anywhere, inside a line end or a UTF-8
sequence, gives the same events.
"""

import re
from collections.abc import Iterator

_LINE_END = re.compile(rb"\r\n|\n|\r")
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")


class EventBuffer:
    """Keeps the unfinished end of a stream, hands out whole events.

    At most `limit` bytes are kept; a longer event is dropped and `has_overflowed` says so, while
    the events after it are read again.
    """

    def __init__(self, limit: int = 1_048_576) -> None:
        self._tail = bytearray()
        self._limit = limit
        self.has_overflowed = False

    @property
    def is_empty(self) -> bool:
        """Whether the stream stands at an event's end."""
        return not self._tail

    def feed(self, data: bytes) -> bytes:
        """Returns the bytes of all events that are whole by now; b"" when none is."""
        tail = self._tail
        if not tail and data.endswith(b"\n\n"):
            return data
        # No end lies in the tail, but the first half of one may: at most three bytes of it.
        search_from = max(0, len(tail) - 3)
        tail += data
        cut = 0
        for match in _EVENT_END.finditer(tail, search_from):
            cut = match.end()
        whole = bytes(tail[:cut])
        del tail[:cut]
        if len(tail) > self._limit:
            self.has_overflowed = True
            tail.clear()
        return whole

    @property
    def tail(self) -> bytes:
        """The unfinished event as far as it came."""
        return bytes(self._tail)

    def rest(self) -> bytes:
        """What is left when the stream has ended: an event without its empty line, if anything."""
        tail = bytes(self._tail)
        self._tail.clear()
        return tail


def read_events(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The (event, data) pairs of whole events; event is b"" where the stream named none."""
    event = b""
    data: list[bytes] = []
    for line in _LINE_END.split(block):
        if not line:
            if data:
                yield event, b"\n".join(data)
            event, data = b"", []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    if data:
        yield event, b"\n".join(data)


def interrupt(tail: bytes, event: bytes, *, ignored: bytes) -> bytes:
    """Bytes that put `event` (whole, with its empty line) after a stream that broke off within `tail`.

    The broken event must not be dispatched as it is: it would look like a good one with bad data. So it
    gets the name `ignored`, of an event that clients pass over: the later `event:` field is the one that
    counts. A cut UTF-8 sequence is filled up first, because clients decode line by line.
    """
    if not tail:
        return event
    # At the start of a line one more line end would dispatch what came.
    line_end = b"" if tail.endswith(b"\n") else _utf8_filler(tail) + b"\n"
    return line_end + b"event: " + ignored + b"\n\n" + event


_FILLERS = [b"\x80" * n for n in range(4)] + [b"\xa0\x80", b"\x90\x80\x80", b"\xa0"]


def _utf8_filler(tail: bytes) -> bytes:
    """The shortest bytes that end a cut UTF-8 sequence (Unicode, table 3-7: not all may follow all)."""
    for filler in _FILLERS:
        try:
            (tail[-3:].lstrip(bytes(range(0x80, 0xC0))) + filler).decode()
        except UnicodeDecodeError:
            continue
        return filler
    return b""
