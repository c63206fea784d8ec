"""Accounts in one piece, out and in: `GET /api/export/accounts`, `POST /api/import/accounts`.

The form is that of the setting `accounts`, so that an export can also be pasted there.
"""

from collections import Counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from headgate.admin.account_forms import CarriedAccount, Form
from headgate.admin.accounts import check_provider, declared_names, log
from headgate.admin.owner import ItsOwner, Owner
from headgate.errors import AdminKeyRequired, ImportRefused
from headgate.pool.accounts import Account, Credential
from headgate.storage.accounts import AccountDraft

router = APIRouter(prefix="/api", tags=["accounts"])

_FIELDS = ("provider", "base_url", "priority", "weight", "tier", "models", "email", "domain", "paused")
_MOST_ACCOUNTS = 10_000


class ExportedAccount(BaseModel):
    name: str
    provider: str
    api_key: str | None = None
    base_url: str | None
    priority: int
    weight: int
    tier: int
    models: list[str]
    email: str | None
    domain: str | None
    paused: bool


class Export(BaseModel):
    accounts: list[ExportedAccount]


class Import(Form):
    accounts: list[CarriedAccount] = Field(max_length=_MOST_ACCOUNTS)
    replace: bool = Field(default=False, description="Change accounts of these names instead of refusing.")
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class Imported(BaseModel):
    """What was done, or would be."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    conflicts: list[str] = Field(description="Why not, in words; then nothing is done.")
    dry_run: bool


WithSecrets = Annotated[
    Literal["true", "false"], Query(description="`true`: over the control socket only, never over TCP.")
]


@router.get("/export/accounts", operation_id="export_accounts", response_model_exclude_unset=True)
async def export_accounts(request: Request, owner: ItsOwner, secrets: WithSecrets = "false") -> Export:
    """All accounts, those of the settings too. Secrets are left out unless asked for."""
    with_secrets = secrets == "true"
    if with_secrets and request.scope.get("headgate.local_owner") is not True:
        raise AdminKeyRequired(
            "Secrets leave over the control socket only, whatever the key",
            hint="headgate account export --with-secrets on the gateway's own machine.",
        )
    accounts = sorted((one.account for one in owner.pool.living.values()), key=lambda one: one.id)
    return Export(accounts=[_exported(one, with_secrets=with_secrets) for one in accounts])


def _exported(account: Account, *, with_secrets: bool) -> ExportedAccount:
    fields: dict[str, Any] = {field: getattr(account, field) for field in ("name", *_FIELDS)}
    if with_secrets and account.credential is not None:
        fields["api_key"] = account.credential.secret
    return ExportedAccount(**{**fields, "models": list(account.models)})


@router.post("/import/accounts", operation_id="import_accounts")
async def import_accounts(owner: ItsOwner, wanted: Import) -> Imported:
    """All or nothing: one account that cannot be taken keeps out the others too (409, all reasons)."""
    for carried in wanted.accounts:
        check_provider(owner, carried.provider)
    async with owner.changing:
        plan = await _plan(owner, wanted)
        if plan.conflicts and not wanted.dry_run:
            raise ImportRefused(
                f"Nothing was imported: {'; '.join(plan.conflicts)}",
                hint="headgate account import FILE --dry-run shows what would be done; --replace changes "
                "accounts of the same name.",
            )
        if not wanted.dry_run:
            await _take(owner, wanted, plan)
            log.info("Accounts imported: %s", ", ".join([*plan.added, *plan.changed]) or "none")
    return plan


async def _plan(owner: Owner, wanted: Import) -> Imported:
    declared = await declared_names(owner)
    plan = Imported(added=[], changed=[], unchanged=[], conflicts=[], dry_run=wanted.dry_run)
    plan.conflicts += _twice(wanted.accounts)
    for carried in wanted.accounts:
        if why_not := _conflict(owner, carried, declared, replaces=wanted.replace):
            plan.conflicts.append(f"{carried.name}: {why_not}")
        elif (living := owner.pool.by_name(carried.name)) is None:
            plan.added.append(carried.name)
        elif _changes(carried, living.account):
            plan.changed.append(carried.name)
        else:
            plan.unchanged.append(carried.name)
    return plan


def _twice(accounts: list[CarriedAccount]) -> list[str]:
    names = Counter(one.name for one in accounts)
    keys = Counter((one.provider, key) for one in accounts if (key := _key_of(one)))
    said = [f"{name}: is in it {count} times" for name, count in names.items() if count > 1]
    return said + [
        f"{', '.join(one.name for one in accounts if (one.provider, _key_of(one)) == key)}: have the same key"
        for key, count in keys.items()
        if count > 1
    ]


def _conflict(owner: Owner, carried: CarriedAccount, declared: set[str], *, replaces: bool) -> str | None:
    """Why it cannot be taken; None: it can."""
    there = owner.pool.by_name(carried.name)
    if there is None and carried.api_key is None:
        return "has no api_key (an export has them with --with-secrets)"
    if there is not None and carried.name in declared and _changes(carried, there.account):
        return "is declared in the settings, which would undo this at the next start"
    if there is not None and not replaces and _changes(carried, there.account):
        return "there is an account of that name"
    secret = Credential(_key_of(carried)) if carried.api_key is not None else None
    for living in owner.pool.living.values():
        account = living.account
        is_another = account.name != carried.name and account.provider == carried.provider
        if is_another and secret is not None and account.credential == secret:
            return f"has the same key as {account.name}"
    return None


def _changes(carried: CarriedAccount, account: Account) -> dict[str, Any]:
    """What would be different; a key that is left out stays as it is."""
    found: dict[str, Any] = {}
    for field in _FIELDS:
        new, old = getattr(carried, field), getattr(account, field)
        if (tuple(new) if field == "models" else new) != old:
            found[field] = new
    if carried.api_key is not None and account.credential != Credential(_key_of(carried)):
        found["secret"] = Credential(_key_of(carried))
    return found


def _key_of(carried: CarriedAccount) -> str:
    return carried.api_key.get_secret_value() if carried.api_key is not None else ""


async def _take(owner: Owner, wanted: Import, plan: Imported) -> None:
    drafts, changes = [], {}
    for carried in wanted.accounts:
        if carried.name in plan.added:
            fields = {field: getattr(carried, field) for field in _FIELDS}
            secret = Credential(_key_of(carried))
            drafts.append(
                AccountDraft(**{**fields, "models": tuple(carried.models)}, name=carried.name, secret=secret)
            )
        elif carried.name in plan.changed:
            living = owner.pool.by_name(carried.name)
            assert living is not None
            changes[carried.name] = _changes(carried, living.account)
    for account in await owner.accounts.take(drafts, changes):
        owner.pool.put(account)
