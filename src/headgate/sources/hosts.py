"""Which account serves the host that a client called, while `sources.credentials_dir` is set."""

import re
from collections.abc import Mapping

from headgate.errors import NoAccountAvailable, UnknownHost
from headgate.sources.domain_files import SUFFIX, without_port
from headgate.wire.headers import Headers

_MOST_REMEMBERED = 4096
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


class Hosts:
    """Built anew when the folder changes. `accounts` by pattern: `example.com`, `*.example.com`, `*`; None
    for a file whose account cannot be used."""

    def __init__(self, accounts: Mapping[str, int | None]) -> None:
        self._exact = {host: account for host, account in accounts.items() if "*" not in host}
        wild = [(host[1:], account) for host, account in accounts.items() if host.startswith("*.")]
        self._wild = sorted(wild, key=lambda one: -len(one[0]))
        """Suffixes with their dot, the longest first: the nearest pattern counts."""
        self._any = {"*": accounts["*"]} if "*" in accounts else {}
        self._remembered: dict[bytes, int] = {}

    def account_of(self, headers: Headers) -> int:
        """The id of the account. Raises UnknownHost and NoAccountAvailable."""
        host = next((value for name, value in headers if name == b"host"), b"")
        known = self._remembered.get(host)
        return self._find(host) if known is None else known

    def _find(self, sent: bytes) -> int:
        host = host_of(sent)
        pattern, account = self._match(host)
        file = f"{pattern or host}{SUFFIX}"
        if pattern is None:
            if not _NAME.fullmatch(host):
                raise UnknownHost("The Host of this request is no name that a file could be for.")
            raise UnknownHost(
                f"No account is set up for the host {host}: there is no file {file}.",
                hint=f"Put {file} into the folder that `sources.credentials_dir` names, or call a host that "
                "has one.",
            )
        if account is None:
            raise NoAccountAvailable(
                f"The account of the host {host} cannot be used: see its file {file}.",
                hint="`headgate status` says what is wrong with it.",
            )
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[sent] = account
        return account

    def _match(self, host: str) -> tuple[str | None, int | None]:
        if host in self._exact:
            return host, self._exact[host]
        for suffix, account in self._wild:
            if host.endswith(suffix) and len(host) > len(suffix):
                return "*" + suffix, account
        return ("*", self._any["*"]) if self._any and host else (None, None)


def host_of(sent: bytes) -> str:
    """As files are named: in lower case, without port and final dot."""
    return without_port(sent.decode("latin-1").strip().lower()).removesuffix(".")
