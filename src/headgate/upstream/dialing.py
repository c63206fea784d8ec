"""A connection comes about: name, address, TCP, TLS; each stage fails in words of its own.

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

from headgate.errors import UpstreamTimedOut
from headgate.upstream.deadline import NEVER
from headgate.upstream.failures import connect_failed, leads_back, unresolvable
from headgate.upstream.origin import Origin

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
        tls: ssl.SSLContext | None,
        *,
        seconds: float,
        limit_ms: int,
        setting: str,
    ) -> None:
        """Raises ConnectFailed, LoopDetected, or UpstreamTimedOut after `seconds`: what is left of the
        `limit_ms` of a `setting`."""
        stage = _Stage(f"The name {origin.host} was not resolved")
        try:
            async with asyncio.timeout(None if seconds == NEVER else seconds):
                await self._open(origin, make_protocol, tls, stage)
        except TimeoutError as error:
            if error.errno is not None:  # the kernel's own, not ours
                raise connect_failed(error, origin) from error
            words = f"{stage.missing} within {limit_ms} ms"
            raise UpstreamTimedOut(words, limit_ms=limit_ms, setting=setting) from None
        except OSError as error:
            raise connect_failed(error, origin) from error

    async def _open(
        self,
        origin: Origin,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        stage: "_Stage",
    ) -> None:
        loop, where = asyncio.get_running_loop(), f"{origin.host}:{origin.port}"
        try:
            found: Any = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except ValueError as error:  # no name at all: a label that is too long, say
            raise unresolvable(origin) from error
        stage.missing = f"There was no connection to {where}"
        if tls is None and len(found) == 1:  # a third of the cost, and there are no stages to tell apart
            transport, _ = await loop.create_connection(make_protocol, *found[0][4][:2])
            if self._is_own(transport.get_extra_info("peername"), transport.get_extra_info("sockname")):
                transport.abort()
                raise leads_back(origin)
            return
        sock = await _connect_any(in_turns(found))
        try:
            is_own_port = self._is_own(sock.getpeername(), sock.getsockname())
        except OSError as error:  # reset at once: it has no far end any more
            sock.close()
            raise ConnectionResetError from error
        if is_own_port:
            sock.close()
            raise leads_back(origin)
        # From here on the socket is the loop's, which closes it when this fails.
        if tls is None:
            await loop.create_connection(make_protocol, sock=sock)
            return
        stage.missing = f"The TLS handshake with {where} was not done"
        await loop.create_connection(make_protocol, sock=sock, ssl=tls, server_hostname=origin.host)

    def _is_own(self, peer: Address | None, local: Address | None) -> bool:
        """One that was reset at once has no names left."""
        if self._own_address is None or not peer or not local:
            return False
        return is_own(self._own_address, peer, local)


class _Stage:
    """How far it has come."""

    def __init__(self, missing: str) -> None:
        self.missing = missing


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
