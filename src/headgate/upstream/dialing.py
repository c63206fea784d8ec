"""A connection comes about: name, address, TCP, proxy, TLS; each stage fails in words of its own.

Both event loops try the addresses of a host in the same way: a family that is a black hole costs a
quarter of a second, not the whole time to connect (RFC 8305).
"""

import asyncio
import ipaddress
import socket
import ssl
from asyncio.staggered import staggered_race
from collections.abc import Callable
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from headgate.config.proxies import Proxy
from headgate.errors import ConnectFailed, ProxyFailed, UpstreamTimedOut
from headgate.upstream.deadline import NEVER
from headgate.upstream.failures import (
    connect_failed,
    leads_back,
    proxy_leads_back,
    proxy_unreachable,
)
from headgate.upstream.origin import Origin
from headgate.upstream.tunnel import Tunnel

_NEXT_ADDRESS_SECONDS = 0.25
"""RFC 8305, section 8: the head start of an address before the next one is tried as well."""

_WILDCARDS = frozenset({"0.0.0.0", "::"})

Address = tuple[Any, ...]
"""As the socket module has it: host and port first."""
_Found = tuple[int, int, int, str, Address]


class Dialer:
    def __init__(self, own_address: Address | None = None) -> None:
        """`own_address`: where this gateway listens itself; nobody is dialled there."""
        self._own_address = own_address

    async def dial(
        self,
        origin: Origin,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext],
        *,
        proxy: Proxy | None,
        seconds: float,
        limit_ms: int,
        setting: str,
    ) -> None:
        """`tls` gives the context for whatever has to be spoken to in TLS: the origin, the proxy.

        Raises ConnectFailed, ProxyFailed, ProxyWantsCredentials, LoopDetected, or UpstreamTimedOut after
        `seconds`: what is left of the `limit_ms` of a `setting`."""
        stage = _Stage(f"The name {origin.host} was not resolved")
        try:
            async with asyncio.timeout(None if seconds == NEVER else seconds):
                if proxy is None:
                    await self._open(origin, make_protocol, tls, stage)
                else:
                    await self._open_through(proxy, origin, make_protocol, tls, stage)
        except TimeoutError as error:
            if error.errno is not None:  # the kernel's own, not ours
                raise stage.failed(error, origin) from error
            words = f"{stage.missing} within {limit_ms} ms"
            raise UpstreamTimedOut(words, limit_ms=limit_ms, setting=setting) from None
        except OSError as error:
            raise stage.failed(error, origin) from error

    async def _open(
        self,
        origin: Origin,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext],
        stage: "_Stage",
    ) -> None:
        loop = asyncio.get_running_loop()
        found = await _addresses(origin.host, origin.port)
        stage.missing = f"There was no connection to {origin.host}:{origin.port}"
        # A third of the cost, and there are no stages to tell apart.
        if origin.scheme == "http" and len(found) == 1:
            transport, _ = await loop.create_connection(make_protocol, *found[0][4][:2])
            if self._is_own(transport.get_extra_info("peername"), transport.get_extra_info("sockname")):
                transport.abort()
                raise leads_back(origin)
            return
        sock = await self._socket_to(found)
        if sock is None:
            raise leads_back(origin)
        await _speak_to(origin, make_protocol, tls, stage, sock)

    # ---- through a proxy -----------------------------------------------------------------------------

    async def _open_through(
        self,
        proxy: Proxy,
        origin: Origin,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext],
        stage: "_Stage",
    ) -> None:
        if proxy.is_socks:
            from headgate.upstream.socks import open_way  # few need it, and every start would load it

            sock = await open_way(proxy, origin, lambda: self._socket_to_proxy(proxy, origin, stage))
            await _speak_to(origin, make_protocol, tls, stage, sock)
            return
        sock = await self._socket_to_proxy(proxy, origin, stage)
        stage.proxy, stage.missing = proxy, f"The TLS handshake with the proxy {proxy} was not done"
        secured: dict[str, Any] = {}
        if proxy.scheme == "https":
            secured = {"ssl": tls(), "server_hostname": proxy.host}
        loop = asyncio.get_running_loop()
        if origin.scheme == "http":  # the request itself is the proxy's to pass on
            await loop.create_connection(make_protocol, sock=sock, **secured)
            return
        tunnel = Tunnel(proxy, origin)
        transport, _ = await loop.create_connection(lambda: tunnel, sock=sock, **secured)
        try:
            stage.missing = f"The proxy {proxy} did not answer CONNECT {origin.host}:{origin.port}"
            await tunnel.open(transport)
            stage.proxy, stage.missing = None, _no_handshake(origin, f" through the proxy {proxy}")
            inside = await loop.start_tls(transport, tunnel, tls(), server_hostname=origin.host)
            assert inside is not None, "it is only None for a transport that is closed"
            tunnel.hand_over(inside, make_protocol())
        except BaseException:
            transport.abort()
            raise

    async def _socket_to_proxy(self, proxy: Proxy, origin: Origin, stage: "_Stage") -> socket.socket:
        stage.proxy, stage.missing = proxy, f"The name of the proxy {proxy} was not resolved"
        found = await _addresses(proxy.host, proxy.port)
        stage.missing = f"There was no connection to the proxy {proxy}"
        sock = await self._socket_to(found)
        if sock is None:
            raise proxy_leads_back(proxy)
        stage.proxy, stage.missing = None, f"The proxy {proxy} made no way to {origin.host}:{origin.port}"
        return sock

    async def _socket_to(self, found: list[_Found]) -> socket.socket | None:
        """None: it is our own port."""
        sock = await _connect_any(in_turns(found))
        try:
            is_own_port = self._is_own(sock.getpeername(), sock.getsockname())
        except OSError as error:  # reset at once: it has no far end any more
            sock.close()
            raise ConnectionResetError from error
        if is_own_port:
            sock.close()
            return None
        return sock

    def _is_own(self, peer: Address | None, local: Address | None) -> bool:
        """One that was reset at once has no names left."""
        if self._own_address is None or not peer or not local:
            return False
        return is_own(self._own_address, peer, local)


