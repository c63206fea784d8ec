"""Accounts in one piece, out and in: `GET /api/export/accounts`, `POST /api/import/accounts`.

The form is that of the setting `accounts`, so that an export can also be pasted there.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from headgate.admin import account_changes
from headgate.admin.account_forms import CarriedAccount, Form
from headgate.admin.accounts import check_provider, kept_elsewhere, log
from headgate.admin.owner import ItsOwner, Owner
from headgate.config.proxies import shown
from headgate.errors import AdminKeyRequired, ImportRefused
from headgate.pool.accounts import Account, Kind
from headgate.storage.credentials import source_digest
from headgate.storage.drafts import AccountDraft

router = APIRouter(prefix="/api", tags=["accounts"])

_FIELDS = (
    *("provider", "base_url", "proxy", "priority", "weight", "tier"),
    *("concurrency", "models", "email", "domain", "paused"),
)
_MOST_ACCOUNTS = 10_000


class ExportedTokens(BaseModel):
    access_token: str
    refresh_token: str | None
    expires_at: float | None = Field(description="Unix seconds.")
    scopes: list[str]


class ExportedAccount(BaseModel):
    name: str
    provider: str
    api_key: str | None = None
    oauth: ExportedTokens | None = None
    base_url: str | None
    proxy: str | None = Field(default=None, description="Left out where it would lack its credentials.")
    priority: int
    weight: int
    tier: int
    concurrency: int | None
    models: list[str]
    email: str | None
    domain: str | None
    paused: bool


class Export(BaseModel):
    accounts: list[ExportedAccount]


class Import(Form):
    accounts: list[CarriedAccount] = Field(max_length=_MOST_ACCOUNTS)
    replace: bool = Field(default=False, description="Change accounts of these names instead of refusing.")
    keep: bool = Field(
        default=False, description="Leave accounts that are there as they are: for what was taken in before."
    )
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class Imported(BaseModel):
    """What was done, or would be."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    kept: dict[str, str] = Field(description="With `keep`: by name, how what is here differs, in words.")
    here_as: dict[str, str] = Field(description="By name: that of the account which has this credential.")
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
            hint="headgate account export on the gateway's own machine.",
        )
    accounts = sorted((one.account for one in owner.pool.living.values()), key=lambda one: one.id)
    return Export(accounts=[_exported(one, with_secrets=with_secrets) for one in accounts])


def _exported(account: Account, *, with_secrets: bool) -> ExportedAccount:
    fields: dict[str, Any] = {field: getattr(account, field) for field in ("name", *_FIELDS)}
    if account.proxy is not None and not with_secrets and shown(account.proxy) != account.proxy:
        del fields["proxy"]
    credential = account.credential if with_secrets else None
    if credential is not None and account.kind is Kind.OAUTH:
        fields["oauth"] = ExportedTokens(
            access_token=credential.secret,
            refresh_token=credential.refresh_token,
            expires_at=credential.expires_at,
            scopes=list(credential.scopes),
        )
    elif credential is not None:
        fields["api_key"] = credential.secret
    return ExportedAccount(**{**fields, "models": list(account.models)})


@router.post("/import/accounts", operation_id="import_accounts")
async def import_accounts(owner: ItsOwner, wanted: Import) -> Imported:
    """All or nothing: one account that cannot be taken keeps out the others too (409, all reasons)."""
    for carried in wanted.accounts:
        check_provider(owner, carried.provider)
    async with owner.changing:
        here = _Here(owner, await owner.accounts.beginnings())
        plan = _plan(here, wanted)
        if plan.conflicts and not wanted.dry_run:
            raise ImportRefused(
                f"Nothing was imported: {'; '.join(plan.conflicts)}",
                hint="headgate account import FILE --dry-run shows what would be done; --replace changes "
                "accounts of the same name.",
            )
        if not wanted.dry_run:
            await _take(wanted, plan, here)
    return plan


def _plan(here: "_Here", wanted: Import) -> Imported:
    plan = Imported(
        added=[], changed=[], unchanged=[], kept={}, here_as={}, conflicts=[], dry_run=wanted.dry_run
    )
    plan.conflicts += _twice(wanted.accounts)
    for carried in wanted.accounts:
        twin = here.with_credential_of(carried)
        is_to_change = wanted.replace and twin is not None and twin.name == carried.name
        if wanted.keep and twin is not None and not is_to_change:
            _keep(plan, carried, twin, here)
        elif why_not := here.conflict(carried, twin, replaces=wanted.replace):
            plan.conflicts.append(f"{carried.name}: {why_not}")
        elif (living := here.owner.pool.by_name(carried.name)) is None:
            plan.added.append(carried.name)
        elif here.changes(carried, living.account):
            plan.changed.append(carried.name)
        else:
            plan.unchanged.append(carried.name)
    return plan


