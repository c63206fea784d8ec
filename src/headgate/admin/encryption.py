"""The key that stored secrets are sealed with: `POST /api/database/rotate-key`. No answer holds one."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, SecretStr

from headgate.admin.account_forms import Form
from headgate.admin.accounts import log
from headgate.admin.owner import ItsOwner
from headgate.config.places import SECRET_KEY_VARIABLE
from headgate.errors import AdminKeyRequired
from headgate.storage.rotation import needs_a_key, rotate

router = APIRouter(tags=["data"])


class WantedKey(Form):
    new_key: Annotated[SecretStr, Field(max_length=4096)] | None = Field(
        default=None, description="Over the control socket only; null: one is made, or is in front already."
    )


class KeyRotation(BaseModel):
    rotated: bool
    why_not: str | None = Field(description="Why the new key is the owner's to make; then nothing was done.")
    sealed: int = Field(description="Accounts whose secrets are sealed with the new key.")
    closed: list[str] = Field(description="Accounts that no known key opens; they stay as they are.")
    place: str = Field(description="Where the keys stand: a file, or the variable of the environment.")
    old_keys_are_gone: bool = Field(description="false: whoever wrote them there takes them away.")


@router.post("/api/database/rotate-key", operation_id="rotate_key")
async def rotate_key(request: Request, owner: ItsOwner, wanted: WantedKey) -> KeyRotation:
    """Seals every stored secret with a new encryption key. Requests go on meanwhile."""
    new_key = None if wanted.new_key is None else wanted.new_key.get_secret_value()
    if new_key is not None and request.scope.get("headgate.local_owner") is not True:
        raise AdminKeyRequired(
            "A key is taken over the control socket only, whatever the admin key",
            hint="headgate db rotate-key on the gateway's own machine.",
        )
    box = owner.secrets
    place = SECRET_KEY_VARIABLE if box.file is None else str(box.file)
    why_not = None if new_key is not None else needs_a_key(owner.database, box)
    if why_not is not None:
        return KeyRotation(
            rotated=False, why_not=why_not, sealed=0, closed=[], place=place, old_keys_are_gone=False
        )
    change = owner.change("db.rotate_key", "encryption key", line=_line, log=log)
    async with owner.changing:
        done = await rotate(owner.database, owner.accounts, box, new_key, change=change)
    return KeyRotation(
        rotated=True,
        why_not=None,
        sealed=done.sealed,
        closed=list(done.closed),
        place=place,
        old_keys_are_gone=done.old_keys_are_gone,
    )


def _line(done: dict[str, Any]) -> str:
    return f"The encryption key was changed: {done['sealed']} accounts are sealed anew"
