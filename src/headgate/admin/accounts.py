"""The owner's accounts: `/api/accounts`. No answer ever holds a secret.

A change is in the database and in force in the living pool before it is answered.
"""

import difflib
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.views import AccountView, account_view
from headgate.config.fields import ACCOUNT_NAME_PATTERN
from headgate.errors import Conflict, InvalidRequest, UnknownAccount
from headgate.pool.accounts import Account, Credential
from headgate.pool.living import LivingAccount
from headgate.storage.accounts import SETTINGS, AccountDraft

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


def _check_key(value: SecretStr) -> SecretStr:
    """A key with a line break in it would break the header it travels in."""
    key = value.get_secret_value().strip()
    if not key:
        raise ValueError("must not be empty")
    if not all("!" <= character <= "~" for character in key):
        raise ValueError("must be printable ASCII without white space")
    return SecretStr(key)


def _check_base_url(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError for a port that is none
    if "@" in parts.netloc:
        raise ValueError("must hold no credentials")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address beginning with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("must hold no query and no fragment")
    return value.rstrip("/")


Name = Annotated[str, Field(pattern=ACCOUNT_NAME_PATTERN)]
ApiKey = Annotated[SecretStr, AfterValidator(_check_key)]
BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
Share = Annotated[int, Field(ge=1, le=1_000_000)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Model = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(max_length=256)]


class NewAccount(BaseModel):
    """An account to be put in."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name
    provider: str = "anthropic"
    api_key: ApiKey
    base_url: BaseUrl | None = None
    priority: Priority = 0
    weight: Share = 1
    tier: Share = 1
    models: list[Model] = Field(default_factory=list, max_length=1000)
    email: Label | None = None
    domain: Label | None = None


class AccountChange(BaseModel):
    """Only the fields that are sent change; `null` empties one that may be empty."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name = ""
    api_key: ApiKey = SecretStr("")
    base_url: BaseUrl | None = None
    priority: Priority = 0
    weight: Share = 1
    tier: Share = 1
    models: list[Model] = Field(default_factory=list, max_length=1000)
    email: Label | None = None
    domain: Label | None = None


class NewSecret(BaseModel):
    """A new secret for an account that is there."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key: ApiKey


class AccountList(BaseModel):
    accounts: list[AccountView]


class RemovedAccount(BaseModel):
    removed: str


ItsName = Annotated[str, Path(description="Name of the account.")]


@router.get("", operation_id="list_accounts")
async def list_accounts(owner: ItsOwner) -> AccountList:
    """All accounts in the order in which they were put in."""
    return AccountList(accounts=views(owner))


@router.post("", operation_id="add_account", status_code=201)
async def add_account(owner: ItsOwner, wanted: NewAccount) -> AccountView:
    """409 when the name is taken, or when another account has the same secret."""
    _check_provider(owner, wanted.provider)
    fields = wanted.model_dump(exclude={"api_key", "models"})
    secret = Credential(wanted.api_key.get_secret_value())
    draft = AccountDraft(**fields, secret=secret, models=tuple(wanted.models))
    async with owner.changing:
        return _in_force(owner, await owner.accounts.add(draft))


@router.get("/{name}", operation_id="get_account")
async def get_account(owner: ItsOwner, name: ItsName) -> AccountView:
    return view_of(owner, find(owner, name))


@router.patch("/{name}", operation_id="change_account")
async def change_account(owner: ItsOwner, name: ItsName, change: AccountChange) -> AccountView:
    """A new secret also ends a state that the old one was refused for."""
    changes: dict[str, Any] = change.model_dump(exclude_unset=True, exclude={"name", "api_key"})
    if "api_key" in change.model_fields_set:
        changes["secret"] = Credential(change.api_key.get_secret_value())
    async with owner.changing:
        account = find(owner, name).account
        if "name" in change.model_fields_set:
            account = await owner.accounts.rename(name, change.name)
        if changes:
            account = await owner.accounts.update(account.name, changes)
        return _in_force(owner, account)


@router.delete("/{name}", operation_id="remove_account")
async def remove_account(owner: ItsOwner, name: ItsName) -> RemovedAccount:
    """Its secret and health are gone, its history stays. What runs on it ends in peace."""
    async with owner.changing:
        find(owner, name)
        if await _is_declared(owner, name):
            raise Conflict(
                f"The account {name} is declared in the settings and would come back at the next start",
                hint="Take it out of `accounts` in the settings file, or pause it.",
            )
        await owner.accounts.remove(name)
        owner.pool.remove(name)
    return RemovedAccount(removed=name)


@router.post("/{name}/pause", operation_id="pause_account")
async def pause_account(owner: ItsOwner, name: ItsName) -> AccountView:
    """No further request goes to it; those that run end in peace. Pausing twice is no error."""
    async with owner.changing:
        find(owner, name)
        return _in_force(owner, await owner.accounts.update(name, {"paused": True}))


@router.post("/{name}/resume", operation_id="resume_account")
async def resume_account(owner: ItsOwner, name: ItsName) -> AccountView:
    """Ends a pause, and every rest that waits for the owner. A provider's stated reset stays."""
    async with owner.changing:
        find(owner, name)
        account = await owner.accounts.update(name, {"paused": False})
        owner.pool.resume(name)
        return _in_force(owner, account)


@router.post("/{name}/reauth", operation_id="reauth_account")
async def reauth_account(owner: ItsOwner, name: ItsName, renewed: NewSecret) -> AccountView:
    """A new secret takes the old one's place; what the old one was refused or limited for is over."""
    async with owner.changing:
        find(owner, name)
        if await _is_declared(owner, name):
            raise Conflict(
                f"The account {name} has its secret from the settings and would take it up again",
                hint="Change its `api_key` in the settings file, then restart.",
            )
        secret = Credential(renewed.api_key.get_secret_value())
        return _in_force(owner, await owner.accounts.update(name, {"secret": secret}))


async def _is_declared(owner: Owner, name: str) -> bool:
    return name in await owner.accounts.names(origin=SETTINGS)


def _in_force(owner: Owner, account: Account) -> AccountView:
    """The saved account takes the place of the old one in the pool; its health stays."""
    owner.pool.put(account)
    return view_of(owner, find(owner, account.name))


def views(owner: Owner) -> list[AccountView]:
    """In the order in which the accounts were put in."""
    return [view_of(owner, one) for one in sorted(owner.pool.living.values(), key=lambda one: one.account.id)]


def view_of(owner: Owner, living: LivingAccount) -> AccountView:
    account = living.account
    skipped = owner.pool.explain(account.provider, None).get(account.name)
    return account_view(living, skipped)


def find(owner: Owner, name: str) -> LivingAccount:
    """Raises UnknownAccount naming near matches."""
    if (living := owner.pool.by_name(name)) is not None:
        return living
    names = [one.account.name for one in owner.pool.living.values()]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UnknownAccount(
        f"There is no account named {name}{meant}",
        hint="headgate account list shows all." if names else "headgate account add puts the first one in.",
    )


def _check_provider(owner: Owner, provider: str) -> None:
    if provider not in owner.providers:
        known = ", ".join(sorted(owner.providers))
        raise InvalidRequest(f"provider: unknown provider {provider}", hint=f"Known: {known}.")
