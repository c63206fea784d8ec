"""Beyond loopback only with keys on both doors: judged by the settings alone."""

import ipaddress

from headgate.config.settings import Settings
from headgate.errors import SettingsError


def refuse_to_stand_open(settings: Settings) -> None:
    """Raises SettingsError."""
    if is_loopback(settings.server.host):
        return
    missing = [
        name
        for name, is_missing in (
            ("access.api_keys", not settings.access.api_keys),
            ("admin.key", settings.admin.key is None),
        )
        if is_missing
    ]
    if missing:
        raise SettingsError(
            f"Refusing to listen on {settings.server.host} without {' and '.join(missing)}.",
            hint=f"Set {'both' if len(missing) > 1 else 'it'} in the settings file, or listen on 127.0.0.1.",
        )
    if settings.access.client_auth == "off":
        raise SettingsError(
            f"Refusing to listen on {settings.server.host} while access.client_auth is off:"
            " anybody who reaches it would spend the accounts.",
            hint="Set access.client_auth to auto or required, or listen on 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
