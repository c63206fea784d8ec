"""What an account is, as the owner put it in. Its health lives in `health.py`."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    API_KEY = "api_key"


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
    base_url: str | None = None
    """Overrides the provider's address; an origin, with a path if need be."""
    email: str | None = None
    domain: str | None = None
    models: tuple[str, ...] = ()
    """Models that this account serves; empty: all of its provider."""
    paused: bool = False
    created_at: float = 0.0
    """Unix seconds."""

    @property
    def place(self) -> tuple["Credential | None", str | None, str]:
        """Whom a provider's words are about: with another key, address or provider they are void."""
        return self.credential, self.base_url, self.provider


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A secret that does not print itself."""

    secret: str

    def __repr__(self) -> str:
        return "Credential(…)"
