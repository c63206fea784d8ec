"""Header lists: `(name, value)` pairs of bytes, names lower case, order and repeats kept."""

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that belong to one connection and are never relayed (RFC 9110, section 7.6.1)."""

_NO_FIELD_NAMES = frozenset({b"close", b"keep-alive", b"content-length"})
"""Connection options that take no field away: the length belongs to the message, whoever says otherwise."""


def is_visible_ascii(text: str) -> bool:
    """Whether a secret can stand in a header as it is: not empty, no white space, nothing outside ASCII."""
    return bool(text) and all("!" <= character <= "~" for character in text)


def find(headers: Headers, name: bytes) -> bytes | None:
    """The first value under `name` (lower case), or None."""
    for field, value in headers:
        if field == name:
            return value
    return None


def write_lines(headers: Headers) -> bytes:
    """As they stand in a head, each with its line end."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def forwardable(headers: Headers, drop: frozenset[bytes]) -> Headers:
    """`headers` without the names in `drop` and without those that `Connection` itself names.

    `drop` should contain `HOP_BY_HOP`: callers join their own names to it once, not per request.
    """
    kept = [pair for pair in headers if pair[0] not in drop]
    if len(kept) == len(headers):
        return kept  # then `Connection` was not among them
    named = connection_options(headers) - _NO_FIELD_NAMES
    return [pair for pair in kept if pair[0] not in named] if named else kept


def connection_options(headers: Headers) -> frozenset[bytes]:
    """The options of all `Connection` fields, lower case (RFC 9110, section 7.6.1)."""
    options: frozenset[bytes] = frozenset()
    for field, value in headers:
        if field == b"connection":
            options |= _split_options(value)
    return options


def _split_options(value: bytes) -> frozenset[bytes]:
    return frozenset(option for part in value.split(b",") if (option := part.strip().lower()))
