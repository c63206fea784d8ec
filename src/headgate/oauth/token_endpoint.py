"""Talking to a provider's token endpoint: parameters out, tokens or a refusal in.

Source: RFC 6749, sections 4.1.3, 5.1, 5.2 and 6; RFC 8628, sections 3.1, 3.2, 3.4 and 3.5. Some providers
want the parameters as JSON, and wrap errors as in their API; both are read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
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


class _Person(msgspec.Struct):
    email_address: str | None = None
    email: str | None = None


class _Detail(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _Reply(msgspec.Struct):
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: float | None = None
    scope: str | None = None
    account: _Person | None = None
    email: str | None = None
    error: str | _Detail | None = None
    error_description: str | None = None


_decoder = msgspec.json.Decoder(_Reply, strict=False)


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
        if reply.access_token is None or not 200 <= status < 300:
            raise _refusal(status, reply, hidden)
        return Granted(self._credential(reply, before), _email(reply))

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

    def _credential(self, reply: _Reply, before: Credential | None) -> Credential:
        assert reply.access_token is not None
        life = reply.expires_in
        is_sane = life is not None and math.isfinite(life) and 0 < life < _LONGEST_LIFE
        scopes = tuple(reply.scope.split()) if reply.scope else before.scopes if before else ()
        return Credential(
            secret=reply.access_token,
            refresh_token=reply.refresh_token or (before.refresh_token if before else None),
            expires_at=self._clock.now() + life if is_sane and life is not None else None,
            scopes=scopes,
            version=before.version + 1 if before else 0,
        )


def _read(status: int, body: bytes) -> _Reply:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        words = f"HTTP {status}, and no JSON that reads as an answer"
        raise TokenRefused(words, status=status) from None


def _refusal(status: int, reply: _Reply, hidden: list[str]) -> TokenRefused:
    detail = reply.error
    error = detail.type if isinstance(detail, _Detail) else detail
    said = reply.error_description or (detail.message if isinstance(detail, _Detail) else None)
    words = ": ".join(part for part in (error, said) if part) or f"HTTP {status} without a token"
    return TokenRefused(redact(blank(words, hidden))[:_LONGEST_WORDS], error=error or "", status=status)


def _email(reply: _Reply) -> str | None:
    person = reply.account
    found = reply.email or (person and (person.email_address or person.email)) or None
    return found[:256] if found else None


def unreachable(error: UpstreamError) -> TokenRefused:
    """The network's failure in the same words as a refusal."""
    return TokenRefused(f"{error.reason}: {error.message}")
