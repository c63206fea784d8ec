"""Talking to a provider's token endpoint: parameters out, tokens or a refusal in.

Source: RFC 6749, sections 4.1.3, 5.1, 5.2 and 6; RFC 8628, sections 3.1, 3.2, 3.4 and 3.5. Some providers
want the parameters as JSON, and wrap errors as in their API; both are read.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from headgate.clock import Clock
from headgate.errors import UpstreamError
from headgate.log import blank, redact
from headgate.oauth.registration import Registration
from headgate.pool.accounts import Credential
from headgate.upstream.client import UpstreamClient
from headgate.upstream.origin import Origin
from headgate.upstream.proxies import Proxies
from headgate.upstream.timeouts import Timeouts
from headgate.wire.headers import is_visible_ascii

_TIMEOUTS = Timeouts(connect=10.0, first_byte=30.0, idle=10.0, total=40.0)
_SECRET_PARAMETERS = frozenset({"code", "code_verifier", "state", "refresh_token", "device_code"})
_MOST_BYTES = 262_144
_LONGEST_WORDS = 300
_LONGEST_LIFE = 400 * 86_400.0
"""Seconds. Beyond this `expires_in` is another unit, or garbage."""


@dataclass(frozen=True, slots=True)
class Granted:
    credential: Credential
    email: str | None
    """Whose account it is, where the provider says so."""


class TokenRefused(Exception):
    """No tokens. `error` is the code of RFC 6749, 5.2, or the provider's own; "": nothing was understood."""

    def __init__(self, words: str, *, error: str = "", status: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.error = error
        self.status = status

    @property
    def is_final(self) -> bool:
        """The grant is dead: asking again would be answered alike."""
        return self.error == "invalid_grant"


class _Reply:
    """An answer, read field by field: one that is odd must not cost the tokens beside it, which after a
    refresh are all there is."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.access_token = _text(fields.get("access_token"))
        self.refresh_token = _text(fields.get("refresh_token"))

    @property
    def expires_in(self) -> float | None:
        """Seconds; None for what cannot be."""
        value = self._fields.get("expires_in")
        try:
            life = float(value) if isinstance(value, int | float | str) and value is not True else 0.0
        except (ValueError, OverflowError):
            return None
        return life if math.isfinite(life) and 0 < life < _LONGEST_LIFE else None

    @property
    def scopes(self) -> tuple[str, ...]:
        value = self._fields.get("scope")
        names = value if isinstance(value, list) else [value]
        return tuple(scope for name in names if isinstance(name, str) for scope in name.split())

    @property
    def email(self) -> str | None:
        """It is shown to people, so it must be something that can be."""
        person = _object(self._fields.get("account"))
        for value in (self._fields.get("email"), person.get("email_address"), person.get("email")):
            if (email := _text(value)) is not None and email.isprintable():
                return email[:256]
        return None

    @property
    def error(self) -> str:
        value = self._fields.get("error")
        return _text(value) or _text(_object(value).get("type")) or ""

    @property
    def said(self) -> str:
        wrapped = _object(self._fields.get("error")).get("message")
        return _text(self._fields.get("error_description")) or _text(wrapped) or ""


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_decoder = msgspec.json.Decoder(dict[str, Any])


class TokenEndpoint:
    """Shared by all flows and refreshes; keeps nothing."""

    def __init__(
        self, upstream: UpstreamClient, clock: Clock, proxies: Proxies, *, own_proxy: str | None = None
    ) -> None:
        self.proxies = proxies
        """Those in force: a reload replaces them."""
        self._upstream = upstream
        self._clock = clock
        self._own_proxy = own_proxy

    def by(self, own_proxy: str | None) -> "TokenEndpoint":
        """The same by the way that an account goes."""
        return TokenEndpoint(self._upstream, self._clock, self.proxies, own_proxy=own_proxy)

    async def grant(
        self, registration: Registration, parameters: Mapping[str, str], *, before: Credential | None = None
    ) -> Granted:
        """`before`: the credential that is renewed; what the answer leaves out stays as it was there.

        Raises TokenRefused, UpstreamError. The words of both hold none of the parameters.
        """
        asked = {**parameters, "client_id": registration.client_id}
        status, body = await self.ask(registration, registration.sign_in.token_url, asked)
        hidden = [value for name, value in parameters.items() if name in _SECRET_PARAMETERS]
        reply = _read(status, body)
        token = reply.access_token
        if token is None or not 200 <= status < 300:
            raise _refusal(status, reply, hidden)
        if not is_visible_ascii(token):
            words = f"HTTP {status}, and an access token with characters that no header takes"
            raise TokenRefused(words, status=status)
        return Granted(self._credential(token, reply, before), reply.email)

    async def ask(
        self, registration: Registration, url: str, parameters: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """POST, in the form that the provider wants."""
        origin, path = Origin.parse(url)
        if registration.sign_in.body == "json":
            kind, content = b"application/json", json.dumps(dict(parameters)).encode()
        else:
            kind, content = b"application/x-www-form-urlencoded", urlencode(parameters).encode("ascii")
        head = (
            b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: %b\r\naccept: application/json\r\n"
            b"content-length: %d\r\n\r\n"
            % ((path or "/").encode(), origin.authority.encode(), kind, len(content))
        )
        proxy = self.proxies.of(origin, self._own_proxy)
        answer = await self._upstream.send(origin, head, content, timeouts=_TIMEOUTS, proxy=proxy)
        try:
            body = b""
            while not answer.is_complete and len(body) < _MOST_BYTES:
                body += await answer.read()
        finally:
            answer.close()
        return answer.status, body

    def _credential(self, access_token: str, reply: _Reply, before: Credential | None) -> Credential:
        life = reply.expires_in
        return Credential(
            secret=access_token,
            refresh_token=reply.refresh_token or (before.refresh_token if before else None),
            expires_at=None if life is None else self._clock.now() + life,
            scopes=reply.scopes or (before.scopes if before else ()),
            version=before.version + 1 if before else 0,
        )


def _read(status: int, body: bytes) -> _Reply:
    try:
        return _Reply(_decoder.decode(body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        words = f"HTTP {status}, and no JSON that reads as an answer"
        raise TokenRefused(words, status=status) from None


def read_refusal(status: int, body: bytes, hidden: Iterable[str] = ()) -> TokenRefused:
    """What an answer without the thing asked for says."""
    try:
        return _refusal(status, _read(status, body), hidden)
    except TokenRefused as refused:
        return refused


def _refusal(status: int, reply: _Reply, hidden: Iterable[str]) -> TokenRefused:
    words = ": ".join(part for part in (reply.error, reply.said) if part) or f"HTTP {status} without a token"
    return TokenRefused(redact(blank(words, hidden))[:_LONGEST_WORDS], error=reply.error, status=status)


def unreachable(error: UpstreamError) -> TokenRefused:
    """The network's failure in the same words as a refusal."""
    return TokenRefused(f"{error.reason}: {error.message}")
