"""Web pages of other origins that the owner lets call (`server.cors_origins`), and what a browser is told.

A browser keeps an answer from a page of another origin unless the answer itself allows that page, and asks
before most requests whether it may send them at all (Fetch Standard, "CORS protocol"). The answers to both
are ready-made: a request costs a look at its lines, which is kept with them.
"""

import re
from collections.abc import Iterable

from headgate.wire.headers import Headers, find

ANY = "*"
"""In the setting: every page, which may bring a key but no cookies; see `PageRules`."""

CORS_FIELDS = frozenset(
    {b"access-control-allow-origin", b"access-control-allow-credentials", b"access-control-expose-headers"}
    | {b"access-control-allow-headers", b"access-control-allow-methods", b"access-control-max-age"}
    | {b"access-control-allow-private-network"}
)
"""Which pages may read what this gateway says is its owner's to say, not a provider's."""

TOLD_BY_PAGES = frozenset(
    {b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user"}
)
"""What a browser tells of the page. A provider that sees an origin takes the request for one that came from
the page itself, and refuses it; it came from here."""

_OUR_OWN = (
    b"x-headgate-request-id, x-headgate-error, x-headgate-attempts, x-headgate-account, x-headgate-rewritten,"
    b" request-id, retry-after, x-should-retry, server-timing, allow"
)
_READ_ANYWAY = (
    frozenset(
        {
            b"cache-control",
            b"content-language",
            b"content-length",
            b"content-type",
            b"expires",
            b"last-modified",
        }
        | {
            b"pragma",
            b"connection",
            b"transfer-encoding",
            b"keep-alive",
            b"set-cookie",
            b"vary",
            b"date",
            b"server",
        }
    )
    | CORS_FIELDS
)
"""Fields that a page may read as it is, or has no use for."""

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_REMEMBERED_SECONDS = 600
"""How long a browser need not ask again, also where the owner took the origin out meanwhile."""
_ASKED_HEADERS = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,2048}")


class Page:
    """What answers carry for the page that asked, or for none."""

    __slots__ = ("_is_let_in", "is_listed", "lines")

    def __init__(self, allowed: bytes, *, is_listed: bool, varies: bool) -> None:
        """`allowed`: the origin as it is told, empty for a page that was not let in and for programs."""
        self._is_let_in = bool(allowed)
        self.is_listed = is_listed
        """By its own name. Such a page is no stranger, and the browser may send cookies along."""
        lines = b""
        if allowed:
            lines = b"access-control-allow-origin: %b\r\n" % allowed
            if is_listed:
                lines += b"access-control-allow-credentials: true\r\n"
            lines += b"access-control-expose-headers: %b\r\n" % _OUR_OWN
        self.lines = lines + (b"vary: Origin\r\n" if varies else b"")
        """Header lines of every answer."""

    @property
    def is_let_in(self) -> bool:
        return self._is_let_in

    def exposing(self, names: Iterable[bytes]) -> bytes:
        """The line that lets the page read these fields of a provider's answer as well."""
        if not self._is_let_in:
            return b""
        shown = b", ".join([name for name in names if name not in _READ_ANYWAY])
        return b"access-control-expose-headers: %b\r\n" % shown if shown else b""


class PageRules:
    """The setting, made ready. Built anew when it changes.

    Origins that are named may call as programs of this machine do, without a key where none is needed. `*`
    lets every page read what it is answered, and no page in: without a key it stays a stranger.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        named = set(origins)
        takes_any = ANY in named
        named.discard(ANY)
        varies = bool(named)
        self._listed = {one.encode(): Page(one.encode(), is_listed=True, varies=varies) for one in named}
        self._others = Page(b"*" if takes_any else b"", is_listed=False, varies=varies)
        self._of_none = Page(b"", is_listed=False, varies=varies)
        self._are_set = varies or takes_any

    def page_of(self, headers: Headers) -> Page | None:
        """None where no page of another origin is let in at all."""
        if not self._are_set:
            return None
        origins = [value for name, value in headers if name == b"origin"]
        return self._listed.get(origins[0], self._others) if len(origins) == 1 else self._of_none

    def leave(self, headers: Headers) -> bytes | None:
        """Header lines of the answer to who asks leave for its page; None: it is not given."""
        page = self.page_of(headers)
        if page is None or not page.is_let_in:
            return None
        lines = b"%baccess-control-allow-methods: %b\r\naccess-control-max-age: %d\r\n" % (
            page.lines,
            _METHODS,
            _REMEMBERED_SECONDS,
        )
        asked = find(headers, b"access-control-request-headers")
        if asked is not None and _ASKED_HEADERS.fullmatch(asked):
            lines += b"access-control-allow-headers: %b\r\n" % asked
        if page.is_listed and find(headers, b"access-control-request-private-network") == b"true":
            lines += b"access-control-allow-private-network: true\r\n"
        return lines + b"vary: Access-Control-Request-Method, Access-Control-Request-Headers\r\n"


def asks_leave(headers: Headers) -> bool:
    """Of a request with the method OPTIONS: whether a browser asks what a page may send. Such a request has
    no body and, whatever the page would send, no key."""
    names = {name for name, _ in headers}
    return {b"origin", b"access-control-request-method"} <= names and b"transfer-encoding" not in names
