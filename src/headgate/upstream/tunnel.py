"""A tunnel through an HTTP proxy: CONNECT, and what the proxy says to it (RFC 9110, section 9.3.6)."""

import asyncio
import re
from base64 import b64encode

from headgate.config.proxies import Proxy
from headgate.upstream.failures import proxy_cut, proxy_garbled, proxy_refused
from headgate.upstream.framing import MAX_INTERIM_ANSWERS
from headgate.upstream.origin import Origin

_MOST_HEAD_BYTES = 16_384
"""Of what a proxy says before the tunnel stands: more than any says, and little to hold."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: ([^\r\n]*))?\r\n")
_END = b"\r\n\r\n"


def basic_credentials(proxy: Proxy) -> bytes:
    """The header line, or nothing."""
    if proxy.user is None:
        return b""
    pair = f"{proxy.user}:{proxy.password or ''}".encode()
    return b"proxy-authorization: Basic %b\r\n" % b64encode(pair)


def connect_head(proxy: Proxy, origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}".encode("ascii")
    return b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (target, target, basic_credentials(proxy))


def for_the_proxy(head: bytes, proxy: Proxy, origin: Origin) -> bytes:
    """The head of a request to an http:// origin as a proxy wants it: the whole address in the request line
    (RFC 9112, section 3.2.2)."""
    method, _, rest = head.partition(b" ")
    line, _, lines = rest.partition(b"\r\n")
    target = f"{origin}".encode("ascii")
    # Some proxies know the length by this spelling alone, and write a second one beside ours.
    lines = lines.replace(b"\r\ncontent-length:", b"\r\nContent-Length:", 1)
    return b"%b %b%b\r\n%b%b" % (method, target, line, basic_credentials(proxy), lines)


class Tunnel(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT. Behind it the transport is handed on."""

    def __init__(self, proxy: Proxy, origin: Origin) -> None:
        self._proxy = proxy
        self._origin = origin
        self._head = bytearray()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._interim_count = 0
        self._is_spoilt = False

    async def open(self, transport: asyncio.Transport) -> None:
        """Raises ProxyFailed; the transport is the caller's to close."""
        transport.write(connect_head(self._proxy, self._origin))
        await self._answered

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Behind the handshake with the origin. Raises ProxyFailed when the way is gone already."""
        if self._is_spoilt:
            raise proxy_cut(self._proxy, None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._answered.done():
            self._is_spoilt = True  # nothing was asked yet
            return
        self._head += data
        while (end := self._head.find(_END)) >= 0:
            match = _STATUS_LINE.match(self._head)
            if match is None:
                break
            status = int(match[1])
            if status < 200:
                self._interim_count += 1
                if self._interim_count > MAX_INTERIM_ANSWERS:
                    self._fail(proxy_garbled(self._proxy, "it sends interim answers without end"))
                    return
                del self._head[: end + len(_END)]
                continue
            if status >= 300:
                self._fail(proxy_refused(self._proxy, self._origin, status, bytes(match[2] or b"")))
            elif len(self._head) > end + len(_END):
                # Nobody has spoken to the origin yet: these bytes would be taken for its.
                self._fail(proxy_garbled(self._proxy, "it speaks before the tunnel was used"))
            else:
                self._answered.set_result(None)
            return
        if end >= 0 or not _can_begin_an_answer(self._head):
            self._fail(proxy_garbled(self._proxy, "what it says to CONNECT is no HTTP/1.1 answer"))
        elif len(self._head) > _MOST_HEAD_BYTES:
            self._fail(
                proxy_garbled(
                    self._proxy, f"its answer to CONNECT has no end within {_MOST_HEAD_BYTES} bytes"
                )
            )

    def connection_lost(self, error: Exception | None) -> None:
        self._is_spoilt = True
        self._fail(proxy_cut(self._proxy, error))

    def _fail(self, failure: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(failure)


def _can_begin_an_answer(data: bytes | bytearray) -> bool:
    return b"HTTP/1.".startswith(data[:7])
