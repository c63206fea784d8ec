"""What the header lines of a request say, read once.

A client's requests repeat their header lines, so the reading is kept per connection and used again as
long as the lines are the same. `content-length` changes with each body and is therefore not among them.
"""

from headgate.access.callers import CREDENTIAL_HEADERS, OWNER_KEY_HEADERS, Caller
from headgate.access.forwarding import Forwarded
from headgate.access.pages import TOLD_BY_PAGES, Page
from headgate.providers.provider import Provider
from headgate.wire.headers import HOP_BY_HOP, Headers, forwardable, write_lines

_NOT_SENT = (
    HOP_BY_HOP
    | CREDENTIAL_HEADERS
    | OWNER_KEY_HEADERS
    | {b"host", b"cookie", b"expect", b"content-length"}
    | {b"x-headgate-account", b"x-headgate-session", b"x-headgate-project"}
)
_NOT_SENT_FOR_PAGES = _NOT_SENT | TOLD_BY_PAGES
_TRACES = frozenset({b"traceparent", b"tracestate", b"baggage"})
_OBJECT_BETAS = (b"files-api", b"code-execution", b"skills")
"""Parts of `anthropic-beta` values under which bodies name objects of one account."""

_LONGEST_PROJECT = 64
"""Characters."""
_LONGEST_TRACEPARENT = 128
"""Today's have 55 bytes; later versions may be longer."""


class ClientHead:
    """The lines in the order they came, names lower case, and what routing reads from them."""

    __slots__ = (
        "__weakref__",
        "_lines",
        "_passes_traces",
        "caller",
        "expects_continue",
        "forwarded",
        "headers",
        "is_chunked",
        "is_content_coded",
        "may_name_objects",
        "page",
        "project",
        "session",
        "traceparent",
        "user_agent",
        "wanted_account",
    )

    def __init__(
        self,
        headers: Headers,
        caller: Caller,
        *,
        page: Page | None = None,
        forwarded: Forwarded | None = None,
        passes_traces: bool = True,
    ) -> None:
        fields = dict(headers)
        self.headers = headers
        self.caller = caller
        self.page = page
        """None: no page of another origin is let in, and answers say nothing of it."""
        self.forwarded = forwarded
        """None: no proxy is trusted to say where requests come from."""
        self._passes_traces = passes_traces
        self.is_chunked = b"transfer-encoding" in fields
        self.expects_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        self.is_content_coded = b"content-encoding" in fields
        self.session = _session(fields)
        self.project = _project(fields.get(b"x-headgate-project", b""))
        self.user_agent = fields.get(b"user-agent", b"").decode("latin-1")[:256]
        self.traceparent = fields.get(b"traceparent", b"")[:_LONGEST_TRACEPARENT]
        wish = fields.get(b"x-headgate-account")
        self.wanted_account = wish.decode("latin-1").strip() if wish is not None else None
        beta = fields.get(b"anthropic-beta", b"")
        self.may_name_objects = any(word in beta for word in _OBJECT_BETAS)
        self._lines: tuple[Provider | None, bytes] = (None, b"")

    def lines_for(self, provider: Provider) -> bytes:
        """The lines as they travel on: without credentials, cookies, hop-by-hop fields and our helpers;
        with what the provider requires and the client left out. Framing is not among them."""
        known, lines = self._lines
        if known is not provider:
            is_of_page = self.page is not None and self.page.is_let_in
            not_sent = _NOT_SENT_FOR_PAGES if is_of_page else _NOT_SENT
            if not self._passes_traces:
                not_sent |= _TRACES
            kept = forwardable(self.headers, not_sent) + provider.required_headers(self.headers)
            lines = write_lines(kept)
            self._lines = (provider, lines)
        return lines


def _session(fields: dict[bytes, bytes]) -> str | None:
    """The session that a header names: our helper first, then the client's own."""
    named = fields.get(b"x-headgate-session") or fields.get(b"x-claude-code-session-id")
    return named.decode("latin-1")[:256] if named else None


def _project(name: bytes) -> str | None:
    """What the client says that it works on: of a long name the beginning; nothing that cannot be shown."""
    try:
        said = name.decode()
    except UnicodeDecodeError:
        said = name.decode("latin-1")  # as some libraries write a header
    said = said.strip()[:_LONGEST_PROJECT].rstrip()
    return said if said.isprintable() and said else None
