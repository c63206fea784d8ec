"""Heads that two readers could read in two ways are read in none.

The parser is lenient where proxies in front of us may not be, or the other way round: what one takes for the
end of a request is the start of a smuggled one for the other (RFC 9112, sections 3.2, 6.1 and 11.2).
"""

import re

from headgate.errors import HeadgateError, HeadTooLarge, MalformedRequest
from headgate.wire.headers import Headers

MAX_HEADER_LINES = 200
"""Clients send about 30; each line costs every later reader a look."""

MAX_HEAD_BYTES = 65_536
"""Anybody may send a head, and all of it is held until it is whole. Clients send some KiB."""

MAX_FRAMING_BYTES = 16_384
"""What one body may have round itself: chunk sizes and extensions, line ends, trailers."""
FRAMING_SHIFT = 3
"""And so much more with what it holds: an eighth. A chunk costs us as much work as some hundred bytes, and
clients send thousands in each: whoever sends a few wants to keep us busy."""

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%\-]*(?::\d*)?|\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\](?::\d*)?")
"""A name or an address, and a port (RFC 9110, section 7.2); nothing that could be a path or a second host."""


def objection(
    headers: Headers, target: bytes, version: str, *, wants_other_protocol: bool, is_http: bool = True
) -> HeadgateError | None:
    """Why a parsed head is refused; None for one that everybody reads alike.

    `is_http`: the parser takes RTSP for HTTP.
    """
    is_http_1_0 = version == "1.0"
    if not is_http:
        return MalformedRequest(
            "The request is of another protocol than HTTP.",
            hint="Send it as HTTP/1.1 (curl --http1.1).",
        )
    if not is_http_1_0 and version != "1.1":
        return MalformedRequest(
            f"The request is of HTTP/{version}.", hint="Send it as HTTP/1.1 (curl --http1.1)."
        )
    if len(target) + sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD_BYTES:
        return head_too_large()
    if wants_other_protocol:
        return MalformedRequest(
            "This server speaks HTTP/1.1 alone and takes no Upgrade to another protocol and no CONNECT.",
            hint="Send the request as plain HTTP/1.1 (curl --http1.1).",
        )
    if not target.startswith(b"/") and target != b"*":
        return MalformedRequest(
            "The request's target is not a path.", hint="Send the path alone, and the name in Host."
        )
    return _objection_to_host(headers, is_http_1_0=is_http_1_0) or _objection_to_framing(
        headers, is_http_1_0=is_http_1_0
    )


def _objection_to_host(headers: Headers, *, is_http_1_0: bool) -> HeadgateError | None:
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts and is_http_1_0:
        return None
    if len(hosts) != 1:
        found = "no Host header" if not hosts else "more than one Host header"
        return MalformedRequest(f"The request has {found}.", hint="Send exactly one.")
    if not _HOST.fullmatch(hosts[0]):
        return MalformedRequest(
            "The request's Host header is no host name.",
            hint="Send a name or an address, and perhaps a port.",
        )
    return None


def _objection_to_framing(headers: Headers, *, is_http_1_0: bool) -> HeadgateError | None:
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if not codings or (not is_http_1_0 and len(codings) == 1 and codings[0].lower() == b"chunked"):
        return None
    return MalformedRequest(
        "The request's Transfer-Encoding is not understood.", hint="Send `chunked` or a Content-Length."
    )


def head_too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The head of the request is larger than {MAX_HEAD_BYTES} bytes.", hint="Send shorter header lines."
    )


def too_many_lines() -> HeadTooLarge:
    return HeadTooLarge(
        f"The request has more than {MAX_HEADER_LINES} header lines.", hint="Send fewer of them."
    )


def too_much_framing() -> MalformedRequest:
    return MalformedRequest(
        "The chunks of the request are too small, or their extensions and trailers too long.",
        hint="Send plain chunks of some KiB, or a Content-Length.",
    )
