"""An account as it is put in, before it has an id, and the columns that hold it."""

from dataclasses import dataclass, field
from typing import Any

from headgate.pool.accounts import Credential, Kind

OWNER = "owner"
SETTINGS = "settings"
FILES = "file:"
"""How the origin of an account begins that another program keeps in a file; see `from_files.py`."""

# A field of an account, and the column that holds it.
COLUMNS = {
    "name": "name",
    "provider": "provider",
    "kind": "kind",
    "priority": "priority",
    "weight": "weight",
    "tier": "account_tier",
    "concurrency": "concurrency",
    "base_url": "base_url",
    "proxy": "proxy",
    "email": "email",
    "domain": "domain",
    "models": "models",
    "paused": "paused",
    "origin": "origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDraft:
    """An account before it has an id. `repr` leaves the secret out."""

    name: str
    provider: str
    secret: Credential
    kind: Kind = Kind.API_KEY
    priority: int = 0
    weight: int = 1
    tier: int = 1
    concurrency: int | None = None
    base_url: str | None = None
    proxy: str | None = field(default=None, repr=False)
    email: str | None = None
    domain: str | None = None
    models: tuple[str, ...] = ()
    paused: bool = False
    origin: str = OWNER
    """`owner`: by command, API, page; `settings`: declared in the settings file; `file:…`: kept in a file."""


def declared_values(draft: AccountDraft) -> dict[str, Any]:
    """What the settings say of an account. Whether it is paused is the owner's at run time."""
    fields = ("provider", "priority", "weight", "tier", "concurrency", "base_url", "domain")
    values = {COLUMNS[name]: getattr(draft, name) for name in fields}
    return {**values, "kind": draft.kind.value, "models": list(draft.models)}
