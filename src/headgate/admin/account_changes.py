"""Accounts before and after a change, as the audit record has them: never with a secret."""

from collections.abc import Mapping
from typing import Any

from headgate.config.proxies import shown
from headgate.config.shown import MASK
from headgate.pool.accounts import Account, Credential
from headgate.storage.drafts import AccountDraft

_FIELDS = (
    *("name", "provider", "kind", "base_url", "proxy", "priority", "weight", "tier"),
    *("concurrency", "models", "email", "domain", "paused"),
)


def whole(account: Account | AccountDraft) -> dict[str, Any]:
    return fields_of({field: getattr(account, field) for field in _FIELDS})


def before(account: Account, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values that `changes` take the place of."""
    return fields_of({field: getattr(account, field, MASK) for field in changes})


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an account, or of a change to one, as they may be kept."""
    return {field: _shown(field, value) for field, value in values.items()}


def _shown(field: str, value: Any) -> Any:
    if field == "secret" or isinstance(value, Credential):
        return MASK
    if field == "proxy" and value is not None:
        return shown(value)
    if isinstance(value, tuple):
        return list(value)
    return value
