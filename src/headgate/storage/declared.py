"""Accounts that the settings declare, brought into the database at start.

The settings are the truth for these: what they say is written over, what they no longer name is
removed. Accounts of the owner are left alone; one of the same name is a conflict that says so.
"""

from collections.abc import Sequence

from headgate.config.settings import AccountSettings
from headgate.errors import Conflict
from headgate.pool.accounts import Credential
from headgate.storage.accounts import OWNER, SETTINGS, AccountDraft, AccountStore


async def take_declared(store: AccountStore, declared: Sequence[AccountSettings]) -> None:
    """Raises Conflict for a name or a secret that the owner has put in already."""
    known = set(await store.names(origin=SETTINGS))
    owned = set(await store.names(origin=OWNER))
    for gone in known - {account.name for account in declared}:
        await store.remove(gone)
    for account in declared:
        if account.name in owned:
            raise Conflict(
                f"The settings declare the account {account.name!r}, and one of that name was added by hand.",
                hint=f"Rename one of them, or run `headgate account remove {account.name}`.",
            )
        draft = _draft(account)
        if account.name in known:
            await store.update(account.name, _changes(draft))
        else:
            await store.add(draft)


def _draft(account: AccountSettings) -> AccountDraft:
    return AccountDraft(
        name=account.name,
        provider=account.provider,
        secret=Credential(account.api_key.get_secret_value()),
        priority=account.priority,
        weight=account.weight,
        tier=account.tier,
        base_url=account.base_url,
        domain=account.domain,
        models=tuple(account.models),
        origin=SETTINGS,
    )


def _changes(draft: AccountDraft) -> dict[str, object]:
    """All but the name, and whether it is paused: that is the owner's at run time."""
    return {
        "provider": draft.provider,
        "secret": draft.secret,
        "priority": draft.priority,
        "weight": draft.weight,
        "tier": draft.tier,
        "base_url": draft.base_url,
        "domain": draft.domain,
        "models": draft.models,
    }
