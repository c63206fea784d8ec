"""The history and the database: `/api/database`, `/api/history/clear`, `/api/stats/reset`."""

import logging
from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from headgate.admin.account_forms import Form
from headgate.admin.owner import ItsOwner
from headgate.storage import upkeep
from headgate.storage.counters import CounterStore
from headgate.storage.history import clear_before

MOST_AT_ONCE = 50_000
"""Requests that one call deletes: it stays a matter of seconds."""

_LAST_MS = 10**15
_AHEAD_MS = 60_000
"""What is less ahead came in while records were being stored: it stays."""

_log = logging.getLogger("headgate.data")

router = APIRouter(tags=["data"])


class PartitionView(BaseModel):
    """A month of the history."""

    table: str = Field(description="requests or attempts.")
    name: str
    since_ms: int | None = Field(description="Unix milliseconds; null: all that is older.")
    until_ms: int | None = Field(description="The first moment that is not in it; null: all that is newer.")
    size_bytes: int = Field(description="With its indexes.")


class DatabaseView(BaseModel):
    kind: str = Field(description="sqlite or postgresql.")
    location: str
    revision: str | None
    newest_revision: str = Field(description="That this version of Headgate knows.")
    size_bytes: int
    rows: dict[str, int] = Field(description="By table.")
    oldest_request_at: int | None
    newest_request_at: int | None
    partitions: list[PartitionView] = Field(description="On PostgreSQL, from the oldest; on SQLite none.")
    journal_lag_bytes: int | None = Field(
        description="Of records on their way into it; null: nothing relays."
    )


class CheckView(BaseModel):
    ok: bool
    problems: list[str]
    checked: list[str] = Field(description="What was looked at.")


class WhatToClear(Form):
    before: int | None = Field(
        default=None, ge=0, le=_LAST_MS, description="Unix milliseconds; null: all that there is by now."
    )
    deleted_before: int = Field(
        default=0, ge=0, le=2**53, description="By earlier calls of the same clearing: for the log alone."
    )


class Cleared(BaseModel):
    deleted: int
    before: int = Field(description="Unix milliseconds; send it along when calling again.")
    complete: bool = Field(description="False: there are more, call again.")
    settled: bool = Field(
        description="False: records from before are still on their way into the database and will appear."
    )


class Reset(BaseModel):
    accounts: int = Field(description="How many had their counters set to zero.")


@router.get("/api/database", operation_id="get_database")
async def get_database(owner: ItsOwner) -> DatabaseView:
    """Where it is, how large, how old."""
    lag = owner.process.recorder.lag_bytes if owner.process else None
    return DatabaseView(**asdict(await upkeep.info(owner.database)), journal_lag_bytes=lag)


@router.post("/api/database/check", operation_id="check_database")
async def check_database(owner: ItsOwner) -> CheckView:
    """Integrity, schema, orphans, and whether sums and requests agree. Reads the whole file: on a large one
    this takes its time."""
    result = await upkeep.check(owner.database)
    return CheckView(ok=result.is_ok, problems=result.problems, checked=result.checked)


@router.post("/api/history/clear", operation_id="clear_history")
async def clear_history(owner: ItsOwner, wanted: WhatToClear) -> Cleared:
    """Delete requests with their attempts and the sums of their time; accounts, counters and settings stay.

    What has happened but waits in the journal is stored first, so that it does not come back later.
    """
    before = wanted.before if wanted.before is not None else round(owner.clock.now() * 1000)
    settled = await owner.settle()
    if wanted.before is None:
        newest = await owner.requests.newest_ms()
        if newest > before + _AHEAD_MS:  # of a clock that was ahead: all means these as well
            before = min(newest + 1, _LAST_MS)
    deleted = await clear_before(owner.database, before, most=MOST_AT_ONCE)
    is_complete = deleted < MOST_AT_ONCE
    line = f"History cleared: {wanted.deleted_before + deleted} requests deleted" if is_complete else ""
    after = {"before": before, "deleted": deleted, "complete": is_complete}
    await owner.note(owner.change("history.clear", "history", after=after, line=line, log=_log))
    return Cleared(deleted=deleted, before=before, complete=is_complete, settled=settled)


@router.post("/api/stats/reset", operation_id="reset_stats")
async def reset_stats(owner: ItsOwner) -> Reset:
    """Every account's counters to zero. The history stays, and so does what an account rests for."""
    await owner.settle()
    async with owner.changing:
        change = owner.change("stats.reset", "counters", line=_reset_line, log=_log)
        accounts = await CounterStore(owner.database).reset(change=change)
        owner.pool.reset_counts()
    return Reset(accounts=accounts)


def _reset_line(done: dict[str, int]) -> str:
    accounts = done["accounts"]
    return f"Counters of {accounts} {'account' if accounts == 1 else 'accounts'} begin anew"
