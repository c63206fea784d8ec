"""Which account serves the host that a client called, while `sources.credentials_dir` is set."""

from collections.abc import Mapping

from headgate.access.hosts import SUFFIX, Patterns, host_in, host_of, unknown_host
from headgate.errors import NoAccountAvailable
from headgate.wire.headers import Headers

_MOST_REMEMBERED = 4096


class Hosts:
    """Built anew when the folder changes. `accounts` by pattern: `example.com`, `*.example.com`, `*`; None
    for a file whose account cannot be used."""

    def __init__(self, accounts: Mapping[str, int | None]) -> None:
        self._accounts = accounts
        self._patterns = Patterns(accounts)
        self._remembered: dict[bytes, int] = {}

    def account_of(self, headers: Headers) -> int:
        """The id of the account. Raises UnknownHost and NoAccountAvailable."""
        host = host_in(headers)
        known = self._remembered.get(host)
        return self._find(host) if known is None else known

    def _find(self, sent: bytes) -> int:
        host = host_of(sent)
        pattern = self._patterns.nearest(host)
        if pattern is None:
            raise unknown_host(host)
        account = self._accounts[pattern]
        if account is None:
            raise NoAccountAvailable(
                f"The account of the host {host} cannot be used: see its file {pattern}{SUFFIX}.",
                hint="`headgate status` says what is wrong with it.",
            )
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[sent] = account
        return account
