"""Where an attempt goes, and the head it sends there."""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.access.callers import OwnCredential
from headgate.config.accounts import ProviderSettings
from headgate.config.proxies import Proxy
from headgate.pool.accounts import Account
from headgate.pool.living import LivingAccount
from headgate.providers.provider import Provider
from headgate.relay.body import BodyBuffer
from headgate.relay.exchange import Exchange
from headgate.upstream.origin import Origin
from headgate.upstream.proxies import Proxies

_METHODS_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
"""An empty body of these is announced as such (RFC 9110, section 8.6)."""


@dataclass(frozen=True, slots=True)
class Target:
    """One account's address, the proxy on the way, and the header lines that all its requests share."""

    origin: Origin
    proxy: Proxy | None
    base_path: bytes
    own_lines: bytes


class Targets:
    """The targets of all accounts, built when first needed and again when an account changes."""

    def __init__(self, providers: Mapping[str, ProviderSettings], proxies: Proxies) -> None:
        """`providers`: what the owner changed, by name; an address among it is not the provider's own."""
        self._proxies = proxies
        self._base_urls = {name: one.base_url for name, one in providers.items() if one.base_url}
        self._known: dict[int, tuple[Account, Target]] = {}

    def of(self, living: LivingAccount) -> Target:
        """Raises `SettingsError` for an address that is none, of provider or proxy."""
        account = living.account
        known = self._known.get(account.id)
        if known is not None and known[0] is account:
            return known[1]
        base_url = account.base_url or self._base_urls.get(account.provider) or living.base_url
        target = self._target(base_url, *living.credential_header, proxy=account.proxy)
        self._known[account.id] = (account, target)
        return target

    def of_own(self, credential: OwnCredential, provider: Provider) -> Target:
        """The caller's own credential, in the header where the provider expects that kind."""
        base_url = self._base_urls.get(provider.name) or provider.default_base_url
        if credential.is_bearer:
            return self._target(base_url, b"authorization", b"Bearer " + credential.secret)
        return self._target(base_url, *provider.credential_header(credential.secret.decode("latin-1")))

    def _target(self, base_url: str, name: bytes, value: bytes, *, proxy: str | None = None) -> Target:
        origin, base_path = Origin.parse(base_url)
        lines = b"host: %b\r\n%b: %b\r\n" % (origin.authority.encode(), name, value)
        return Target(origin, self._proxies.of(origin, proxy), base_path.encode(), lines)


def _framing(exchange: Exchange) -> bytes:
    """The lines that say where the body ends, and the blank line."""
    body, head = exchange.body, exchange.head
    if not isinstance(body, BodyBuffer):
        if body.is_chunked:
            return b"transfer-encoding: chunked\r\n\r\n"
        return b"content-length: %d\r\n\r\n" % (head.content_length or 0)
    if body.received or head.content_length is not None or head.method in _METHODS_WITH_BODY:
        return b"content-length: %d\r\n\r\n" % body.received
    return b"\r\n"


def head_for(target: Target, exchange: Exchange, lines: bytes) -> bytes:
    """Request line, the account's lines, the client's lines (`ClientHead.lines_for`), framing."""
    head = exchange.head
    return b"".join(
        (
            head.method,
            b" ",
            target.base_path,
            head.target,
            b" HTTP/1.1\r\n",
            target.own_lines,
            lines,
            _framing(exchange),
        )
    )
