"""A way through a SOCKS proxy: python-socks speaks it, over a socket of ours.

`socks5h` and `socks4a` leave the name of the origin to the proxy; `socks5` and `socks4` resolve it here.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy as Speaker

from headgate.config.proxies import Proxy
from headgate.errors import UpstreamError
from headgate.upstream.failures import (
    proxy_cut,
    proxy_garbled,
    socks_refused,
    unresolvable,
    wants_credentials,
)
from headgate.upstream.origin import Origin

_TYPES = {"socks4": ProxyType.SOCKS4, "socks5": ProxyType.SOCKS5}
_NO_LIMIT = 86_400.0
"""Seconds; who dials has a limit of his own around it."""


class _Dialled:
    """How python-socks reaches the proxy: as if by another proxy before it, whose socket is ours."""

    def __init__(self, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        self._dial = dial

    async def connect(self, **_: Any) -> socket.socket:
        return await self._dial()


async def open_way(
    proxy: Proxy, origin: Origin, dial: Callable[[], Awaitable[socket.socket]]
) -> socket.socket:
    """A socket that is connected with the origin. `dial` connects one with the proxy.

    Raises ProxyFailed, ConnectFailed for a name that is not to be resolved here, and what `dial` raises.
    """
    resolves_there = proxy.scheme in ("socks5h", "socks4a")
    host = origin.host if resolves_there else await _address_of(origin, is_old=proxy.scheme == "socks4")
    sock: socket.socket | None = None

    async def dial_once() -> socket.socket:
        nonlocal sock
        sock = await dial()
        return sock

    speaker = Speaker(
        _TYPES[proxy.scheme[:6]],
        proxy.host,
        proxy.port,
        username=proxy.user or None,
        password=proxy.password or None,
        rdns=resolves_there,
        forward=_Dialled(dial_once),  # type: ignore[arg-type]
    )
    try:
        return await speaker.connect(host, origin.port, timeout=_NO_LIMIT)
    except ProxyError as error:
        raise _failure(proxy, origin, error) from error
    except OSError as error:
        if sock is None:
            raise
        raise proxy_cut(proxy, error) from error
    except (ValueError, AssertionError) as error:  # a name that SOCKS cannot carry; a method never offered
        raise proxy_garbled(proxy, f"{origin.host} cannot be asked for by SOCKS") from error


async def _address_of(origin: Origin, *, is_old: bool) -> str:
    """The origin's first address; SOCKS4 knows those of IPv4 alone."""
    family = socket.AF_INET if is_old else socket.AF_UNSPEC
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, family=family, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise unresolvable(origin) from error
    return str(found[0][4][0])


def _failure(proxy: Proxy, origin: Origin, error: ProxyError) -> UpstreamError:
    words = str(error)
    if error.error_code is not None:
        return socks_refused(proxy, origin, words)
    if "acceptable authentication" in words or "authentication failure" in words:
        return wants_credentials(proxy)
    if "closed" in words:
        return proxy_cut(proxy, None)
    return proxy_garbled(proxy, "what it says is no SOCKS answer")
