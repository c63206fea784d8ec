"""Accounts that the settings declare, brought into the database at start and at a reload.

The settings are the truth for these: what they say is written over, what they no longer name is
removed. Accounts of the owner are left alone; one of the same name is a conflict that says so.
"""

from collections.abc import Sequence

from headgate.config.accounts import AccountSettings
from headgate.errors import Conflict
from headgate.pool.accounts import Credential, Kind
from headgate.storage.accounts import AccountStore
from headgate.storage.drafts import FILES, OWNER, SETTINGS, AccountDraft


async def take_declared(store: AccountStore, declared: Sequence[AccountSettings]) -> None:
    """Raises Conflict for a name or a secret that the owner has put in already; nothing is changed then.

    Of an account that signs in the settings hold the start: tokens refreshed since stay.
    """
    owned = set(await store.names(origin=OWNER))
    kept_in_files = {one.name: one.origin for one in await store.list() if one.origin.startswith(FILES)}
    for account in declared:
        if account.name in kept_in_files:
            file = kept_in_files[account.name].removeprefix(FILES)
            raise Conflict(
                f"The settings declare the account {account.name!r}, and one of that name comes from {file}.",
                hint="Rename one of them, or take one out.",
            )
        if account.name in owned:
            raise Conflict(
                f"The settings declare the account {account.name!r}, and one of that name was added by hand.",
                hint=f"Rename one of them, or run `headgate account remove {account.name}`.",
            )
    await store.declare([_draft(account) for account in declared])


def _draft(account: AccountSettings) -> AccountDraft:
    kind, secret = _credential(account)
    return AccountDraft(
        name=account.name,
        provider=account.provider,
        kind=kind,
        secret=secret,
        priority=account.priority,
        weight=account.weight,
        tier=account.tier,
        concurrency=account.concurrency,
        base_url=account.base_url,
        proxy=None if account.proxy is None else account.proxy.get_secret_value(),
        domain=account.domain,
        models=tuple(account.models),
        origin=SETTINGS,
    )


def _credential(account: AccountSettings) -> tuple[Kind, Credential]:
    if account.api_key is not None:
        return Kind.API_KEY, Credential(account.api_key.get_secret_value())
    tokens = account.oauth
    assert tokens is not None, "the settings refuse an account with neither"
    refresh_token = None if tokens.refresh_token is None else tokens.refresh_token.get_secret_value()
    return Kind.OAUTH, Credential(
        tokens.access_token.get_secret_value(), refresh_token, tokens.expires_at, tokens.scopes
    )
