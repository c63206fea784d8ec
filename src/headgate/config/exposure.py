"""Beyond loopback only with keys on both doors, and a word where those keys are no more than a formality."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter

from headgate.config.fields import Listed
from headgate.config.merging import Merged
from headgate.config.settings import Settings
from headgate.errors import SettingsError

FEWEST_CHARACTERS = 16
"""Nobody is locked out for wrong keys, so a key has to be longer than what can be tried in a year."""
_A_LONG_ONE = "`openssl rand -hex 24` prints a long one"
_LIST: TypeAdapter[tuple[Any, ...]] = TypeAdapter(Annotated[tuple[Any, ...], Listed])


def refuse_to_stand_open(settings: Settings, *, has_client_key: bool = True) -> None:
    """`has_client_key`: in the settings or in the database; who does not know leaves it out. Raises
    SettingsError."""
    if is_loopback(settings.server.host):
        return
    missing = {
        "a client key": (has_client_key, "Make a client key: `headgate key create NAME`."),
        "admin.key": (
            settings.admin.key is not None,
            "Set an admin key: `headgate config set admin.key --stdin`.",
        ),
    }
    lacking = {name: mend for name, (is_there, mend) in missing.items() if not is_there}
    if lacking:
        raise SettingsError(
            f"Refusing to listen on {settings.server.host} without {' and '.join(lacking)}.",
            hint=f"{' '.join(lacking.values())} Or listen on 127.0.0.1.",
        )
    if settings.access.client_auth == "off":
        raise SettingsError(
            f"Refusing to listen on {settings.server.host} while access.client_auth is off:"
            " anybody who reaches it would spend the accounts.",
            hint="Set access.client_auth to auto or required, or listen on 127.0.0.1.",
        )


def exposed(settings: Settings, merged: Merged) -> Iterator[tuple[str, str]]:
    """What is weak about a gateway that listens wide, and what mends it. Each begins with a setting."""
    if is_loopback(host := settings.server.host):
        return
    if settings.server.tls.cert is None and not settings.server.trusted_proxies:
        yield (
            f"server.host is {host} and server.tls.cert is not set: keys and conversations travel in clear",
            "set server.tls.cert and server.tls.key, or let a reverse proxy speak HTTPS and name it in"
            " server.trusted_proxies (docs/https.md)",
        )
    if settings.admin.key is not None and is_short(settings.admin.key.get_secret_value()):
        yield (
            f"admin.key has fewer than {FEWEST_CHARACTERS} characters and can be guessed from outside",
            f"`headgate config set admin.key --stdin` takes another, {_A_LONG_ONE}",
        )
    short = sum(map(is_short, _written_keys(merged)))
    if short:
        yield (
            f"access.api_keys has {short} with fewer than {FEWEST_CHARACTERS} characters, to be guessed from"
            " outside",
            "`headgate key create NAME` makes a long one; then take the short one out",
        )


def is_short(key: str) -> bool:
    return len(key.strip()) < FEWEST_CHARACTERS


def _written_keys(merged: Merged) -> Iterator[str]:
    """The settings have digests only. What `file:` names is not read for this."""
    section = merged.values.get("access")
    written = section.get("api_keys") if isinstance(section, dict) else None
    for one in _LIST.validate_python(written):
        if not (text := str(one).strip()).startswith("file:"):
            yield text


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
