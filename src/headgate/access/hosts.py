"""The hosts that the owner has given accounts of their own, and the client keys that open one of them each.

A host is what a client calls the gateway by (`Host`). Which account serves it is `sources/hosts.py`'s.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headgate.access.client_keys import ClientKey
from headgate.errors import UnknownHost
from headgate.wire.headers import Headers

SUFFIX = ".credentials.json"
"""Behind the host in the name of its file."""

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


def without_port(host: str) -> str:
    """`example.com:3000` and `example.com` are one; an IPv6 address has colons of its own."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and ":" not in name and port.isdigit() else host


def host_in(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"host"), b"")


def host_of(sent: bytes) -> str:
    """As files are named: in lower case, without port and final dot."""
    return without_port(sent.decode("latin-1").strip().lower()).removesuffix(".")


class Patterns:
    """`example.com`, `*.example.com`, `*`: the nearest one counts."""

    def __init__(self, patterns: Iterable[str]) -> None:
        known = set(patterns)
        self._exact = {one for one in known if "*" not in one}
        self._wild = sorted((one[1:] for one in known if one.startswith("*.")), key=lambda one: -len(one))
        """Suffixes with their dot, the longest first."""
        self._has_any = "*" in known

    def nearest(self, host: str) -> str | None:
        if host in self._exact:
            return host
        for suffix in self._wild:
            if host.endswith(suffix) and len(host) > len(suffix):
                return "*" + suffix
        return "*" if self._has_any and host else None


def unknown_host(host: str) -> UnknownHost:
    if not _NAME.fullmatch(host):
        return UnknownHost("The Host of this request is no name that a file could be for.")
    file = host + SUFFIX
    return UnknownHost(
        f"No account is set up for the host {host}: there is no file {file}.",
        hint=f"Put {file} into the folder that `sources.credentials_dir` names, or call a host that has one.",
    )


@dataclass(frozen=True, slots=True)
class Door:
    """What a client that calls one host meets."""

    pattern: str
    """That of the file which is for this host."""
    asks_for_key: bool
    """The file holds a client key."""

    @property
    def is_named_in_full(self) -> bool:
        """Under a pattern with a star a stranger may have a name of his own: `*.dyndns.example`."""
        return "*" not in self.pattern


class Doors:
    """All hosts with a file. Built anew when the folder changes."""

    def __init__(self, accounts: Mapping[str, str | None], keys: Iterable[ClientKey] = ()) -> None:
        """`accounts`: pattern -> name of the account; `keys`: each with the patterns that it opens."""
        self.keys = tuple(keys)
        asking = {pattern for key in self.keys for pattern in key.hosts or ()}
        self._guarded = {accounts.get(pattern) for pattern in asking} - {None}
        known = {*accounts, *asking}
        self._patterns = Patterns(known)
        self._doors = {pattern: Door(pattern, pattern in asking) for pattern in known}

    def of(self, headers: Headers) -> Door | None:
        """None: no file is for the host that this request calls."""
        pattern = self._patterns.nearest(host_of(host_in(headers)))
        return None if pattern is None else self._doors[pattern]

    def guards(self, account: str) -> bool:
        """Whether the account serves a host that asks for a key."""
        return account in self._guarded
