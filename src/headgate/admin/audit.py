"""What the owner changed: `GET /api/audit`. There is no way to clear it: what is old goes by itself."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from headgate.admin.owner import ItsOwner

router = APIRouter(prefix="/api/audit", tags=["audit"])

Action = Literal[
    "account.add",
    "account.change",
    "account.import",
    "account.pause",
    "account.reauth",
    "account.remove",
    "account.rename",
    "account.resume",
    "auth_file.disable",
    "auth_file.enable",
    "auth_file.put",
    "auth_file.remove",
    "config.change",
    "config.reload",
    "config.replace",
    "db.rotate_key",
    "history.clear",
    "key.change",
    "key.create",
    "key.import",
    "key.revoke",
    "key.rotate",
    "stats.reset",
    "strategy.set",
]


class AuditEntry(BaseModel):
    """One change. No secret is in it: one that changed is `***` before and after."""

    id: int
    changed_at: int = Field(description="Unix milliseconds.")
    who: str = Field(
        description="admin_key, session, local (a command), this_machine (no admin key is set), sign_in, "
        "settings_file or signal."
    )
    address: str | None = Field(description="Of the connection; null: there was none.")
    action: str = Field(description="Stable word, such as account.rename.")
    object: str = Field(description="Name of the account, path of the setting, and the like.")
    before: Any = Field(description="What it took the place of; null: nothing.")
    after: Any = Field(description="What it is now; null: it is gone, or nobody knows.")
    succeeded: bool
    error: str | None = Field(description="Code of what kept it from being made.")


class AuditPage(BaseModel):
    changes: list[AuditEntry]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last one.")


@router.get("", operation_id="list_changes")
async def list_changes(
    owner: ItsOwner,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 50,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
    action: Annotated[Action | None, Query(description="Only those.")] = None,
    of: Annotated[str | None, Query(alias="object", max_length=256, description="Only those of one.")] = None,
) -> AuditPage:
    """Newest first."""
    rows, next_cursor = await owner.audit.page(limit=limit, cursor=cursor, action=action, of=of)
    return AuditPage(changes=[_entry(row) for row in rows], next_cursor=next_cursor)


def _entry(row: dict[str, Any]) -> AuditEntry:
    fields = {name: row[name] for name in row if name != "at_ms"}
    return AuditEntry(**fields, changed_at=row["at_ms"], succeeded=row["error"] is None)
