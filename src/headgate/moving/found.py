"""What another system holds, whatever its form was: the one result of every reader.

Secrets are in here in clear; nothing of it prints itself.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from headgate.sources.names import Names

ACCOUNT, KEY, SETTING, HISTORY, OTHER = "account", "client key", "setting", "history", "other"
"""The kinds of things that move."""

NO_TOKEN_YET = "none-yet"
"""In place of an access token where only the refresh token is known: it ended long ago, so a fresh one is
fetched before anything is sent."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FoundAccount:
    """One account. `name` as it was there; times are Unix seconds."""

    name: str
    key: str = ""
    """By which their history names it."""
    provider: str = "anthropic"
    api_key: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    base_url: str | None = None
    priority: int = 0
    weight: int = 1
    tier: int = 1
    concurrency: int | None = None
    models: tuple[str, ...] = ()
    email: str | None = None
    domain: str | None = None
    proxy: str | None = None
    paused: bool = False
    remarks: tuple[str, ...] = ()
    """What of it does not come along, in words."""

    @property
    def signs_in(self) -> bool:
        return self.api_key is None

    def carried(self) -> dict[str, Any]:
        """As the owner's API takes it (`CarriedAccount`)."""
        fields: dict[str, Any] = {
            **{"name": self.name, "provider": self.provider, "base_url": self.base_url},
            **{"priority": self.priority, "weight": self.weight, "tier": self.tier},
            **({} if self.concurrency is None else {"concurrency": self.concurrency}),
            **{"models": list(self.models), "email": self.email, "domain": self.domain},
            "paused": self.paused,
        }
        if self.proxy is not None:
            fields["proxy"] = self.proxy
        if self.api_key is not None:
            return {**fields, "api_key": self.api_key}
        tokens: dict[str, Any] = {
            "access_token": self.access_token or NO_TOKEN_YET,
            "refresh_token": self.refresh_token,
            "expires_at": self.expires_at if self.access_token else 1.0,
            "scopes": list(self.scopes),
        }
        return {**fields, "oauth": tokens}


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A client key that can go on being used."""

    name: str
    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    is_named: bool = False
    """The name is its own, not only where it stands."""
    domains: tuple[str, ...] = ()
    """Those whose accounts it opens; empty: all accounts."""

    @classmethod
    def of(
        cls, name: str, secret: str, *, is_named: bool = False, domains: tuple[str, ...] = ()
    ) -> "FoundKey":
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return cls(name, f"sha256:{digest}", is_named=is_named, domains=domains)


@dataclass(frozen=True, slots=True)
class FoundSetting:
    path: str
    """Of ours."""
    value: Any = field(repr=False)
    called: str
    """Their name of it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that does not come along, and why."""

    kind: str
    name: str
    why: str
    is_failure: bool = False
    """It should have come along, and could not be read."""


@dataclass(slots=True, kw_only=True)
class PastRequest:
    """A request of their history. Counts that were not said are None."""

    id: str
    at_ms: int
    method: str
    path: str
    status: int
    error: str | None
    """A short word; None on success."""
    reason: str | None = None
    """Why, in their words."""
    account_key: str | None = None
    """The `key` of a FoundAccount; None: no account served."""
    account_name: str | None = None
    """Its name there, for one that does not come along."""
    provider: str | None = None
    """Of that one."""
    caller: str = "anonymous"
    user_agent: str = ""
    session: str | None = None
    model: str | None = None
    stream: bool = False
    first_byte_ms: float | None = None
    duration_ms: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    nano_usd: int | None = None
    """What it cost by their books; None: they did not know."""


class History(Protocol):
    """Their requests, read as they are wanted: there may be millions."""

    total: int
    """As far as it is known beforehand."""
    unreadable: int
    """Rows passed over so far, for want of an id or a time."""

    def batches(self, size: int) -> AsyncIterator[list[PastRequest]]:
        """Raises ForeignDataUnreadable where the source breaks off."""
        ...


@dataclass(slots=True)
class Found:
    """Everything that one system holds."""

    system: str
    accounts: list[FoundAccount] = field(default_factory=list)
    keys: list[FoundKey] = field(default_factory=list)
    settings: list[FoundSetting] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    history: History | None = None

    def leave_out(self, kind: str, name: str, why: str) -> None:
        self.left_out.append(LeftOut(kind, name, why))

    def could_not_read(self, kind: str, name: str, why: str) -> None:
        self.left_out.append(LeftOut(kind, name, why, is_failure=True))


def with_fitting_names(accounts: Iterable[FoundAccount]) -> tuple[list[FoundAccount], Mapping[str, str]]:
    """The accounts under names that an account may have, none twice; and, where they are others,
    the name there by the name here. The same input gives the same names."""
    fitted: list[FoundAccount] = []
    names = Names()
    others: dict[str, str] = {}
    for account in accounts:
        name = names.name_for(account.name)
        if name != account.name:
            others[name] = account.name
        fitted.append(replace(account, name=name))
    return fitted, others


def without_twins(found: Found) -> None:
    """The same credential is one account here, however many names it had there."""
    seen: dict[tuple[str, str], FoundAccount] = {}
    kept: list[FoundAccount] = []
    for account in found.accounts:
        secret = account.api_key or account.refresh_token or account.access_token or ""
        first = seen.setdefault((account.provider, secret), account)
        if first is account:
            kept.append(account)
        else:
            found.leave_out(
                ACCOUNT, account.name, f"it has the credential of {first.name}, which comes along"
            )
    found.accounts = kept


def names_of(things: Sequence[str], most: int = 8) -> str:
    """A list in a sentence that stays one."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more
