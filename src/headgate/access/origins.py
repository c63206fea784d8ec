"""Web pages that reach for this machine: told by the names they call it by and the origin they come from.

A page of any site may send requests to 127.0.0.1 (cross-site requests), and a site may point its own name
there (DNS rebinding). Where no key is asked for, these are kept out; programs send no `Origin`.
"""

import ipaddress
import socket
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

from headgate.access.hosts import Door
from headgate.errors import ForbiddenOrigin
from headgate.wire.headers import Headers, find

_MEND = "Let programs send a client key: its owner lists one under `access.api_keys`."
_MEND_FOR_PAGES = f"{_MEND} Pages that may call are listed by their origin under `server.cors_origins`."
_MEND_FOR_HOSTS = (
    "A file for *.DOMAIN names no host in full, and a stranger may have one of them: put a client_api_key "
    "into it, or give the host a file under its own name."
)
_OWN_SITES = frozenset({b"same-origin", b"none"})
"""What a browser says of a page of ours, and of what was typed. `same-site` is not among it: every other port
of this machine is that."""


def refuse_foreign_pages(headers: Headers, *, is_listed: bool = False, door: Door | None = None) -> None:
    """Raises ForbiddenOrigin for a request that a page of another origin sent, or under a name that could be
    anybody's. Without a Host, as old programs are, none of this can be a browser.

    `is_listed`: the owner let pages of that origin in (`pages.py`). `door`: the owner has a file for the
    host; only a file of its very name tells that no stranger has it."""
    host = find(headers, b"host")
    if host is None:
        return
    shown = host.decode("latin-1")
    is_named = door is not None and door.is_named_in_full
    if not is_named and not is_name_of_ours(host_name(shown)):
        raise ForbiddenOrigin(
            f"No client key is needed here, so that only names of this machine are answered, not {shown!r}.",
            hint=f"Use its address or localhost. {_MEND}" if door is None else _MEND_FOR_HOSTS,
        )
    if not is_listed and foreign_page(headers, shown) is not None:
        raise ForbiddenOrigin(
            "No client key is needed here, so that web pages of other origins are not answered.",
            hint=_MEND_FOR_PAGES,
        )


def foreign_page(headers: Iterable[tuple[bytes, bytes]], host: str) -> str | None:
    """What tells that a page of another origin than `host` sent this; None: nothing does.

    Names in lower case. A line that is there twice counts twice: one that is foreign is enough.
    """
    for name, value in headers:
        if name == b"origin":
            if host_of(value.decode("latin-1")) != host.lower():
                return f"Origin: {value.decode('latin-1')}"
        elif name == b"sec-fetch-site" and value.strip().lower() not in _OWN_SITES:
            return f"Sec-Fetch-Site: {value.decode('latin-1')}"
    return None


def is_name_of_ours(name: str) -> bool:
    """An address, a name without dots, or what this machine calls itself: none of them can be registered
    and pointed here by a stranger."""
    if not name or "." not in name or name.endswith(".localhost"):
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in _own_names()
    return True


@cache
def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local", f"{name.partition('.')[0]}.local", "host.docker.internal"})


def host_name(host: str) -> str:
    """The name in a Host header: without port, without the brackets of an IPv6 address."""
    if "@" in host:
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def host_of(origin: str) -> str:
    """Host and port of an Origin header as `Host` would have them; empty when it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