class _Stage:
    """How far it has come."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        self.proxy: Proxy | None = None
        """While it is the proxy that is spoken to."""

    def failed(self, error: OSError, origin: Origin) -> ConnectFailed | ProxyFailed:
        return connect_failed(error, origin) if self.proxy is None else proxy_unreachable(error, self.proxy)


def in_turns(found: list[_Found]) -> list[_Found]:
    """The families alternate, the resolver's first choice first (RFC 8305, section 4)."""
    families: dict[int, list[_Found]] = {}
    for entry in found:
        families.setdefault(entry[0], []).append(entry)
    return [entry for entry in chain(*zip_longest(*families.values())) if entry is not None]


def is_own(own: Address, peer: Address, local: Address) -> bool:
    """Whether a connection from `local` to `peer` ends at the socket that listens at `own`."""
    if peer[1] != own[1]:
        return False
    if own[0] not in _WILDCARDS:
        return bool(peer[0] == own[0])
    # It listens at every address of this machine, and only to one of those a connection starts from it.
    return bool(peer[0] == local[0]) or ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback


async def _addresses(host: str, port: int) -> list[_Found]:
    found: Any
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # no name at all: a label that is too long, say
        raise socket.gaierror(socket.EAI_NONAME, "no host name") from error
    return list(found)


async def _speak_to(
    origin: Origin,
    make_protocol: Callable[[], asyncio.Protocol],
    tls: Callable[[], ssl.SSLContext],
    stage: _Stage,
    sock: socket.socket,
) -> None:
    """From here on the socket is the loop's, which closes it when this fails."""
    loop = asyncio.get_running_loop()
    if origin.scheme == "http":
        await loop.create_connection(make_protocol, sock=sock)
        return
    stage.missing = _no_handshake(origin)
    await loop.create_connection(make_protocol, sock=sock, ssl=tls(), server_hostname=origin.host)


def _no_handshake(origin: Origin, way: str = "") -> str:
    return f"The TLS handshake with {origin.host}:{origin.port}{way} was not done"


async def _connect_any(addresses: list[_Found]) -> socket.socket:
    if len(addresses) == 1:
        return await _connect(addresses[0])
    opened: list[socket.socket] = []

    async def attempt(entry: _Found) -> None:
        opened.append(await _connect(entry))

    try:
        attempts = [partial(attempt, entry) for entry in addresses]
        _, winner, errors = await staggered_race(attempts, _NEXT_ADDRESS_SECONDS)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    if winner is None:
        raise next(error for error in reversed(errors) if error is not None)
    return opened[0]


async def _connect(entry: _Found) -> socket.socket:
    family, kind, protocol, _, address = entry
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
