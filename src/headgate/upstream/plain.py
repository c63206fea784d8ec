"""Answers that come whole and plain, read by their lines.

Most answers that are no stream arrive in one piece: a head of a dozen lines, all but a few the same as in
the answer before, and a body of stated length. Such an answer is cut at its line ends; only lines that
differ from those of the last such head are judged, by a strict pattern. Where even the lengths of the values
are those of an answer before, it is not cut at all. Whatever is not beyond all doubt is left to the parser
(`framing.py`), which reads every answer that HTTP allows, and reads these the same way.
"""

import re
from itertools import compress
from operator import ne

from headgate.wire.headers import Headers

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ([!-~\x80-\xff](?:[ -~\x80-\xff]*[!-~\x80-\xff])?)")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([!-~\x80-\xff](?:[ -~\x80-\xff]*[!-~\x80-\xff])?)"
)
"""RFC 9110, section 5: a token, a colon, and a value that neither begins nor ends with white space."""

_BODYLESS = frozenset({204, 304})
_ABOUT_FRAMING = frozenset({b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_MOST_LINES = 65
_LONGEST_LINE = 512
_MOST_DIGITS = 12
_MOST_MOULDS = 64
"""Lengths that are remembered: a far side's heads differ by a few digits."""


Plain = tuple[int, bytes, Headers, dict[bytes, bytes], frozenset[bytes], bytes, bytes]
"""Status, reason, headers (names lower case), the same by name, their names, their lines as they came (each
with its line end), body. Nothing but names, pairs and texts is shared with other answers."""


class _Head:
    """The last head with so many lines."""

    __slots__ = (
        *("changing", "fields", "headers", "length", "length_at", "lines", "names", "reason", "starts"),
        "status",
    )

    def __init__(
        self, lines: list[bytes], status: int, reason: bytes, headers: Headers, fields: dict[bytes, bytes]
    ) -> None:
        self.lines = lines
        self.status, self.reason = status, reason
        self.headers = headers
        self.fields = fields
        self.names = frozenset(fields)
        self.length = int(fields[b"content-length"])
        self.changing: set[int] = set()
        """Places of the lines that were not always the same."""
        self.length_at = 1 + [name for name, _ in headers].index(b"content-length")
        self.starts = [
            b"",
            *(_start_of(line, name) for line, (name, _) in zip(lines[1:], headers, strict=True)),
        ]
        """What stands before the value in each line; b"" where it must be this one: the status line."""

    def become(self, lines: list[bytes]) -> bool:
        """Be the head of these lines, as many as its own. False: they say something else, or oddly.

        An id and a date or two are new in every answer: only these are looked at one by one.
        """
        found: list[tuple[int, bytes]] = []
        starts = self.starts
        for place in compress(_PLACES, map(ne, lines, self.lines)):
            line, start = lines[place], starts[place]
            if not (start and line.startswith(start)) or len(line) > _LONGEST_LINE:
                return False
            value = line[len(start) :]
            if not _is_clear(value) or (place == self.length_at and not _is_length(value)):
                return False
            found.append((place, value))
        if found:
            headers, fields = self.headers, self.fields
            for place, value in found:
                name = headers[place - 1][0]
                headers[place - 1] = (name, value)
                fields[name] = value
                self.changing.add(place)
            self.length = int(fields[b"content-length"])
            self.lines = lines
        return True


class _Mould:
    """The last head of so many bytes: only the values that change are read out of the next one."""

    __slots__ = ("_changing", "_fixed", "_tells_length", "fields", "first_line", "head", "headers", "length")

    def __init__(self, head: _Head) -> None:
        self.head = head
        # Its own: the head's are those of whatever length came last.
        self.headers, self.fields, self.length = head.headers.copy(), head.fields.copy(), head.length
        self.first_line = len(head.lines[0]) + 2
        text, self._tells_length = b"\r\n".join(head.lines), head.length_at in head.changing
        self._fixed: list[tuple[slice, bytes]] = []
        self._changing: list[tuple[slice, int, bytes]] = []
        begin = end = 0
        for place, line in enumerate(head.lines):
            if place in head.changing:
                value = slice(end + len(head.starts[place]), end + len(line))
                self._changing.append((value, place - 1, head.headers[place - 1][0]))
                self._fixed.append((slice(begin, value.start), text[begin : value.start]))
                begin = value.stop
            end += len(line) + 2
        self._fixed.append((slice(begin, len(text)), text[begin:]))

    def takes(self, data: bytes) -> bool:
        """Be the head of this answer, as long as its own. False: it says something else, or oddly; what was
        taken by then is overwritten by the next that fits."""
        for part, text in self._fixed:
            if data[part] != text:
                return False
        headers, fields = self.headers, self.fields
        for part, place, name in self._changing:
            value = data[part]
            if not _is_clear(value):
                return False
            headers[place] = (name, value)
            fields[name] = value
        if self._tells_length:
            length = fields[b"content-length"]
            if not _is_length(length):
                return False
            self.length = int(length)
        return True


_PLACES = range(_MOST_LINES)


def _start_of(line: bytes, name: bytes) -> bytes:
    """With the space that nearly everybody writes; b"" where there is none."""
    start = line[: len(name) + 2]
    return start if start.endswith(b" ") else b""


class PlainReader:
    """Remembers the last heads. One for all connections to an origin: heads of one far side are alike."""

    def __init__(self) -> None:
        self._heads: dict[int, _Head] = {}
        """By their number of lines."""
        self._moulds: dict[int, _Mould] = {}
        """By their number of bytes."""

    def read(self, data: bytes) -> Plain | None:
        """`data` is the first of an answer to a request that was not HEAD. None: the parser's to read."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        mould = self._moulds.get(end)
        if mould is None or not mould.takes(data):
            mould = self._cut(data[:end])
            if mould is None:
                return None
        body = data[end + 4 :]
        if mould.length != len(body):
            return None
        head = mould.head
        return (
            head.status,
            head.reason,
            mould.headers.copy(),
            mould.fields.copy(),
            head.names,
            data[mould.first_line : end + 2],
            body,
        )

    def _cut(self, text: bytes) -> _Mould | None:
        """A head of another length, or one in which something is new."""
        lines = text.split(b"\r\n")
        head = self._heads.get(len(lines))
        if head is None or not head.become(lines):
            head = _read_head(lines)
            if head is None:
                return None
            self._heads[len(lines)] = head
        if len(self._moulds) >= _MOST_MOULDS:
            self._moulds.clear()
        mould = self._moulds[len(text)] = _Mould(head)
        return mould


def _read_head(lines: list[bytes]) -> _Head | None:
    """None: one of the lines needs the parser, or they do not say how long the body is."""
    if len(lines) > _MOST_LINES or max(map(len, lines)) > _LONGEST_LINE:
        return None
    status = _STATUS_LINE.fullmatch(lines[0])
    if status is None or int(status[1]) in _BODYLESS:
        return None
    headers: Headers = []
    for line in lines[1:]:
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            return None
        headers.append((field[1].lower(), field[2]))
    fields = dict(headers)
    length = fields.get(b"content-length")
    is_clear = len(fields) == len(headers) and _ABOUT_FRAMING.isdisjoint(fields)
    if length is None or not is_clear or not _is_length(length):
        return None
    return _Head(lines, int(status[1]), status[2], headers, fields)


def _is_clear(value: bytes) -> bool:
    """Visible to its last byte, with nothing round it that a parser would take off."""
    return value.isascii() and value.decode().isprintable() and value == value.strip() and value != b""


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= _MOST_DIGITS
