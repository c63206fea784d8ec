"""The address of an outbound proxy, as settings, commands and accounts write it.

It may hold a password, so no message repeats it; `str` gives it without credentials.
"""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

DIRECT = "direct"
"""Written in place of an address: no proxy, whatever is set more generally."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_OTHER_SCHEMES = {"socks": "socks4"}
"""As curl reads it; desktops put it into ALL_PROXY."""
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_MOST_BYTES = 255
"""Of a user name and of a password in SOCKS5 (RFC 1929)."""

_WANTED = "an address such as http://proxy.example.com:3128 or socks5h://127.0.0.1:1080, or the word direct"


class Proxy(NamedTuple):
    """Immutable and part of the key of the connection pools: a tuple hashes at C speed."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def where(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.where}"

    def __repr__(self) -> str:
        return f"Proxy({self})"


def read_proxy(text: str) -> Proxy | None:
    """None for `direct`. Raises ValueError, whose words do not repeat the address."""
    text = text.strip()
    if text.lower() == DIRECT:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its words repeat what they stumbled over
        raise ValueError(f"must be {_WANTED}: its host or port cannot be read") from None
    scheme = _OTHER_SCHEMES.get(parts.scheme, parts.scheme)
    if "://" not in text or scheme not in _DEFAULT_PORTS:
        raise ValueError(f"must be {_WANTED}; the schemes are {', '.join(_DEFAULT_PORTS)}")
    if not parts.hostname or port == 0:
        raise ValueError(f"must be {_WANTED}: it names no {'port' if parts.hostname else 'host'}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must end behind host and port: a path, query or fragment means nothing to a proxy")
    user, password = _credentials(parts, scheme)
    return Proxy(scheme, _ascii_host(parts.hostname), port or _DEFAULT_PORTS[scheme], user, password)


def shown(text: str) -> str:
    """What may be seen of it: the address without its credentials."""
    try:
        proxy = read_proxy(text)
    except ValueError:
        return "***"
    if proxy is None:
        return DIRECT
    return str(proxy) if proxy.user is None else f"{proxy.scheme}://***@{proxy.where}"


def with_scheme(text: str) -> str:
    """Variables of the environment may leave the scheme out, as for curl."""
    text = text.strip()
    return text if "://" in text or text.lower() == DIRECT else f"http://{text}"


def _credentials(parts: SplitResult, scheme: str) -> tuple[str | None, str | None]:
    if parts.username is None:
        return None, None
    try:
        user, password = (unquote_to_bytes(part or "").decode() for part in (parts.username, parts.password))
    except UnicodeDecodeError:
        raise ValueError("must hold user name and password as UTF-8 text, percent-encoded") from None
    if any(character < " " or character == "\x7f" for character in user + password):
        raise ValueError("must hold no control characters in user name and password")
    if scheme.startswith("socks"):
        _check_for_socks(user, password, scheme)
    elif ":" in user:
        raise ValueError("must hold no colon in the user name: HTTP could not tell it from the password")
    return user, password


def _check_for_socks(user: str, password: str, scheme: str) -> None:
    if scheme.startswith("socks4") and password:
        raise ValueError("must hold no password: SOCKS4 knows a user name only")
    if scheme.startswith("socks5") and not (user and password):
        raise ValueError("must hold both a user name and a password, or neither")
    if not (user + password).isascii() or max(len(user), len(password)) > _MOST_BYTES:
        raise ValueError(f"must hold ASCII credentials of at most {_MOST_BYTES} characters for SOCKS")


def _ascii_host(host: str) -> str:
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = ""
    if not _HOST.fullmatch(ascii_host):
        raise ValueError("must name a host: what it names is no host name")
    return ascii_host
