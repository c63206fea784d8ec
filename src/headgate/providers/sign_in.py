"""Where a provider signs people in. Data only: the flow itself is `oauth/`, the client id is the owner's.

Sources: RFC 6749 (authorization code, token endpoint), RFC 7636 (PKCE), RFC 8628 (device code).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SignIn:
    """What is public about a provider's sign-in. The owner's settings may replace every part of it."""

    authorize_url: str
    token_url: str
    redirect_uri: str
    scopes: tuple[str, ...]
    device_url: str | None = None
    """RFC 8628's device authorization endpoint; None: this provider has none."""
    body: Literal["json", "form"] = "form"
    """How the token endpoint wants its parameters; the RFC says form."""
    authorize_extra: tuple[tuple[str, str], ...] = ()
    """Further parameters of the page."""
    documented_at: str = ""
    """In words for the owner: where a client id comes from."""
