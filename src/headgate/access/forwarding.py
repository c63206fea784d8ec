"""Who calls through a reverse proxy, and by which scheme: the word of proxies that the owner trusts counts
(`server.trusted_proxies`), and nobody else's.

Each proxy puts the address that it was called from behind what it was sent, so the list is read from its end:
the first address that is no trusted proxy's is the caller's. What stands before it is hearsay.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headgate.wire.headers import Headers

_MOST_HOPS = 32
_MOST_KNOWN = 4_096
"""Addresses of which it is known whether they are trusted."""

_SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Where a request comes from, once somebody is trusted to say so."""

    address: str
    """The connection's own where no other is told."""
    scheme: str | None = None
    """As the caller used it; None: not told."""
    is_by_proxy: bool = False
    """It came over the connection of a trusted proxy."""


class TrustedProxies:
    """The setting, made ready. Built anew when it changes."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(entry, strict=False) for entry in entries]
        self._known: dict[str, bool] = {}

    def holds(self, address: str) -> bool:
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            parsed = _parsed(address)
            known = parsed is not None and any(parsed in network for network in self._networks)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[address] = known
        return known

    def read(self, peer: str, headers: Headers) -> Forwarded | None:
        """None while nobody is trusted."""
        if not self._networks:
            return None
        if not self.holds(peer):
            return Forwarded(peer)
        listed = self._told_by_list(peer, _values(headers, b"x-forwarded-for"))
        standard = self._told_by_standard(peer, _values(headers, b"forwarded"))
        if listed is None:
            return standard or Forwarded(peer, _scheme_of(headers), is_by_proxy=True)
        # A proxy writes one of the two, and may hand on the other as a stranger sent it.
        address = listed if standard is None or standard.address == listed else peer
        return Forwarded(address, _scheme_of(headers), is_by_proxy=True)

    def _told_by_list(self, peer: str, value: str) -> str | None:
        return self._caller(peer, value.rsplit(",", _MOST_HOPS))[0] if value else None

    def _told_by_standard(self, peer: str, value: str) -> Forwarded | None:
        """RFC 7239. Split at each comma, quoted or not: a stranger's quote must not swallow what follows."""
        if not value:
            return None
        hops = [_pairs(element) for element in value.rsplit(",", _MOST_HOPS)]
        address, number = self._caller(peer, [hop.get("for", "") for hop in hops])
        scheme = hops[number].get("proto", "").lower() if number < len(hops) else ""
        return Forwarded(address, scheme if scheme in _SCHEMES else None, is_by_proxy=True)

    def _caller(self, peer: str, hops: Sequence[str]) -> tuple[str, int]:
        """The address, and the number of its hop; beyond the last where none tells."""
        known, number = peer, len(hops)
        while number:
            parsed = _parsed(hops[number - 1])
            if parsed is None:
                break
            known, number = str(parsed), number - 1
            if not self.holds(known):
                break
        return known, number


def _values(headers: Headers, name: bytes) -> str:
    return ",".join([value.decode("latin-1") for field, value in headers if field == name])


def _scheme_of(headers: Headers) -> str | None:
    scheme = _values(headers, b"x-forwarded-proto").partition(",")[0].strip().lower()
    return scheme if scheme in _SCHEMES else None


def _pairs(element: str) -> dict[str, str]:
    split = (pair.partition("=") for pair in element.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in split}


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as proxies write it: with a port or without, IPv6 in brackets or not."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    if "%" in text:  # a zone is any text
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
