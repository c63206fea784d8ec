"""Requests that offer another protocol beside HTTP/1.1, such as `Upgrade: h2c` of `curl --http2`.

A server may ignore the offer (RFC 9110, section 7.8); the parser cannot, so it is given the head without.
"""

from headgate.wire.headers import Headers

_OFFER = frozenset({b"upgrade", b"http2-settings"})


def without_offer(
    method: bytes, target: bytes, version: str, headers: Headers, content_length: bytes | None
) -> bytes:
    """The head of the same request, as bytes, with nothing offered."""
    lines = [b"%b %b HTTP/%b\r\n" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            kept = [word.strip() for word in value.split(b",") if word.strip().lower() not in _OFFER]
            value = b", ".join(kept)
        if name not in _OFFER:
            lines.append(b"%b: %b\r\n" % (name, value))
    if content_length is not None:
        lines.append(b"content-length: %b\r\n" % content_length)
    return b"".join([*lines, b"\r\n"])
