"""Answers that come whole and plain, read by their lines.

Most answers that are no stream arrive in one piece: a head of a dozen lines, most of them the same as in
the answer before, and a body of stated length. Such an answer is cut at its line ends; a line seen before
is looked up, a new one judged by a strict pattern. Whatever is not beyond all doubt is left to the parser
(`framing.py`), which reads every answer that HTTP allows, and reads these the same way.
"""

import re
from typing import cast

from headgate.wire.headers import Headers

_START = b"HTTP/1.1 "
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ([!-~\x80-\xff](?:[ -~\x80-\xff]*[!-~\x80-\xff])?)")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([!-~\x80-\xff](?:[ -~\x80-\xff]*[!-~\x80-\xff])?)"
)
"""RFC 9110, section 5: a token, a colon, and a value that neither begins nor ends with white space."""

_BODYLESS = frozenset({204, 304})
_ABOUT_FRAMING = frozenset({b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_MOST_LINES = 64
_LONGEST_LINE = 512
_MOST_KNOWN = 512
_MOST_DIGITS = 12


Plain = tuple[int, bytes, Headers, dict[bytes, bytes], bytes, bytes]
"""Status, reason, headers (names lower case), the same by name, their lines as they came (each with its line
end), body. The pairs of the headers are shared with other answers, the list is not."""


class PlainReader:
    """Remembers the lines that were seen lately. One for all connections of a client."""

    def __init__(self) -> None:
        self._young: dict[bytes, tuple[bytes, bytes]] = {}
        self._old: dict[bytes, tuple[bytes, bytes]] = {}
        self._status_lines: dict[bytes, tuple[int, bytes]] = {}

    def read(self, data: bytes) -> Plain | None:
        """`data` is the first of an answer to a request that was not HEAD. None: the parser's to read."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or not data.startswith(_START):
            return None
        first, *lines = data[:end].split(b"\r\n")
        status = self._status_lines.get(first) or self._learn_status(first)
        if status is None or not lines:
            return None
        headers = list(map(self._young.get, lines))
        if None in headers and not self._learn(lines, headers):
            return None
        fields: dict[bytes, bytes] = dict(headers)  # type: ignore[arg-type]
        body = data[end + 4 :]
        length = fields.get(b"content-length")
        is_plain = (
            length is not None
            and length.isdigit()
            and len(length) <= _MOST_DIGITS
            and int(length) == len(body)
            and len(fields) == len(headers)
            and _ABOUT_FRAMING.isdisjoint(fields)
        )
        if not is_plain:
            return None
        return *status, cast(Headers, headers), fields, data[len(first) + 2 : end + 2], body

    def _learn_status(self, line: bytes) -> tuple[int, bytes] | None:
        match = _STATUS_LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
        if match is None or int(match[1]) in _BODYLESS:
            return None
        if len(self._status_lines) >= _MOST_KNOWN:
            self._status_lines.clear()
        status = self._status_lines[line] = int(match[1]), match[2]
        return status

    def _learn(self, lines: list[bytes], headers: list[tuple[bytes, bytes] | None]) -> bool:
        """Fill in the headers of lines that are not known; False: one of them needs the parser.

        An id and a date or two are new in every answer: only these are looked at one by one.
        """
        if len(lines) > _MOST_LINES:
            return False
        while None in headers:
            place = headers.index(None)
            line = lines[place]
            header = self._old.get(line)
            if header is None:
                match = _FIELD_LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
                if match is None:
                    return False
                header = match[1].lower(), match[2]
            self._remember(line, header)
            headers[place] = header
        return True

    def _remember(self, line: bytes, header: tuple[bytes, bytes]) -> None:
        """Dates and ids never come again: what was not seen for a while makes room for them."""
        if len(self._young) >= _MOST_KNOWN:
            self._old, self._young = self._young, {}
        self._young[line] = header
