"""Signing in on another device: a code to type there, and this device asking until it was typed.

Source: RFC 8628, sections 3.1 to 3.5. Who asks again before the interval is over is told `slow_down`,
and waits five seconds longer from then on.
"""

import math
import secrets
from dataclasses import dataclass
from typing import Any

from headgate.testing.provider.grants import DEFAULT_SCOPE, Grants, OAuthError

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER_BY_SECONDS = 5.0
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come out (RFC 8628, section 6.1)."""


@dataclass(slots=True)
class _Device:
    user_code: str
    client_id: str
    scope: str
    expires_at: float
    interval: float
    asked_at: float = -math.inf
    is_approved: bool | None = None
    login: str = ""


class Devices:
    """The device codes that wait for their person."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._by_code: dict[str, _Device] = {}

    def start(self, parameters: dict[str, str], origin: str, now: float) -> dict[str, Any]:
        script = self._grants.script
        code = secrets.token_urlsafe(32)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        device = _Device(
            f"{letters[:4]}-{letters[4:]}",
            parameters["client_id"],
            parameters.get("scope", DEFAULT_SCOPE),
            now + script.device_lifetime_seconds,
            script.device_interval_seconds,
        )
        self._by_code[code] = device
        uri = f"{origin}/device"
        return {
            "device_code": code,
            "user_code": device.user_code,
            "verification_uri": uri,
            "verification_uri_complete": f"{uri}?user_code={device.user_code}",
            "expires_in": _number(script.device_lifetime_seconds),
            "interval": _number(device.interval),
        }

    def decide(self, user_code: str, *, approved: bool, login: str | None) -> None:
        """Raises ValueError for a code that nobody was shown."""
        device = next((one for one in self._by_code.values() if one.user_code == user_code), None)
        if device is None:
            raise ValueError(f"No device shows the code {user_code}.")
        device.is_approved = approved
        device.login = login or self._grants.script.login

    def poll(self, parameters: dict[str, str], now: float) -> dict[str, Any]:
        """Tokens once the person has said yes. Raises OAuthError until then."""
        code = parameters.get("device_code", "")
        device = self._by_code.get(code)
        if device is None or device.client_id != parameters["client_id"]:
            raise OAuthError("invalid_grant", "Invalid 'device_code' in request.")
        if now >= device.expires_at:
            raise OAuthError("expired_token", "The device code has expired")
        is_early = now < device.asked_at + device.interval
        device.asked_at = now
        if is_early:
            device.interval += _SLOWER_BY_SECONDS
            raise OAuthError("slow_down", "Asked again before the interval was over")
        if device.is_approved is None:
            raise OAuthError("authorization_pending", "The person has not decided yet")
        del self._by_code[code]
        if not device.is_approved:
            raise OAuthError("access_denied", "The person did not allow the access")
        self._grants.page(device.login).device_grants += 1
        return self._grants.sign_in(device.login, now, client_id=device.client_id, scope=device.scope)


def _number(seconds: float) -> float:
    """Whole seconds as JSON's whole numbers: the standard has no others."""
    return int(seconds) if seconds == int(seconds) else seconds
