"""Is it up, can it serve: `/health`, `/healthz`, `/ready`. Open to everybody, so nothing private in it."""

import asyncio
from collections import Counter
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.problems import problem
from headgate.errors import StorageError

STORAGE_TIMEOUT_SECONDS = 2.0
"""A health check that waits longer than its own caller does says nothing."""

STATUSES = ("active", "paused", "rate_limited", "expired", "needs_reauth", "disabled")

WAITING = ("expired", "needs_reauth", "disabled")
"""States that no time ends."""

router = APIRouter(tags=["health"])


class Trouble(BaseModel):
    """One thing that the owner should mend."""

    code: str = Field(description="Stable word for programs.")
    reason: str
    hint: str = ""


class HealthView(BaseModel):
    """`code` and `reason` are those of the first trouble that degrades it; absent while none does."""

    status: Literal["ok", "degraded"]
    version: str
    uptime: int = Field(description="Milliseconds since the start.")
    accounts: dict[str, int] = Field(description="`total`, and how many are in each state.")
    code: str | None = None
    reason: str | None = None
    troubles: list[Trouble] = Field(default_factory=list)


class Ready(BaseModel):
    status: Literal["ready"] = "ready"


@router.head("/health", include_in_schema=False)
@router.head("/healthz", include_in_schema=False)
@router.get("/health", operation_id="health", response_model=HealthView)
@router.get("/healthz", operation_id="healthz", response_model=HealthView)
async def health(owner: ItsOwner) -> Response:
    """200 also when degraded: the process is up, and a restart would not help."""
    view = await health_of(owner)
    return JSONResponse(view.model_dump(exclude_none=True))


@router.head("/ready", include_in_schema=False)
@router.get("/ready", operation_id="ready", response_model=Ready)
async def ready(owner: ItsOwner) -> Response:
    """200 when traffic may be sent here. Accounts do not count: without any, the owner must get in."""
    if owner.process is not None and owner.process.is_draining:
        return problem(503, "stopping", "The gateway is stopping", hint="Send traffic to another one.")
    if trouble := await storage_trouble(owner):
        return problem(503, trouble.code, trouble.reason, hint=trouble.hint)
    return JSONResponse(Ready().model_dump())


async def health_of(owner: Owner) -> HealthView:
    troubles = [found for found in (await storage_trouble(owner), *_record_troubles(owner)) if found]
    counts = account_counts(owner)
    if not counts["active"]:
        troubles.append(_no_account_trouble(counts))
    elif trouble := _owner_trouble(counts):
        troubles.append(trouble)
    first = troubles[0] if troubles else None
    troubles += settings_notices(owner)
    return HealthView(
        status="degraded" if first else "ok",
        version=owner.version,
        uptime=uptime_ms(owner),
        accounts=counts,
        code=first.code if first else None,
        reason=first.reason if first else None,
        troubles=troubles,
    )


def uptime_ms(owner: Owner) -> int:
    return max(0, round((owner.clock.now() - owner.started_at) * 1000))


def account_counts(owner: Owner) -> dict[str, int]:
    """`{"total": 3, "active": 2, "paused": 1, …}`, every state named."""
    counted = Counter(str(living.status) for living in owner.pool.living.values())
    return {"total": counted.total(), **{status: counted[status] for status in STATUSES}}


def _no_account_trouble(counts: dict[str, int]) -> Trouble:
    if not counts["total"]:
        return Trouble(
            code="no_account_configured",
            reason="No account has been put in yet",
            hint="headgate account add NAME --provider anthropic --api-key-stdin",
        )
    states = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return Trouble(
        code="no_account_active",
        reason=f"No account is active: {states}",
        hint="headgate account list shows when a limited one comes back; "
        "headgate account resume ends a pause, headgate account reauth gives a refused one a new key.",
    )


def _owner_trouble(counts: dict[str, int]) -> Trouble | None:
    """The rest still serves, but most of what the owner put in waits for the owner."""
    waiting = sum(counts[status] for status in WAITING)
    wanted = counts["total"] - counts["paused"]
    if waiting * 2 <= wanted:
        return None
    states = ", ".join(f"{counts[status]} {status}" for status in WAITING if counts[status])
    return Trouble(
        code="accounts_need_owner",
        reason=f"{waiting} of {wanted} accounts wait for their owner: {states}",
        hint="headgate status names them, and what mends each.",
    )


def settings_notices(owner: Owner) -> list[Trouble]:
    """Without values, names of files or the like: everybody may read them."""
    configuration, found = owner.configuration, []
    if configuration.failure is not None:
        place = f" ({configuration.failure_place})" if configuration.failure_place else ""
        found.append(
            Trouble(
                code="settings_invalid",
                reason=f"The settings are wrong{place}; those from before stay in force",
                hint="`headgate config check` says all that is wrong.",
            )
        )
    if configuration.unsaved:
        found.append(
            Trouble(
                code="settings_not_saved",
                reason=f"In force until the next stop only: {', '.join(configuration.unsaved)}",
                hint="The settings file could not be written; the log says why.",
            )
        )
    if configuration.waiting:
        found.append(
            Trouble(
                code="restart_needed",
                reason=f"Changed, but kept as before until a restart: {', '.join(configuration.waiting)}",
                hint="Restart the gateway, or take the change back.",
            )
        )
    return found


def _record_troubles(owner: Owner) -> list[Trouble]:
    """What keeps requests from becoming history. None of it keeps them from being served."""
    if owner.process is None:
        return []
    recorder, dropped, found = owner.process.recorder, owner.process.journal_dropped, []
    if not recorder.is_alive:
        found.append(
            Trouble(
                code="recorder_down",
                reason="The recorder process is down; records wait in the journal",
                hint="It is started again by itself; the log has its last words under [Recorder].",
            )
        )
    if recorder.failure:
        found.append(
            Trouble(
                code="recorder_failing",
                reason=f"The history cannot be written: {recorder.failure}",
                hint="Records wait in the journal and are written once the cause is gone.",
            )
        )
    if dropped:
        found.append(
            Trouble(
                code="journal_dropped",
                reason=f"{dropped} records were dropped since the start",
                hint="The journal was full or could not be written: look at free disk space and recorder.",
            )
        )
    return found


async def storage_trouble(owner: Owner) -> Trouble | None:
    """None when the database answers within the time."""
    try:
        async with asyncio.timeout(STORAGE_TIMEOUT_SECONDS):
            await owner.database.check()
    except StorageError as error:
        return _storage_trouble(error.message)
    except TimeoutError:
        return _storage_trouble(f"The database did not answer within {STORAGE_TIMEOUT_SECONDS:g} s")
    return None


def _storage_trouble(reason: str) -> Trouble:
    return Trouble(
        code=StorageError.code,
        reason=reason,
        hint="Requests are still served; their records wait in the journal until it is back.",
    )
