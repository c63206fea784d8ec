"""Anthropic: addressing, the credential header, and where its limits and errors are read.

Source: Claude API documentation, "API overview" (authentication, `anthropic-version`).
"""

import re

from headgate.errors import SettingsError
from headgate.providers.anthropic_errors import read_error
from headgate.providers.anthropic_limits import STATUS_HEADER, read_limits
from headgate.providers.limits import Limits
from headgate.providers.provider import ProviderError
from headgate.providers.sign_in import SignIn
from headgate.wire.headers import Headers, is_visible_ascii

_VERSION_HEADER = b"anthropic-version"
_REQUIRED: Headers = [(_VERSION_HEADER, b"2023-06-01")]
"""The only version the documentation names; a request without the header is refused."""
_NOTHING: Headers = []

_OAUTH_BETA = b"oauth-2025-04-20"
"""Without this flag the API refuses an access token."""
_BETA_LINE = re.compile(rb"(?:^|(?<=\r\n))anthropic-beta:([^\r\n]*)")

_SIGN_IN = SignIn(
    authorize_url="https://claude.ai/oauth/authorize",
    token_url="https://console.anthropic.com/v1/oauth/token",
    redirect_uri="https://console.anthropic.com/oauth/code/callback",
    scopes=("org:create_api_key", "user:profile", "user:inference"),
    body="json",
    authorize_extra=(("code", "true"),),  # the page then shows the code to be copied
    documented_at="Anthropic gives client ids to registered applications; see its documentation on OAuth.",
)


class AnthropicProvider:
    name = "anthropic"
    default_base_url = "https://api.anthropic.com"
    status_header: bytes | None = STATUS_HEADER
    calm_status = b"allowed"
    probe_path = b"/v1/models?limit=1"
    sign_in: SignIn | None = _SIGN_IN

    def bearer_lines(self, lines: bytes) -> bytes:
        """The flag joins the client's own list, at its end."""
        said = _BETA_LINE.findall(lines)
        if any(flag.strip() == _OAUTH_BETA for value in said for flag in value.split(b",")):
            return lines
        if not said:
            return lines + b"anthropic-beta: %b\r\n" % _OAUTH_BETA
        return _BETA_LINE.sub(lambda line: b"%b,%b" % (line[0], _OAUTH_BETA), lines, count=1)

    def credential_header(self, secret: str) -> tuple[bytes, bytes]:
        """`x-api-key`. The message of the error never shows the secret."""
        if not is_visible_ascii(secret):
            raise SettingsError(
                "The API key is empty or holds a space, a line break or a character outside ASCII.",
                hint="Copy the key again from the provider's console, without anything around it.",
            )
        return b"x-api-key", secret.encode("ascii")

    def required_headers(self, sent: Headers) -> Headers:
        for name, _ in sent:
            if name == _VERSION_HEADER:
                return _NOTHING
        return _REQUIRED

    def read_limits(self, headers: Headers, now: float) -> Limits:
        return read_limits(headers, now)

    def read_error(self, status: int, body: bytes, now: float) -> ProviderError:
        return read_error(status, body, now)
