"""Requests off the socket: httptools checks the head, the body is framed here to keep its exact bytes."""

from urllib.parse import parse_qsl, unquote, urlsplit

import httptools

MAX_HEAD_BYTES = 256 * 1024
_MAX_CHUNK_LINE = 4096


class BadRequest(Exception):
    """These bytes are not an HTTP/1.1 request."""


class Request:
    """One request as it came; `body` is complete once the connection hands it on."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._read_head(head)
        self.target = self._target.decode("ascii", "replace")
        parts = urlsplit(self.target)
        self.path = unquote(parts.path)
        self.query: dict[str, str] = dict(parse_qsl(parts.query)) if parts.query else {}
        self._by_name = dict(self.headers)

    def _read_head(self, head: bytes) -> None:
        self._parser = parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # an offer to upgrade is declined by answering as if it had not been made
        except httptools.HttpParserError as error:
            raise BadRequest(str(error)) from error
        finally:
            del self._parser  # the two hold each other
        self.method = parser.get_method().decode("ascii")

    def on_headers_complete(self) -> None:
        # Asked here: once a request without a body is complete, the parser has forgotten its `Connection`.
        self.keeps_alive: bool = self._parser.should_keep_alive()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def header(self, name: bytes) -> str:
        """The last value under this lower-case name, or nothing."""
        return self._by_name.get(name, b"").decode("latin-1")

    @property
    def key(self) -> str:
        """The credential: `x-api-key`, else the bearer token."""
        if key := self.header(b"x-api-key"):
            return key
        scheme, _, token = self.header(b"authorization").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


class LengthBody:
    """A body whose length was announced."""

    def __init__(self, length: int) -> None:
        self._missing = length
        self._parts: list[bytes] = []

    def feed(self, buffer: bytearray) -> bool:
        """Take what belongs to the body out of `buffer`; true when the body is complete."""
        taken = bytes(buffer[: self._missing])
        del buffer[: len(taken)]
        self._missing -= len(taken)
        self._parts.append(taken)
        return self._missing == 0

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1); chunk extensions and trailers are read and dropped."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._in_trailers = False

    def feed(self, buffer: bytearray) -> bool:
        """Take whole chunks out of `buffer`; true when the last one and the trailers are in."""
        while (end := buffer.find(b"\r\n")) >= 0:
            line = bytes(buffer[:end])
            if self._in_trailers:
                del buffer[: end + 2]
                if not line:
                    return True
                continue
            size = _chunk_size(line)
            if size == 0:
                del buffer[: end + 2]
                self._in_trailers = True
            elif len(buffer) < end + 2 + size + 2:
                return False
            else:
                self._take_chunk(buffer, end + 2, size)
        if len(buffer) > _MAX_CHUNK_LINE:
            raise BadRequest("A chunk's size line does not end.")
        return False

    def _take_chunk(self, buffer: bytearray, start: int, size: int) -> None:
        self._parts.append(bytes(buffer[start : start + size]))
        if buffer[start + size : start + size + 2] != b"\r\n":
            raise BadRequest("A chunk is longer than it says.")
        del buffer[: start + size + 2]

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadRequest("A chunk's size is not a hexadecimal number.")
    return int(digits, 16)


def body_reader(request: Request) -> LengthBody | ChunkedBody:
    """The reader for the framing that the head announces."""
    if "chunked" in request.header(b"transfer-encoding").lower():
        return ChunkedBody()
    return LengthBody(int(request.header(b"content-length") or 0))
