"""Is it up, can it serve: `/health`, `/healthz`, `/ready`. Open to everybody, so nothing private in it."""

import asyncio
import time
from collections import Counter
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from headgate.admin.owner import AskedByOwner, ItsOwner, Owner
from headgate.admin.problems import problem
from headgate.errors import SettingsNotApplied, StorageError
from headgate.record.state import LOW_DISK_BYTES
from headgate.tasks import TaskGroup

STORAGE_TIMEOUT_SECONDS = 2.0
"""A health check that waits longer than its own caller does says nothing."""

STATUSES = ("active", "paused", "rate_limited", "expired", "needs_reauth", "disabled")

WAITING = ("expired", "needs_reauth", "disabled")
"""States that no time ends."""

_MOST_NAMED = 5

_NEW_CERTIFICATE = "Put a new one in the place of the files that server.tls names; no restart is needed."
_ENDS_SOON_SECONDS = 7 * 86_400
"""Authorities renew thirty days ahead: who is left with so few has forgotten, or something is broken."""

router = APIRouter(tags=["health"])


class Trouble(BaseModel):
    """One thing that the owner should mend."""

    code: str = Field(description="Stable word for programs.")
    reason: str
    hint: str = ""
    said_openly: str = Field(default="", exclude=True)
    """What others than the owner are told in the reason's place: it names paths, hosts or counts."""


class HealthView(BaseModel):
    """`code` and `reason` are those of the first trouble that degrades it; absent while none does.

    Troubles that degrade nothing stand behind it. The owner (see the door) is told more than others.
    """

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
async def health(owner: ItsOwner, asked_by_owner: AskedByOwner) -> Response:
    """200 also when degraded: the process is up, and a restart would not help.

    With the admin key, or from this machine while none is set, reasons name paths, hosts and counts.
    """
    view = await health_of(owner)
    if not asked_by_owner:
        view = _for_everybody(view)
    return JSONResponse(view.model_dump(exclude_none=True))


@router.head("/ready", include_in_schema=False)
@router.get("/ready", operation_id="ready", response_model=Ready)
async def ready(owner: ItsOwner, asked_by_owner: AskedByOwner) -> Response:
    """200 when traffic may be sent here. Accounts do not count: without any, the owner must get in."""
    if owner.process is not None and owner.process.is_draining:
        return problem(503, "stopping", "The gateway is stopping", hint="Send traffic to another one.")
    if trouble := await storage_trouble(owner):
        reason = trouble.reason if asked_by_owner else trouble.said_openly
        return problem(503, trouble.code, reason, hint=trouble.hint)
    return JSONResponse(Ready().model_dump())


def _for_everybody(view: HealthView) -> HealthView:
    troubles = [one.model_copy(update={"reason": one.said_openly or one.reason}) for one in view.troubles]
    reason = troubles[0].reason if view.reason is not None else None
    return view.model_copy(update={"troubles": troubles, "reason": reason})


async def health_of(owner: Owner) -> HealthView:
    troubles = [found for found in (await storage_trouble(owner), *_record_troubles(owner)) if found]
    troubles += [*_source_troubles(owner, are_degrading=True), *_certificate_troubles(owner)]
    counts = account_counts(owner)
    waiting = _owner_trouble(owner, counts)
    if not counts["active"]:
        troubles.append(_no_account_trouble(counts))
    elif waiting and _are_most_waiting(counts):
        troubles.append(waiting)
    first = troubles[0] if troubles else None
    if waiting and counts["active"] and waiting not in troubles:
        troubles.append(waiting)
    troubles += [*_record_notices(owner), *settings_notices(owner), *_certificate_notices(owner)]
    troubles += _source_troubles(owner, are_degrading=False)
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


def _are_most_waiting(counts: dict[str, int]) -> bool:
    return sum(counts[status] for status in WAITING) * 2 > counts["total"] - counts["paused"]


def _owner_trouble(owner: Owner, counts: dict[str, int]) -> Trouble | None:
    """The rest still serves, but some of what the owner put in waits for the owner."""
    waiting = sum(counts[status] for status in WAITING)
    wanted = counts["total"] - counts["paused"]
    if not waiting:
        return None
    states = ", ".join(f"{counts[status]} {status}" for status in WAITING if counts[status])
    names = [name for name, living in owner.pool.living.items() if living.status in WAITING]
    named = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    said = f"{waiting} of {wanted} accounts {'waits' if waiting == 1 else 'wait'} for the owner: {states}"
    return Trouble(
        code="accounts_need_owner",
        reason=f"{said} ({named})",
        hint="headgate account show NAME says why.",
        said_openly=said,
    )


