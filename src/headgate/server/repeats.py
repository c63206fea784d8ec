"""What comes again and again: requests whose head repeats the one before, known by their bytes, and lines.

A client sends the same head again and again, but for the digits of Content-Length. The parser has
judged those bytes once; a request that differs from them in nothing but these digits needs no second
judgement. Anything else, down to one byte, goes to the parser.
"""

import re
from weakref import WeakValueDictionary

from headgate.access.callers import CREDENTIAL_HEADERS, OWNER_KEY_HEADERS
from headgate.relay.exchange import RequestHead
from headgate.relay.heads import ClientHead
from headgate.wire.headers import Headers

_LENGTH = re.compile(rb"\r\n(?i:content-length):[ \t]*(\d+)[ \t]*\r\n")
_MOST_LINES = 512
_LONGEST_LINE = 512
_NOT_KEPT = CREDENTIAL_HEADERS | OWNER_KEY_HEADERS | {b"cookie", b"proxy-authorization", b"content-length"}
"""Secrets live no longer than their connection; lengths hardly come again."""


class Repeat:
    """One head, cut round the digits."""

    __slots__ = ("_before", "_behind", "_size", "head")

    def __init__(self, before: bytes, behind: bytes, head: RequestHead) -> None:
        self._before = before
        self._behind = behind
        self._size = len(before) + len(behind)
        self.head = head

    @classmethod
    def of(cls, data: bytes, head: RequestHead) -> "Repeat | None":
        """The repeat of a request that began with `data`; None for one that is no pattern for others."""
        is_plain = head.keep_alive and not head.is_http_1_0 and not head.client.expects_continue
        end = data.find(b"\r\n\r\n")
        if not is_plain or not head.endpoint.reads_body or end < 0 or b"key=" in head.query:
            return None
        length = _LENGTH.search(data, 0, end + 2)
        if length is None:
            return None
        return cls(data[: length.start(1)], data[length.end(1) : end + 4], head)

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a whole request whose head is this one; None when it is not, or not whole."""
        # What the digits have to be is reckoned and compared: sooner done than to find and read them.
        rest = len(data) - self._size
        length = rest - len(b"%d" % rest)
        digits = b"%d" % length
        if len(digits) + length < rest:  # such as 999 behind its three: together they have four
            length += 1
            digits = b"%d" % length
            if len(digits) + length > rest:
                return None  # such as 1000 with a byte to come
        head = self._before + digits + self._behind
        return data[len(head) :] if data.startswith(head) else None


class KnownHeads:
    """Heads that connections of the same address begin with, held once for all of them.

    The lines of one and what was read of them take nearly a kilobyte. Nothing is held here: with the last
    connection that knows a head it is gone, and so are its secrets.
    """

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[str, tuple[tuple[bytes, bytes], ...]], ClientHead]
        self._known = WeakValueDictionary()

    def find(self, address: str, headers: Headers) -> ClientHead | None:
        """The one that was judged, of these very lines."""
        return self._known.get((address, tuple(headers)))

    def learn(self, address: str, head: ClientHead) -> None:
        self._known[address, tuple(head.headers)] = head

    def forget(self) -> None:
        """Other callers are let in now than those by whom they were judged."""
        self._known.clear()


class KnownLines:
    """The header lines that clients sent lately, held once for all their connections, names lower case.

    Twenty lines of a client's head take more memory than the rest of its connection.
    """

    def __init__(self) -> None:
        self._young: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
        self._old: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}

    def find(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        """The line, its name lower case; the very one that others hold if it was seen lately."""
        sent = (name, value)
        return self._young.get(sent) or self._learn(sent)

    def _learn(self, sent: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        line = self._old.get(sent)
        if line is None:
            name, value = sent
            line = (name.lower(), value)
            if line[0] in _NOT_KEPT or len(name) + len(value) > _LONGEST_LINE:
                return line
        if len(self._young) >= _MOST_LINES:
            self._old, self._young = self._young, {}  # what was not seen for a while makes room
        self._young[sent] = line
        return line
