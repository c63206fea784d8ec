"""New tokens on the owner's word: `POST /api/accounts/{name}/refresh`."""

from fastapi import APIRouter

from headgate.admin.accounts import ItsName, find, view_of
from headgate.admin.owner import ItsOwner
from headgate.admin.views import AccountView
from headgate.errors import Conflict
from headgate.pool.accounts import Kind

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


@router.post("/{name}/refresh", operation_id="refresh_account")
async def refresh_account(owner: ItsOwner, name: ItsName) -> AccountView:
    """Asks the provider for new tokens, whatever failed before. An API key has none: 409."""
    living = find(owner, name)
    if living.account.kind is Kind.API_KEY:
        raise Conflict(
            f"The account {name} has an API key, which does not expire: there is nothing to refresh",
            hint=f"headgate account test {name} sees whether the key is taken, headgate account reauth "
            f"{name} gives it a new one.",
        )
    await owner.sign_in.refresher.renew(living, living.account.credential, insists=True)
    return view_of(owner, living)
