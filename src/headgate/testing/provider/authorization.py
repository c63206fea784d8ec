"""The page where a person signs in, and the code that comes of it.

Source: RFC 6749, sections 4.1.1, 4.1.2 and 4.1.3; RFC 7636 (S256 alone); RFC 8252, section 7.3 (loopback).
The person says yes at once. A redirect that leads elsewhere than to this machine ends on a page that shows
`code#state` to copy, as the real provider's own does.
"""

import base64
import hashlib
import html
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from headgate.testing.provider.answer import Answer
from headgate.testing.provider.grants import DEFAULT_SCOPE, Grants, OAuthError

_CODE_LIFE_SECONDS = 600.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True)
class _Code:
    login: str
    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    expires_at: float


class Authorizations:
    """The codes that are on their way."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._codes: dict[str, _Code] = {}

    def answer(self, query: dict[str, str], now: float) -> Answer:
        """302 to the redirect, or a page."""
        redirect = query.get("redirect_uri", "")
        words = self._wrong_beyond_redirect(query, redirect)
        if words:
            return page(400, "Invalid OAuth request", "error", words)
        refused = self._refused(query)
        if refused is not None:
            error, description = refused
            found = {"error": error, "error_description": description}
            return _back(redirect, query, found) or page(400, description, "error", error)
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(
            query.get("login_hint") or self._grants.script.login,
            query["client_id"],
            redirect,
            query.get("scope", DEFAULT_SCOPE),
            query["code_challenge"],
            now + _CODE_LIFE_SECONDS,
        )
        pasted = f"{code}#{query['state']}"
        return _back(redirect, query, {"code": code}) or page(200, "Authentication code", "code", pasted)

    def _wrong_beyond_redirect(self, query: dict[str, str], redirect: str) -> str:
        """What must not be told to a redirect, since the redirect or its owner is in doubt."""
        known, script = query.get("client_id", ""), self._grants.script
        if not known:
            return "Missing client_id parameter"
        if script.client_ids is not None and known not in script.client_ids:
            return "Client not found"
        if not _is_sane(redirect) or (
            script.redirect_uris is not None and redirect not in script.redirect_uris
        ):
            return f"Redirect URI {redirect} is not supported by client."
        return ""

    def _refused(self, query: dict[str, str]) -> tuple[str, str] | None:
        if query.get("response_type") != "code":
            return "unsupported_response_type", "The response type must be code"
        for name in ("state", "code_challenge"):
            if not query.get(name):
                return "invalid_request", f"Missing {name} parameter"
        if query.get("code_challenge_method") != "S256":
            return "invalid_request", "The code challenge method must be S256"
        if self._grants.script.denies:
            return "access_denied", "The person did not allow the access"
        return None

    def exchange(self, parameters: dict[str, str], now: float) -> dict[str, Any]:
        """Tokens for a code, once. Raises OAuthError."""
        for name in ("code", "code_verifier"):
            if name not in parameters:
                raise OAuthError("invalid_request", f"Missing {name} parameter")
        code = self._codes.pop(parameters["code"], None)  # whatever comes of it: a code is shown once
        if code is None or now >= code.expires_at or code.client_id != parameters["client_id"]:
            raise OAuthError("invalid_grant", "Invalid 'code' in request.")
        if parameters.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("invalid_grant", "Invalid 'redirect_uri' in request.")
        if _challenge(parameters["code_verifier"]) != code.challenge:
            raise OAuthError("invalid_grant", "Invalid code_verifier")
        self._grants.page(code.login).exchanges += 1
        return self._grants.sign_in(code.login, now, client_id=code.client_id, scope=code.scope)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_sane(redirect: str) -> bool:
    try:
        parts = urlsplit(redirect)
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
    return is_web and redirect.isascii() and redirect.isprintable()


def _back(redirect: str, query: dict[str, str], found: dict[str, str]) -> Answer | None:
    """To the program that waits on this machine; none, where the redirect leads elsewhere."""
    parts = urlsplit(redirect)
    if parts.hostname not in _LOOPBACK:
        return None
    if "state" in query:
        found = found | {"state": query["state"]}
    joint = "&" if parts.query else "?"
    location = f"{redirect}{joint}{urlencode(found)}"
    return Answer(302, [b""], b"text/html; charset=utf-8", [(b"location", location.encode())])


def page(status: int, title: str, name: str, value: str) -> Answer:
    """A page for people; a program finds the value by the id of its element."""
    title, value = html.escape(title), html.escape(value)
    text = f'<!doctype html><title>{title}</title><h1>{title}</h1><p><code id="{name}">{value}</code></p>\n'
    return Answer(status, [text.encode()], b"text/html; charset=utf-8")
