"""Accounts that the settings declare, brought into the database at start and at a reload.

The settings are the truth for these: what they say is written over, what they no longer name is
removed. Accounts of the owner are left alone; one of the same name is a conflict that says so.
"""

from collections.abc import Sequence

from headgate.config.settings import AccountSettings
from headgate.errors import Conflict
from headgate.pool.accounts import Credential
from headgate.storage.accounts import OWNER, SETTINGS, AccountDraft, AccountStore


async def take_declared(store: AccountStore, declared: Sequence[AccountSettings]) -> None:
    """Raises Conflict for a name or a secret that the owner has put in already; nothing is changed then.

    An account without an API key waits for a later release: a warning of `config/` says so.
    """
    owned = set(await store.names(origin=OWNER))
    for account in declared:
        if account.name in owned:
            raise Conflict(
                f"The settings declare the account {account.name!r}, and one of that name was added by hand.",
                hint=f"Rename one of them, or run `headgate account remove {account.name}`.",
            )
    await store.declare(
        [_draft(account, account.api_key.get_secret_value()) for account in declared if account.api_key]
    )


def _draft(account: AccountSettings, api_key: str) -> AccountDraft:
    return AccountDraft(
        name=account.name,
        provider=account.provider,
        secret=Credential(api_key),
        priority=account.priority,
        weight=account.weight,
        tier=account.tier,
        base_url=account.base_url,
        domain=account.domain,
        models=tuple(account.models),
        origin=SETTINGS,
    )