def _keep(plan: Imported, carried: CarriedAccount, twin: Account, here: "_Here") -> None:
    """Its owner may have renamed and changed it since."""
    differs = sorted(here.changes(carried, twin))
    if twin.name != carried.name:
        plan.here_as[carried.name] = twin.name
        plan.kept[carried.name] = f"is here as {twin.name}"
    elif differs:
        plan.kept[carried.name] = f"is here, with another {', '.join(differs)}"
    else:
        plan.unchanged.append(carried.name)


def _twice(accounts: list[CarriedAccount]) -> list[str]:
    names = Counter(one.name for one in accounts)
    said = [f"{name}: is in it {count} times" for name, count in names.items() if count > 1]
    by_secret: dict[tuple[str, str], list[str]] = {}
    for one in accounts:
        if (credential := one.credential) is not None:
            secret = credential.refresh_token or credential.secret
            by_secret.setdefault((one.provider, secret), []).append(one.name)
    return said + [f"{', '.join(same)}: have the same key" for same in by_secret.values() if len(same) > 1]


@dataclass(frozen=True, slots=True)
class _Here:
    """The accounts that are here, and how one that comes stands to them."""

    owner: Owner
    beginnings: Mapping[str, str]

    def with_credential_of(self, carried: CarriedAccount) -> Account | None:
        living = self.owner.pool.living.values()
        found = [one.account for one in living if self._is_of(carried, one.account)]
        return next((one for one in found if one.name == carried.name), found[0] if found else None)

    def conflict(self, carried: CarriedAccount, twin: Account | None, *, replaces: bool) -> str | None:
        """Why it cannot be taken; None: it can."""
        there = self.owner.pool.by_name(carried.name)
        if there is None and carried.credential is None:
            return "has no api_key and no oauth (account export leaves them out with --no-secrets)"
        where = kept_elsewhere(self.owner, carried.name)
        if there is not None and where is not None and self.changes(carried, there.account):
            return f"is {where}, which would undo this at the next start"
        if there is not None and not replaces and self.changes(carried, there.account):
            return "there is an account of that name"
        if twin is not None and twin.name != carried.name:
            return f"has the same key as {twin.name}"
        return None

    def changes(self, carried: CarriedAccount, account: Account) -> dict[str, Any]:
        """What would be different; a key or a proxy that is left out stays as it is."""
        found: dict[str, Any] = {}
        for field in _FIELDS:
            if field == "proxy" and field not in carried.model_fields_set:
                continue
            new, old = getattr(carried, field), getattr(account, field)
            if (tuple(new) if field == "models" else new) != old:
                found[field] = new
        if carried.credential is not None and not self._is_of(carried, account):
            found |= {"kind": carried.kind, "secret": carried.credential}
        return found

    def _is_of(self, carried: CarriedAccount, account: Account) -> bool:
        """Tokens that were refreshed since are still those of the sign-in that they began with."""
        new, old = carried.credential, account.credential
        if new is None or carried.kind is not account.kind or carried.provider != account.provider:
            return False
        if carried.kind is Kind.OAUTH and self.beginnings.get(account.name) == source_digest(new):
            return True
        return old is not None and new == replace(old, version=new.version)


async def _take(wanted: Import, plan: Imported, here: "_Here") -> None:
    drafts, changes, owner = [], {}, here.owner
    for carried in wanted.accounts:
        if carried.name in plan.added:
            assert carried.credential is not None, "or it would have been a conflict"
            fields = {field: getattr(carried, field) for field in _FIELDS}
            fields |= {"models": tuple(carried.models), "kind": carried.kind, "secret": carried.credential}
            drafts.append(AccountDraft(**fields, name=carried.name))
        elif carried.name in plan.changed:
            living = owner.pool.by_name(carried.name)
            assert living is not None
            changes[carried.name] = here.changes(carried, living.account)
    there = {name: owner.pool.by_name(name) for name in changes}
    before = {
        name: account_changes.before(living.account, changes[name])
        for name, living in there.items()
        if living is not None
    }
    after = {draft.name: account_changes.whole(draft) for draft in drafts}
    after |= {name: account_changes.fields_of(values) for name, values in changes.items()}
    names = ", ".join([*plan.added, *plan.changed])
    change = owner.change(
        "account.import",
        names if len(after) == 1 else "accounts",
        before=before or None,
        after=after,
        line=f"Accounts imported: {names or 'none'}",
        log=log,
    )
    if not after:
        change.tell()
        return
    for account in await owner.accounts.take(drafts, changes, change=change):
        owner.pool.put(account)
