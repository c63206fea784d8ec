"""Beyond loopback only with keys on both doors."""

import ipaddress

from headgate.config.settings import Settings
from headgate.errors import SettingsError


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


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
