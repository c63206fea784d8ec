"""TLS towards providers: verified, HTTP/1.1 by ALPN, sessions used again."""

import asyncio
import ssl
from typing import Any

_SESSIONS_KEPT = 256
"""Hosts whose session is remembered: more than any owner has providers, bounded all the same."""


class ResumingContext(ssl.SSLContext):
    """A client context that resumes the last session of each host.

    asyncio and uvloop have no parameter for a session, but both ask the context for its SSL object.
    """

    def __init__(self, protocol: int = ssl.PROTOCOL_TLS_CLIENT) -> None:
        # The protocol is consumed by SSLContext.__new__.
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def remember(self, host: str, session: ssl.SSLSession) -> None:
        """Keep `session` for the next connection to `host`, in place of the one before."""
        self._sessions.pop(host, None)
        if len(self._sessions) >= _SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[host] = session


def client_context(ca_pem: str | None = None) -> ResumingContext:
    """A verifying context on the system's store, or on the certificates in `ca_pem` alone."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_pem is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cadata=ca_pem)
    context.set_alpn_protocols(["http/1.1"])
    return context


def remember_session(transport: asyncio.BaseTransport, host: str) -> None:
    """Note the session of a TLS connection that has carried an answer.

    Not earlier: TLS 1.3 sends its tickets after the handshake (RFC 8446, section 4.6.1).
    """
    ssl_object: Any = transport.get_extra_info("ssl_object")
    if ssl_object is None or not isinstance(ssl_object.context, ResumingContext):
        return
    if (session := ssl_object.session) is not None and session.has_ticket:
        ssl_object.context.remember(host, session)
