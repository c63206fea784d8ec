"""Where an attempt goes and the head it sends: the client's headers without what is ours.

The client's own headers travel as sent, in order, but for credentials, cookies, hop-by-hop fields and
the gateway's helpers; the account's credential and the provider's required headers join them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.access.callers import CREDENTIAL_HEADERS, OwnCredential, without_key
from headgate.pool.accounts import Account
from headgate.pool.living import LivingAccount
from headgate.providers.provider import Provider
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.upstream.origin import Origin
from headgate.wire.headers import HOP_BY_HOP, Headers, forwardable

_NOT_SENT = (
    HOP_BY_HOP
    | CREDENTIAL_HEADERS
    | {
        b"host",
        b"cookie",
        b"expect",
        b"content-length",
        b"x-headgate-account",
        b"x-headgate-session",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """One account's address and the header lines that are the same for all its requests."""

    origin: Origin
    base_path: bytes
    own_lines: bytes


class Targets:
    """The targets of all accounts, built when first needed and again when an account changes."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        """`base_urls`: the owner's addresses by provider name, where they are not the provider's own."""
        self._base_urls = base_urls
        self._known: dict[int, tuple[Account, Target]] = {}

    def of(self, living: LivingAccount) -> Target:
        """Raises `SettingsError` for an address that is none."""
        account = living.account
        known = self._known.get(account.id)
        if known is not None and known[0] is account:
            return known[1]
        base_url = account.base_url or self._base_urls.get(account.provider) or living.base_url
        target = _target(base_url, *living.credential_header)
        self._known[account.id] = (account, target)
        return target

    def of_own(self, credential: OwnCredential, provider: Provider) -> Target:
        """The caller's own credential, in the header where the provider expects that kind."""
        base_url = self._base_urls.get(provider.name) or provider.default_base_url
        if credential.is_bearer:
            return _target(base_url, b"authorization", b"Bearer " + credential.secret)
        return _target(base_url, *provider.credential_header(credential.secret.decode("latin-1")))


def _target(base_url: str, name: bytes, value: bytes) -> Target:
    origin, base_path = Origin.parse(base_url)
    lines = b"host: %b\r\n%b: %b\r\n" % (origin.authority.encode(), name, value)
    return Target(origin, base_path.encode(), lines)


def request_lines(exchange: Exchange, provider: Provider) -> bytes:
    """The client's part of the head: the same for every attempt of one request."""
    sent = exchange.head.headers
    kept: Headers = forwardable(sent, _NOT_SENT)
    kept += provider.required_headers(sent)
    lines = [b"%b: %b\r\n" % header for header in kept]
    body = exchange.body
    if not isinstance(body, BodyBuffer) and body.is_chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    elif (length := _length_of(exchange)) is not None:
        lines.append(b"content-length: %d\r\n" % length)
    lines.append(b"\r\n")
    return b"".join(lines)


def _length_of(exchange: Exchange) -> int | None:
    """None for a request that has no body at all, such as a GET."""
    body = exchange.body
    if isinstance(body, BodyBuffer) and (
        body.received or exchange.head.method in (b"POST", b"PUT", b"PATCH")
    ):
        return body.received
    for name, value in exchange.head.headers:
        if name == b"content-length":
            return int(value)
    return None


def head_for(target: Target, exchange: Exchange, lines: bytes) -> bytes:
    """Request line, our lines, the client's lines."""
    head = exchange.head
    path = exchange.endpoint.upstream_path or head.path
    query = without_key(head.query)
    target_path = target.base_path + path + (b"?" + query if query else b"")
    return b"%b %b HTTP/1.1\r\n%b%b" % (head.method, target_path, target.own_lines, lines)
