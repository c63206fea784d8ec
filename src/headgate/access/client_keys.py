"""A client key: who holds it, until when, and what it opens. The key itself is known to its holder alone.

`hg_` and 256 random bits; kept as its SHA-256, which needs no slow hash, for nobody guesses 256 bits.
A key that was given out elsewhere may be any text.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from headgate.access.limits import NO_LIMITS, Limits
from headgate.errors import InvalidClientKey, KeyMayNot

_START = "hg_"
_RANDOM_BYTES = 32
_SHOWN_CHARACTERS = 7
"""`hg_` and four more: enough to tell one's keys apart, of no use to anybody else."""
_DAY_SECONDS = 86_400.0

_WHO_CHANGES_IT = "The gateway's owner changes that: `headgate key set NAME --help`."
_SEND_ONE = "Send a client key of this gateway as `Authorization: Bearer` or `x-api-key`"
_WAYS_OUT = {
    "none": f"None was sent. {_SEND_ONE}; its owner makes one: `headgate key create NAME`.",
    "disabled": "It is disabled: the gateway's owner may enable it (`headgate key set NAME --enabled`).",
    "expired": "It has expired: the gateway's owner may prolong it (`headgate key set NAME --expires …`).",
    "revoked": "It was revoked: ask the gateway's owner for another one.",
    "replaced": "Another one has taken its place: ask the gateway's owner for that.",
    "guarded": "That account serves a host with a client key of its own: call that host, with its key.",
    "elsewhere": "It opens another host than the one that was called: call the gateway by that one.",
}
"""But for the first said to who shows the key itself, and to nobody else."""


def new_secret() -> str:
    return _START + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(secret: str | bytes) -> bytes:
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def beginning_of(secret: str) -> str:
    """What lists show of it; nothing of one that is so short that this would tell too much."""
    return secret[:_SHOWN_CHARACTERS] if len(secret) >= 4 * _SHOWN_CHARACTERS else ""


def name_of(digest: bytes) -> str:
    """Of a key that nobody has given a name: those of the setting `access.api_keys`."""
    return f"key-{digest.hex()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """As its owner set it. Times are Unix seconds."""

    id: int
    """0: of the settings, and nothing else is said of it."""
    name: str
    digest: bytes
    beginning: str = ""
    previous_digest: bytes | None = None
    """The key that a rotation has replaced, good until `previous_until`."""
    previous_until: float | None = None
    note: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    is_enabled: bool = True
    expires_at: float | None = None
    days_from_first_use: int | None = None
    first_used_at: float | None = None
    models: tuple[str, ...] = ()
    """Patterns (`claude-*`); empty: all."""
    refused_models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """Names or patterns of the accounts that may serve; empty: all."""
    domain: str | None = None
    """Only accounts of this domain."""
    may_choose_account: bool = False
    limits: Limits = NO_LIMITS
    is_declared: bool = False
    """It stands in the setting `access.api_keys` or in a file, and is closed when it does not any more."""
    hosts: tuple[str, ...] | None = None
    """It stands in the files of domains, and opens hosts of these patterns alone; None: every host."""
    version: int = 1
    """One more with each change, so that two owners do not overwrite each other's."""
    created_at: float = 0.0
    revoked_at: float | None = None
    # What every request asks, answered once.
    is_narrow: bool = field(init=False, repr=False, compare=False)
    """Not every model and provider is open to it."""
    is_bound: bool = field(init=False, repr=False, compare=False)
    """Not every account may serve it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_narrow", bool(self.models or self.refused_models or self.providers))
        object.__setattr__(self, "is_bound", bool(self.accounts) or self.domain is not None)

    @property
    def ends_at(self) -> float | None:
        """The earlier of its two ends; None: it has none, or its days have not begun."""
        ends = [] if self.expires_at is None else [self.expires_at]
        if self.days_from_first_use is not None and self.first_used_at is not None:
            ends.append(self.first_used_at + self.days_from_first_use * _DAY_SECONDS)
        return min(ends, default=None)

    @property
    def waits_for_first_use(self) -> bool:
        """Its days are counted from there; of other keys nobody asks."""
        return self.days_from_first_use is not None and self.first_used_at is None

    @property
    def opens_without_end(self) -> bool:
        """Nothing about it is a matter of time."""
        return self.is_enabled and self.expires_at is None and self.days_from_first_use is None

    def status(self, now: float) -> str:
        """`active`, `disabled`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if not self.is_enabled:
            return "disabled"
        ends_at = self.ends_at
        return "expired" if ends_at is not None and ends_at <= now else "active"

    def refuse_provider(self, provider: str) -> None:
        """Raises KeyMayNot."""
        if self.providers and provider not in self.providers:
            raise KeyMayNot(
                f"This client key is not for the provider {provider}",
                hint=f"It is for {', '.join(self.providers)}. {_WHO_CHANGES_IT}",
            )

    def refuse_model(self, model: str) -> None:
        """Raises KeyMayNot."""
        if any(fnmatchcase(model, pattern) for pattern in self.refused_models):
            raise KeyMayNot(f"This client key is not for the model {model[:128]}", hint=_WHO_CHANGES_IT)
        if self.models and not any(fnmatchcase(model, pattern) for pattern in self.models):
            raise KeyMayNot(
                f"This client key is not for the model {model[:128]}",
                hint=f"It is for {', '.join(self.models[:5])}. {_WHO_CHANGES_IT}",
            )

    def refuse_choice(self) -> None:
        """Raises KeyMayNot for who names an account and may not; of a host's key the host does that."""
        if not self.may_choose_account or self.hosts is not None:
            raise KeyMayNot(
                "This client key may not choose its account (header x-headgate-account)",
                hint=f"Leave the header out. {_WHO_CHANGES_IT}",
            )

    def binds(self, accounts: Iterable[tuple[int, str, str | None]]) -> frozenset[int]:
        """Of accounts (id, name, domain) the ids of those that may serve."""
        return frozenset(
            account_id
            for account_id, name, domain in accounts
            if (self.domain is None or domain == self.domain)
            and (not self.accounts or any(fnmatchcase(name, pattern) for pattern in self.accounts))
        )


def invalid_key(status: str = "") -> InvalidClientKey:
    """`status`: of the key that was shown, where one of ours was; `none`: nothing was shown."""
    return InvalidClientKey(
        "Invalid client API key",  # where Claude Code reads `x-api-key` it advises `/login` instead of this
        hint=_WAYS_OUT.get(status)
        or "What was sent is no key of this gateway: see that it is whole, and that it is not another"
        " gateway's or a provider's. `headgate key create NAME` makes one.",
    )
