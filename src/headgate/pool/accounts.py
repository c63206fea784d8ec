"""What an account is, as the owner put it in. Its health lives in `health.py`."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    API_KEY = "api_key"
    OAUTH = "oauth"
    """Signed in: an access token that expires, and most often a refresh token for the next one."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account at one provider. Frozen: a change builds a new one, its health stays.

    `credential` is the clear secret and exists in memory only; `repr` leaves it out.
    """

    id: int
    name: str
    provider: str
    kind: Kind
    credential: "Credential | None"
    """None: stored, but the encryption key in force does not open it."""
    priority: int = 0
    """Lower goes first; all accounts of a better priority come before the strategy is asked."""
    weight: int = 1
    tier: int = 1
    concurrency: int | None = None
    """Requests that it may have at one time; None: as many as come."""
    base_url: str | None = None
    """Overrides the provider's address; an origin, with a path if need be."""
    proxy: str | None = field(default=None, repr=False)
    """Outbound proxy, or `direct`; None: the general one. Its address may hold a password."""
    email: str | None = None
    domain: str | None = None
    models: tuple[str, ...] = ()
    """Models that this account serves; empty: all of its provider."""
    paused: bool = False
    origin: str = "owner"
    """Who keeps it: see `AccountDraft.origin`."""
    created_at: float = 0.0
    """Unix seconds."""
    signed_in_at: float | None = None
    """Unix seconds of the sign-in that the tokens go back to; None for an API key."""

    @property
    def place(self) -> tuple[object, ...]:
        """Whom a provider's words are about: with another key, address or provider they are void. A token
        that was refreshed is nobody else's."""
        root = self.credential if self.kind is Kind.API_KEY else self.signed_in_at
        return root, self.credential is None, self.base_url, self.provider


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """Secrets that do not print themselves: an API key, or the tokens of a sign-in."""

    secret: str
    """What travels with a request: the API key or the access token."""
    refresh_token: str | None = None
    expires_at: float | None = None
    """Unix seconds at which the access token ends; None: not stated, or a key that does not end."""
    scopes: tuple[str, ...] = ()
    version: int = 0
    """Grows with every refresh and sign-in: who knows an older one knows that it is stale."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that nobody may see."""
        return (self.secret,) if self.refresh_token is None else (self.secret, self.refresh_token)

    def __repr__(self) -> str:
        return "Credential(…)"
