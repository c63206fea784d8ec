"""Who has signed in: grants with their access and refresh tokens, rotation, revocation, and the counts.

Source: RFC 6749, sections 5.1, 5.2, 6 and 10.4; RFC 9700, section 4.14.2 (rotation, and what a refresh token
that comes a second time tells). The words of the refusals are those that users of the real provider report.
"""

import math
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from headgate.testing.provider.answer import ProviderError
from headgate.testing.provider.sign_in_script import SignInScript

OAUTH_BETA = "oauth-2025-04-20"
DEFAULT_SCOPE = "org:create_api_key user:profile user:inference"
_UNKNOWN = "Refresh token not found or invalid"
_NOBODY = ""


class OAuthError(Exception):
    """An answer in the error form of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


@dataclass(slots=True)
class _RefreshToken:
    granted_at: float
    rotated_at: float | None = None


@dataclass(slots=True)
class Grant:
    """One sign-in of one person: the family of all tokens that came of it."""

    login: str
    client_id: str
    scope: str
    access: dict[str, float] = field(default_factory=dict)
    """Tokens with the second in which each expires."""
    refresh: dict[str, _RefreshToken] = field(default_factory=dict)
    is_revoked: bool = False


@dataclass(slots=True)
class _Page:
    """The counts of one person."""

    asked: int = 0
    granted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    exchanges: int = 0
    device_grants: int = 0
    double_refreshes: int = 0
    reused_in_grace: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class Grants:
    """All grants of one provider. `now` is the simulator's clock; the script is whatever is in force."""

    def __init__(self) -> None:
        self.script = SignInScript()
        self._all: list[Grant] = []
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, Grant] = {}
        self._pages: dict[str, _Page] = {}

    # ---- granting ----

    def sign_in(
        self,
        login: str,
        now: float,
        *,
        client_id: str = "",
        scope: str = DEFAULT_SCOPE,
        lifetime_seconds: float | None = None,
    ) -> dict[str, Any]:
        """A new grant; the answer of the token endpoint. An empty `client_id`: any client may refresh it."""
        grant = Grant(login, client_id, scope)
        self._all.append(grant)
        self.page(login)
        return self._tokens(grant, now, None, lifetime_seconds)

    def newest(self) -> dict[str, Any]:
        """The last grant's newest tokens, as a program would have stored them."""
        grant = self._all[-1]
        access, expires_at = list(grant.access.items())[-1]
        return {"access_token": access, "refresh_token": list(grant.refresh)[-1], "expires_at": expires_at}

    def refresh(self, parameters: dict[str, str], now: float) -> dict[str, Any]:
        """Raises OAuthError. A refresh token that was rotated away is dead, its grace aside."""
        presented = parameters.get("refresh_token", "")
        if not presented:
            raise OAuthError("invalid_request", "Missing refresh_token parameter")
        grant = self._by_refresh.get(presented)
        if grant is None:
            raise OAuthError("invalid_grant", _UNKNOWN)
        page = self.page(grant.login)
        self._check(grant, presented, page, now)
        is_anothers = grant.client_id not in ("", parameters["client_id"])
        if grant.is_revoked or is_anothers:
            raise OAuthError("invalid_grant", _UNKNOWN)
        scope = parameters.get("scope", grant.scope)
        if not set(scope.split()) <= set(grant.scope.split()):
            raise OAuthError("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
        page.granted += 1
        return self._tokens(grant, now, presented) | {"scope": scope}

    def _check(self, grant: Grant, presented: str, page: _Page, now: float) -> None:
        token, life = grant.refresh[presented], self.script.refresh_lifetime_seconds
        if token.rotated_at is not None:
            if now >= token.rotated_at + self.script.reuse_seconds:
                page.double_refreshes += 1
                grant.is_revoked |= self.script.revokes_family
                raise OAuthError("invalid_grant", _UNKNOWN)
            page.reused_in_grace += 1
        if life is not None and now >= token.granted_at + life:
            raise OAuthError("invalid_grant", "Refresh token expired")

    def _tokens(
        self, grant: Grant, now: float, presented: str | None, lifetime_seconds: float | None = None
    ) -> dict[str, Any]:
        script = self.script
        lifetime = script.lifetime_seconds if lifetime_seconds is None else lifetime_seconds
        if script.revokes_access:
            grant.access = dict.fromkeys(grant.access, -math.inf)
        access = f"sk-ant-oat01-sim-{secrets.token_urlsafe(24)}"
        grant.access[access] = now + lifetime
        self._by_access[access] = grant
        answer: dict[str, Any] = {"token_type": "Bearer", "access_token": access}
        if not script.omit_expires_in:
            answer["expires_in"] = int(lifetime) if lifetime == int(lifetime) else lifetime
        refresh = self._next_refresh_token(grant, now, presented)
        if not script.omit_refresh_token:
            answer["refresh_token"] = refresh
        return answer | {"scope": grant.scope} | _person(grant.login)

    def _next_refresh_token(self, grant: Grant, now: float, presented: str | None) -> str:
        if presented is not None:
            if not self.script.rotate or self.script.omit_refresh_token:
                return presented
            token = grant.refresh[presented]
            token.rotated_at = now if token.rotated_at is None else token.rotated_at
        refresh = f"sk-ant-ort01-sim-{secrets.token_urlsafe(24)}"
        grant.refresh[refresh] = _RefreshToken(now)
        self._by_refresh[refresh] = grant
        return refresh

    def revoke(self, login: str) -> int:
        """The person withdraws every sign-in; says how many there were."""
        theirs = [grant for grant in self._all if grant.login == login and not grant.is_revoked]
        for grant in theirs:
            grant.is_revoked = True
        return len(theirs)

    # ---- using ----

    def login_of(self, access_token: str) -> str | None:
        """Whose token it is, good or not."""
        grant = self._by_access.get(access_token)
        return grant.login if grant is not None else None

    def login_of_refresh(self, refresh_token: str) -> str:
        grant = self._by_refresh.get(refresh_token)
        return grant.login if grant is not None else _NOBODY

    def authenticate(self, access_token: str, betas: str, now: float) -> str:
        """The login behind a bearer token. Raises ProviderError."""
        grant = self._by_access.get(access_token)
        if grant is None:
            raise ProviderError(401, "Invalid bearer token")
        if OAUTH_BETA not in (name.strip() for name in betas.split(",")):
            raise ProviderError(401, "OAuth authentication is currently not supported.")
        if grant.is_revoked:
            raise ProviderError(403, "OAuth token has been revoked. Please obtain a new token.")
        if now >= grant.access[access_token]:
            words = "OAuth token has expired. Please obtain a new token or refresh your existing token."
            raise ProviderError(401, words)
        return grant.login

    # ---- counts ----

    def page(self, login: str) -> _Page:
        return self._pages.setdefault(login, _Page())

    def summary(self, now: float) -> dict[str, Any]:
        """By login; what nobody's token asked for stands under the empty one."""
        return {login: self._counts(login, page, now) for login, page in self._pages.items()}

    def _counts(self, login: str, page: _Page, now: float) -> dict[str, Any]:
        theirs = [grant for grant in self._all if grant.login == login and not grant.is_revoked]
        refresh = [name for one in theirs for name, token in one.refresh.items() if token.rotated_at is None]
        access = [name for one in theirs for name, expires_at in one.access.items() if now < expires_at]
        return {
            "refreshes_asked": page.asked,
            "refreshes_granted": page.granted,
            "refused": dict(page.refused),
            "exchanges": page.exchanges,
            "device_grants": page.device_grants,
            "double_refreshes": page.double_refreshes,
            "reused_in_grace": page.reused_in_grace,
            "faults": dict(page.faults),
            "grants": len(theirs),
            "access_tokens": access,
            "refresh_tokens": refresh,
        }


def _person(login: str) -> dict[str, Any]:
    email = login if "@" in login else f"{login}@example.test"
    return {
        "account": {"uuid": str(uuid5(NAMESPACE_URL, f"account:{login}")), "email_address": email},
        "organization": {
            "uuid": str(uuid5(NAMESPACE_URL, f"organization:{login}")),
            "name": f"{login}'s organization",
        },
    }
