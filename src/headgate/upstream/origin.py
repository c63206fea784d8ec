"""Where a request goes: scheme, host and port."""

from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from headgate.errors import SettingsError

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Immutable and the key of the connection pools: a tuple hashes at C speed."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> "tuple[Origin, str]":
        """An address of the settings as origin and base path (no slash at its end, "" for none).

        Raises SettingsError. The message leaves the address out: it may carry a password.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:  # its words repeat what they stumbled over
            raise SettingsError("Invalid base URL: its host or port cannot be read") from None
        _refuse_what_is_no_base(parts)
        host = _ascii_host(parts.hostname or "")
        return cls(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme]), parts.path.rstrip("/")

    @property
    def authority(self) -> str:
        """The value of `Host`: the port only where it is not the scheme's own (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def _refuse_what_is_no_base(parts: SplitResult) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise SettingsError("Invalid base URL: it starts with neither http:// nor https://")
    if not parts.hostname:
        raise SettingsError("Invalid base URL: it names no host")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            "Invalid base URL: it carries a user name or password",
            hint="Put the credential into the account; the address is scheme, host and path only.",
        )
    if parts.query or parts.fragment:
        raise SettingsError("Invalid base URL: it carries a query or a fragment")


def _ascii_host(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise SettingsError("Invalid base URL: its host is no host name") from None
