"""Where an answer begins and ends (RFC 9112, section 6): bytes in, head and body pieces out. No I/O."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from headgate.errors import BadAnswer
from headgate.upstream.plain import PlainReader
from headgate.wire.headers import Headers

NO_FIELDS: Mapping[bytes, bytes] = MappingProxyType({})

MAX_SILENT_BYTES = 65_536
"""Bytes in a row that are neither body nor end: bounds the head, interim answers, chunk extensions and
trailers with one count. Providers' heads stay below 8 KiB."""

MAX_INTERIM_ANSWERS = 16

_BODYLESS = frozenset({204, 304})
_HIGHEST_STATUS = 599
_NO_HTTP = "The provider's answer is not HTTP/1.1"
_REASON = re.compile(rb"[\t -~\x80-\xff]*")
"""RFC 9112, section 4. The parser takes any byte that ends no line."""

_STARTS_OF_OTHERS = (b"R", b"I")
"""The parser reads RTSP and ICE like HTTP/1.0."""

_SPEAKS_TLS = b"\x15\x03"
"""How a TLS server complains about a request in clear: an alert record (RFC 8446, section 5.1)."""


class _DataAfterEnd(Exception):
    """Stops the parser where a second answer would begin."""


class AnswerFraming:
    """Reads one answer after another off one connection; `expect` starts the next."""

    __slots__ = (
        "_headers",
        "_interim_count",
        "_is_head_request",
        "_is_http_1_1",
        "_parser",
        "_plain",
        "_silent_bytes",
        "can_be_followed",
        "content_length",
        "fields",
        "has_head",
        "has_started",
        "headers",
        "is_chunked",
        "is_done",
        "lines",
        "names",
        "on_body",
        "pieces",
        "reason",
        "status",
    )

    def __init__(self, plain: PlainReader) -> None:
        self._plain = plain
        self.pieces: list[bytes] = []
        """Body bytes not yet taken; the same list for ever, emptied by whoever takes them."""
        # The parser calls the list itself: no frame of ours per chunk.
        self.on_body = self.pieces.append
        self._parser: HttpResponseParser | None = None
        # These hold from `has_head` on.
        self.status = 0
        self.reason = b""
        self.headers: Headers = []
        self.fields: Mapping[bytes, bytes] = NO_FIELDS
        self.lines: bytes | None = None
        """The header lines as they came, where that is known."""
        self.names: frozenset[bytes] | None = None
        """Of the headers, where the lines are known: the same object in most answers of a far side."""
        self.content_length: int | None = None
        self._headers: Headers = []
        self._is_http_1_1 = False
        self._interim_count = 0
        self._silent_bytes = 0
        self.expect(is_head_request=False)

    def expect(self, *, is_head_request: bool) -> None:
        """Begin a new answer: only after the one before was done and could be followed."""
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        self.pieces.clear()
        self.has_started = False
        """A byte of the answer has come."""
        self.has_head = False
        self.is_done = False
        self.can_be_followed = False
        """The connection is sound for another request once the answer is done."""
        self.is_chunked = False
        self._is_head_request = is_head_request

    def _begin_parsing(self, data: bytes) -> None:
        """This answer is the parser's to read: most are not, and are spared this."""
        self.lines = self.names = self.content_length = None
        self._interim_count = self._silent_bytes = 0
        self._is_http_1_1 = data.startswith(b"HTTP/1.1 ")
        if not self._is_http_1_1:
            _check_start(data)

    def feed(self, data: bytes) -> None:
        """Raises BadAnswer; bytes after the end only make the connection unfit for another request."""
        if not self.has_started:
            self.has_started = True
            if not self._is_head_request and (plain := self._plain.read(data)) is not None:
                # The parser, which stands between two answers, never sees this one.
                self.status, self.reason, self.headers, self.fields, self.names, self.lines, body = plain
                self.content_length = len(body)
                if body:
                    self.pieces.append(body)
                self.has_head = self.is_done = self.can_be_followed = True
                return
            self._begin_parsing(data)
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]
        except (HttpParserError, HttpParserUpgrade) as error:
            self._stopped(error)
            return
        if self.pieces or self.is_done:
            self._silent_bytes = 0
            if self.is_done and self._is_bodyless:
                self._drop_what_follows()
        elif self._silent_bytes > MAX_SILENT_BYTES:
            raise BadAnswer(_too_much("header bytes"), reason="EBADANSWER")

    def forget_head(self) -> None:
        self.headers, self.fields, self.lines, self.names = [], NO_FIELDS, None, None

    def end(self) -> bool:
        """The far side closed: whether that is the answer's end (RFC 9112, section 6.3, rule 8)."""
        is_close_delimited = self.has_head and self.content_length is None and not self.is_chunked
        self.is_done = self.is_done or is_close_delimited
        return self.is_done

    # ---- called by the parser ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_done:
            raise _DataAfterEnd
        self._headers = []
        self.reason = b""

    def on_status(self, part: bytes) -> None:
        self.reason += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        self.status = status = parser.get_status_code()  # type: ignore[union-attr]
        if status < 200:
            self._pass_interim(status)
            return
        if self.reason != b"OK" or status != 200:
            self._check_status_line()
        headers = self._headers
        self.fields = fields = dict(headers)
        length = fields.get(b"content-length")
        if length is not None:
            self.content_length = int(length)  # httptools refuses repeated or odd ones
        if b"transfer-encoding" in fields:
            for name, value in headers:
                self._note_coding(name, value)
        if not self._is_http_1_1:
            self._check_version()
        if self._silent_bytes > MAX_SILENT_BYTES:
            _check_size(headers)
        self.headers = headers
        self._headers = []  # what comes now are trailers: read, bounded, and dropped
        self.has_head = True
        self.can_be_followed = self._is_http_1_1 and parser.should_keep_alive()  # type: ignore[union-attr]
        if self._is_bodyless:
            self.is_done = True

    def on_message_complete(self) -> None:
        if self.has_head:
            self.is_done = True

    # ---- the rarer turns -----------------------------------------------------------------------------

    @property
    def _is_bodyless(self) -> bool:
        return self._is_head_request or self.status in _BODYLESS

    def _pass_interim(self, status: int) -> None:
        """1xx: read over (RFC 9110, section 15.2). Nobody asked to switch protocols."""
        self._interim_count += 1
        if status < 100 or status == 101:
            raise BadAnswer(f"The provider answered with status {status}", reason="EBADANSWER")
        if self._interim_count > MAX_INTERIM_ANSWERS:
            raise BadAnswer(_too_much("interim answers"), reason="EBADANSWER")
        self._is_http_1_1 = False  # what the first bytes said held for this one: ask for the next

    def _check_status_line(self) -> None:
        if self.status > _HIGHEST_STATUS:
            raise BadAnswer(f"The provider answered with status {self.status}", reason="EBADANSWER")
        if not _REASON.fullmatch(self.reason):
            raise BadAnswer(f"{_NO_HTTP}: its status line has control characters", reason="EBADANSWER")

    def _note_coding(self, name: bytes, value: bytes) -> None:
        """httptools refuses a length beside a transfer coding."""
        if name != b"transfer-encoding":
            return
        if self.is_chunked or value.strip().lower() != b"chunked":
            # No other coding was asked for (no TE was sent), so none may come (RFC 9112, section 7.4).
            raise BadAnswer("The provider's answer has an unknown transfer coding", reason="EBADANSWER")
        self.is_chunked = True

    def _check_version(self) -> None:
        version = self._parser.get_http_version()  # type: ignore[union-attr]
        self._is_http_1_1 = version == "1.1"
        if version not in ("1.0", "1.1") or (version == "1.0" and self.is_chunked):
            raise BadAnswer(_NO_HTTP, reason="EBADANSWER")

    def _stopped(self, error: Exception) -> None:
        self.can_be_followed = False
        if self.is_done:
            if self._is_bodyless:
                self.pieces.clear()
            return
        if isinstance(error.__context__, BadAnswer):
            raise error.__context__
        raise BadAnswer(f"{_NO_HTTP}: {error}", reason="EBADANSWER") from error

    def _drop_what_follows(self) -> None:
        """The parser waits for a body that an answer to HEAD, a 204 or a 304 never has: start it anew.

        Chunked framing is the one case where bytes after such a head would leave no trace.
        """
        if self.pieces or self.is_chunked:
            self.can_be_followed = False
            self.pieces.clear()
        self._parser = HttpResponseParser(self)


def _check_start(first: bytes) -> None:
    if first.startswith(_SPEAKS_TLS):
        raise BadAnswer(
            "The provider's port speaks TLS, and was spoken to in clear",
            reason="EBADANSWER",
            hint="Write https:// in the base URL.",
        )
    if first.lstrip(b"\r\n").startswith(_STARTS_OF_OTHERS):
        raise BadAnswer(_NO_HTTP, reason="EBADANSWER")


def _check_size(headers: Headers) -> None:
    if sum(len(name) + len(value) + 4 for name, value in headers) > MAX_SILENT_BYTES:
        raise BadAnswer(_too_much("header bytes"), reason="EBADANSWER")


def _too_much(what: str) -> str:
    return f"The provider's answer has too many {what}"
