"""The owner's accounts: `/api/accounts`. No answer ever holds a secret.

A change is in the database and in force in the living pool before it is answered.
"""

import difflib
import logging
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from headgate.admin import account_changes
from headgate.admin.account_forms import AccountChange, NewAccount, NewName, NewSecret
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.views import AccountView, account_view
from headgate.errors import Conflict, InvalidRequest, UnknownAccount
from headgate.pool.accounts import Account, Credential, Kind
from headgate.pool.living import LivingAccount
from headgate.storage.changes import Change
from headgate.storage.drafts import FILES, OWNER, AccountDraft

log = logging.getLogger("headgate.accounts")
"""What the owner did to accounts, so that what requests met later can be read from the log."""

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


class AccountList(BaseModel):
    accounts: list[AccountView]


class RemovedAccount(BaseModel):
    removed: str


AskedModel = Annotated[str | None, Query(description="As a request for this model would find them.")]
AskedSession = Annotated[str | None, Query(description="As a request of this conversation would find them.")]
ItsName = Annotated[str, Path(description="Name of the account.", examples=["work"])]


@router.get("", operation_id="list_accounts")
async def list_accounts(
    owner: ItsOwner, model: AskedModel = None, session: AskedSession = None
) -> AccountList:
    """All accounts in the order in which they were put in. `skipped_because` is that of a request for
    `model` in the conversation `session`; without them, of a new request for any model."""
    return AccountList(accounts=views(owner, model=model, session=session))


@router.post("", operation_id="add_account", status_code=201)
async def add_account(owner: ItsOwner, wanted: NewAccount) -> AccountView:
    """409 when the name is taken, or when another account has the same secret."""
    check_provider(owner, wanted.provider)
    fields = wanted.model_dump(exclude={"api_key", "models"})
    secret = Credential(wanted.api_key.get_secret_value())
    draft = AccountDraft(**fields, secret=secret, models=tuple(wanted.models))
    async with owner.changing:
        added = await owner.accounts.add(draft, change=adding(owner, draft))
        return view_in_force(owner, added)


@router.get("/{name}", operation_id="get_account")
async def get_account(owner: ItsOwner, name: ItsName) -> AccountView:
    return view_of(owner, find(owner, name))


@router.patch("/{name}", operation_id="change_account")
async def change_account(owner: ItsOwner, name: ItsName, change: AccountChange) -> AccountView:
    """A new secret also ends a state that the old one was refused for."""
    changes: dict[str, Any] = change.model_dump(exclude_unset=True, exclude={"api_key"})
    if "api_key" in change.model_fields_set:
        changes["secret"] = Credential(change.api_key.get_secret_value())
    async with owner.changing:
        _refuse_declared(owner, name, "would have its old values again at the next start")
        line = f"Account {name} changed: {', '.join(sorted(change.model_fields_set)) or 'nothing'}"
        kept = _changing(owner, "account.change", name, changes, line=line)
        changed = await owner.accounts.update(name, changes, change=kept)
        return view_in_force(owner, changed)


@router.post("/{name}/rename", operation_id="rename_account")
async def rename_account(owner: ItsOwner, name: ItsName, wanted: NewName) -> AccountView:
    """Its history, health, conversations and objects stay with it; what runs on it goes on."""
    async with owner.changing:
        _refuse_declared(owner, name, "would come back under its old name, without its health")
        changes = {"name": wanted.name}
        line = f"Account {name} renamed to {wanted.name}"
        kept = _changing(owner, "account.rename", name, changes, line=line)
        renamed = await owner.accounts.update(name, changes, change=kept)
        if any(name in key.accounts for key in owner.ring.keys):  # they are bound to its new name by now
            owner.ring.replace(await owner.client_keys.list())
        return view_in_force(owner, renamed)


@router.delete("/{name}", operation_id="remove_account")
async def remove_account(owner: ItsOwner, name: ItsName) -> RemovedAccount:
    """Its secret and health are gone, its history stays. What runs on it ends in peace."""
    async with owner.changing:
        _refuse_declared(owner, name, "would come back at the next start", or_else=", or pause it")
        was = account_changes.whole(find(owner, name).account)
        line = f"Account {name} removed"
        kept = owner.change("account.remove", name, before=was, line=line, log=log)
        await owner.accounts.remove(name, change=kept)
        owner.pool.remove(name)
    return RemovedAccount(removed=name)


@router.post("/{name}/pause", operation_id="pause_account")
async def pause_account(owner: ItsOwner, name: ItsName) -> AccountView:
    """No further request goes to it; those that run end in peace. Pausing twice is no error."""
    async with owner.changing:
        changes = {"paused": True}
        kept = _changing(owner, "account.pause", name, changes, line=f"Account {name} paused")
        paused = await owner.accounts.update(name, changes, change=kept)
        return view_in_force(owner, paused)


@router.post("/{name}/resume", operation_id="resume_account")
async def resume_account(owner: ItsOwner, name: ItsName) -> AccountView:
    """Ends a pause, and every rest that waits for the owner. A provider's stated reset stays."""
    async with owner.changing:
        living = find(owner, name)
        kept = _changing(owner, "account.resume", name, {"paused": False}, line=f"Account {name} resumed")
        kept.before = {**kept.before, "status": str(living.status)}
        account = await owner.accounts.resume(name, change=kept)
        owner.pool.resume(name)
        return view_in_force(owner, account)


