"""Which proxy leads to an origin: the account's own, the general one, or the environment's."""

import ipaddress
from collections.abc import Iterable

from headgate.config.exposure import is_loopback
from headgate.config.proxies import Proxy, read_proxy
from headgate.config.settings import UpstreamSettings
from headgate.errors import SettingsError
from headgate.upstream.origin import Origin


class Proxies:
    """Built from settings, anew when they change."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._general = None if settings.proxy is None else settings.proxy.get_secret_value()
        by_scheme = {"http": settings.http_proxy, "https": settings.https_proxy}
        self._usual = {
            scheme: chosen.get_secret_value()
            for scheme, value in by_scheme.items()
            if (chosen := value or settings.all_proxy) is not None
        }
        self._exempt = Exempt(settings.no_proxy)

    def of(self, origin: Origin, own: str | None = None) -> Proxy | None:
        """None: straight there. `own` is what the account itself says. Raises SettingsError."""
        text = own or self._general
        if text is None:
            if is_on_this_machine(origin.host) or self._exempt.covers(origin):
                return None
            text = self._usual.get(origin.scheme)
        if text is None:
            return None
        try:
            return read_proxy(text)
        except ValueError as error:
            raise SettingsError(f"Invalid proxy: it {error}") from None


class Exempt:
    """NO_PROXY, as curl reads it: names with all below them, addresses, networks (CIDR), `*`; each with a
    port where only that one is meant."""

    def __init__(self, items: Iterable[str]) -> None:
        words = [word.lower() for item in items for word in item.split()]
        self._is_all = "*" in words
        self._networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int | None]] = []
        self._names: list[tuple[str, int | None]] = []
        for word in words:
            host, port = _split_port(word)
            try:
                self._networks.append((ipaddress.ip_network(host, strict=False), port))
            except ValueError:
                if name := host.removeprefix("*").strip("."):
                    self._names.append((name, port))

    def covers(self, origin: Origin) -> bool:
        if self._is_all:
            return True
        try:
            address = ipaddress.ip_address(origin.host)
        except ValueError:
            host = origin.host.lower().rstrip(".")
            return any(
                port in (None, origin.port) and (host == name or host.endswith("." + name))
                for name, port in self._names
            )
        return any(port in (None, origin.port) and address in network for network, port in self._networks)


def is_on_this_machine(host: str) -> bool:
    name = host.lower().rstrip(".")
    return is_loopback(name) or name.endswith(".localhost")


def _split_port(word: str) -> tuple[str, int | None]:
    """`host:443`, `[::1]:443`, `[::1]`; a bare IPv6 address has no port."""
    if word.startswith("["):
        host, _, rest = word[1:].partition("]")
        port = rest.removeprefix(":")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    else:
        return word, None
    return (host, int(port)) if port.isdigit() else (host, None)