def settings_notices(owner: Owner) -> list[Trouble]:
    """Without values, names of files or the like: everybody may read them."""
    configuration, found = owner.configuration, []
    if configuration.failure is not None:
        is_fault = isinstance(configuration.failure, SettingsNotApplied)
        place = f" ({configuration.failure_place})" if configuration.failure_place else ""
        found.append(
            Trouble(
                code=SettingsNotApplied.code,
                reason="New settings could not be applied; those from before stay in force",
                hint="`headgate config show` names them, the log has the stack trace.",
            )
            if is_fault
            else Trouble(
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


def _source_troubles(owner: Owner, *, are_degrading: bool) -> list[Trouble]:
    """Files of accounts that are wrong, cannot be read or written; accounts that were not taken from them."""
    problems = owner.sources.problems if owner.sources is not None else []
    return [
        Trouble(code=one.code, reason=one.reason, hint=one.hint, said_openly=one.said_openly)
        for one in problems
        if one.is_degrading is are_degrading
    ]


def _certificate_troubles(owner: Owner) -> list[Trouble]:
    """No client that looks at it connects any more."""
    ends_at = owner.process.certificate_ends_at if owner.process is not None else None
    if ends_at is None or ends_at > owner.clock.now():
        return []
    return [
        Trouble(
            code="certificate_expired",
            reason="The certificate of this port has expired",
            hint=_NEW_CERTIFICATE,
        )
    ]


def _certificate_notices(owner: Owner) -> list[Trouble]:
    """A renewal that failed, or has been forgotten."""
    if owner.process is None:
        return []
    found = []
    if (failure := owner.process.certificate_failure) is not None:
        found.append(
            Trouble(
                code="certificate_not_renewed",
                reason=f"The certificate from before stays in force: {failure.message}",
                hint=failure.hint,
                said_openly="A new certificate cannot be used; the one from before stays in force",
            )
        )
    ends_at = owner.process.certificate_ends_at
    if ends_at is not None and 0 < ends_at - owner.clock.now() < _ENDS_SOON_SECONDS:
        found.append(
            Trouble(
                code="certificate_ends_soon",
                reason=f"The certificate of this port ends on {_day(ends_at)}",
                hint=_NEW_CERTIFICATE,
            )
        )
    return found


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _record_troubles(owner: Owner) -> list[Trouble]:
    """What keeps requests from becoming history. None of it keeps them from being served."""
    if owner.process is None:
        return []
    recorder, found = owner.process.recorder, []
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
                said_openly="The history cannot be written",
            )
        )
    if why := owner.process.journal_failure:
        found.append(_dropped(owner.process.journal_dropped, f"records are being dropped: {why}"))
    return found


def _record_notices(owner: Owner) -> list[Trouble]:
    """What is over, or not yet there."""
    if owner.process is None:
        return []
    found, free = [], owner.process.recorder.free_bytes
    if (dropped := owner.process.journal_dropped) and not owner.process.journal_failure:
        found.append(_dropped(dropped, "it has room again"))
    if free is not None and free < LOW_DISK_BYTES:
        found.append(
            Trouble(
                code="disk_low",
                reason=f"Disk space is low: {free >> 20} MiB are free where the journal is",
                hint="Make room: without any, records are dropped. headgate history clear and "
                "headgate db vacuum free what old requests take.",
                said_openly="Disk space is low",
            )
        )
    return found


def _dropped(count: int, now: str) -> Trouble:
    return Trouble(
        code="journal_dropped",
        reason=f"{count} records were dropped since the start; {now}",
        hint="The journal was full or could not be written: look at free disk space and recorder. "
        "storage.journal_max_mb lets more wait.",
        said_openly="Records were dropped",
    )


async def storage_trouble(owner: Owner) -> Trouble | None:
    """None when the database answers within the time."""
    asking = TaskGroup().spawn(_asked(owner), name="look at the database")
    try:
        await asyncio.wait({asking}, timeout=STORAGE_TIMEOUT_SECONDS)
        if asking.done():
            found: Trouble | None = asking.result()
            return found
    finally:
        # Not waited for: closing a connection that does not answer takes its driver as long once more.
        asking.cancel()
    return _storage_trouble(f"The database did not answer within {STORAGE_TIMEOUT_SECONDS:g} s")


async def _asked(owner: Owner) -> Trouble | None:
    try:
        await owner.database.check()
    except StorageError as error:
        return _storage_trouble(error.message)
    return None


def _storage_trouble(reason: str) -> Trouble:
    return Trouble(
        code=StorageError.code,
        reason=reason,
        said_openly="The database does not answer",
        hint="Requests are still served; their records wait in the journal until it is back.",
    )