@router.post("/{name}/reauth", operation_id="reauth_account")
async def reauth_account(owner: ItsOwner, name: ItsName, renewed: NewSecret) -> AccountView:
    """A new secret takes the old one's place; what the old one was refused or limited for is over."""
    async with owner.changing:
        _refuse_declared(owner, name, "would have its old secret again at the next start")
        secret = Credential(renewed.api_key.get_secret_value())
        changes = {"secret": secret, "kind": Kind.API_KEY}
        line = f"Account {name} has a new secret"
        kept = _changing(owner, "account.reauth", name, changes, line=line)
        renewed_account = await owner.accounts.update(name, changes, change=kept)
        return view_in_force(owner, renewed_account)


def adding(owner: Owner, draft: AccountDraft, *, line: str = "", told_in: logging.Logger = log) -> Change:
    line = line or f"Account {draft.name} added: provider {draft.provider}"
    after = account_changes.whole(draft)
    return owner.change("account.add", draft.name, after=after, line=line, log=told_in)


def _changing(owner: Owner, action: str, name: str, changes: Mapping[str, Any], *, line: str) -> Change:
    """Raises UnknownAccount."""
    before = account_changes.before(find(owner, name).account, changes)
    after = account_changes.fields_of(changes)
    return owner.change(action, name, before=before, after=after, line=line, log=log)


def kept_elsewhere(owner: Owner, name: str) -> str | None:
    """Where an account is kept whose values come from there again, in words; None: it is the owner's."""
    living = owner.pool.by_name(name)
    if living is None or living.account.origin == OWNER:
        return None
    origin = living.account.origin
    if not origin.startswith(FILES):
        return "declared in the settings"
    path = owner.sources.path_of(origin) if owner.sources is not None else None
    return f"kept in the file {path or origin.removeprefix(FILES)}"


def refuse_declared_key(owner: Owner, name: str) -> None:
    """A declared key comes back at the next start. Tokens do not: the settings hold only the first ones, and
    into a file the new ones are written."""
    living = find(owner, name)
    if living.account.kind is Kind.API_KEY:
        _refuse_declared(owner, name, "would have its old secret again at the next start")


def _refuse_declared(owner: Owner, name: str, what: str, *, or_else: str = "") -> None:
    """A change that does not last is none. Raises UnknownAccount as well."""
    find(owner, name)
    if (where := kept_elsewhere(owner, name)) is not None:
        raise Conflict(f"The account {name} is {where} and {what}", hint=f"Change {_place(where)}{or_else}.")


def mend_of_a_refusal(owner: Owner, name: str) -> str:
    """What gives a refused account a credential again. A key that is kept elsewhere is changed there."""
    where = kept_elsewhere(owner, name)
    if where is None or find(owner, name).account.kind is not Kind.API_KEY:
        return f"headgate account reauth {name}"
    return f"Put a new key into {_place(where)}."


def _place(where: str) -> str:
    """What to open in an editor, by the words of `kept_elsewhere`."""
    file = where.removeprefix("kept in the file ")
    return file if file != where else "`accounts` in the settings file"


def view_in_force(owner: Owner, account: Account) -> AccountView:
    """The saved account takes the place of the old one in the pool; its health stays."""
    owner.pool.put(account)
    return view_of(owner, find(owner, account.name))


def views(owner: Owner, *, model: str | None = None, session: str | None = None) -> list[AccountView]:
    """In the order in which the accounts were put in."""
    everybody = sorted(owner.pool.living.values(), key=lambda one: one.account.id)
    running, now = owner.pool.running(), owner.clock.now()
    providers = {one.account.provider for one in everybody}
    skipped = {provider: owner.pool.explain(provider, model, session=session) for provider in providers}
    return [
        account_view(
            one, skipped[one.account.provider].get(one.account.name), running=running.get(one.id), now=now
        )
        for one in everybody
    ]


def view_of(owner: Owner, living: LivingAccount) -> AccountView:
    account = living.account
    skipped = owner.pool.explain(account.provider, None).get(account.name)
    running = owner.pool.running().get(living.id)
    return account_view(living, skipped, running=running, now=owner.clock.now())


def find(owner: Owner, name: str) -> LivingAccount:
    """Raises UnknownAccount naming near matches."""
    if (living := owner.pool.by_name(name)) is not None:
        return living
    raise unknown(owner, name)


def unknown(owner: Owner, name: str) -> UnknownAccount:
    names = list(owner.pool.living)
    return UnknownAccount(
        f"There is no {named_in_vain('account', name, names)}",
        hint="headgate account list shows all." if names else "headgate account add puts the first one in.",
    )


def named_in_vain(kind: str, name: str, names: Collection[str]) -> str:
    """`account named lapto; did you mean laptop?`: what was typed, and what is near it among `names`."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    shown = name if name.isprintable() and name.strip() == name != "" else repr(name)
    return f"{kind} named {shown[:128]}{meant}"


def check_provider(owner: Owner, provider: str) -> None:
    if provider not in owner.providers:
        known = ", ".join(sorted(owner.providers))
        raise InvalidRequest(f"provider: unknown provider {provider[:64]!r}", hint=f"Known: {known}.")
