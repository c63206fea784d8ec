"""What the gateway does right now, for its owner: `GET /status`."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from headgate.admin.accounts import views
from headgate.admin.bodies import KeptView, kept_view
from headgate.admin.health import HealthView, Trouble, health_of
from headgate.admin.limit_views import RestView, SessionsView, WindowView
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.workings import Workings, use_of
from headgate.errors import StorageError
from headgate.pool.wanted import Switch
from headgate.record.supervisor import RecorderReport

router = APIRouter(tags=["status"])

_MOST_WAITING = 100


class RotationAccount(BaseModel):
    name: str
    status: str
    rate_limit_status: str | None
    rate_limit_reset: float | None = Field(description="Unix seconds.")
    windows: list[WindowView]
    rests: list[RestView]
    priority: int
    weight: int
    tier: int
    share: int
    sessions: SessionsView
    in_flight: int
    request_count: int
    error_count: int
    skipped_because: str | None


class SwitchView(BaseModel):
    at: float = Field(description="Unix seconds.")
    from_account: str
    to_account: str
    why: str


class Rotation(BaseModel):
    """Which account serves, and why the others do not."""

    strategy: str
    enabled: bool
    accounts: list[RotationAccount]
    next_reset: float | None = Field(description="Unix seconds when the first resting account comes back.")
    switches: int = Field(description="How often a request moved on to another account.")
    last_switch: SwitchView | None = Field(description="null: none since the start.")


class WaitingView(BaseModel):
    request_id: str
    key: str | None = Field(description="Name of the client key; null: none was shown.")
    position: int = Field(description="1: the next, as far as the order of turns decides it.")
    waited_ms: int
    why: str = Field(description="What it waits for.")


class QueueView(BaseModel):
    """Requests that wait for their turn: see `access.queue`."""

    waiting: int
    max_waiting: int = Field(description="0: none waits.")
    timeout_ms: int
    longest_ms: int = Field(description="How long the first of them has waited.")
    keys: dict[str, int] = Field(description="How many wait, by the name of the client key; without one: ``.")
    requests: list[WaitingView] = Field(description=f"The next {_MOST_WAITING}, in the order of their turns.")


class RecorderView(BaseModel):
    """The process that writes the history."""

    alive: bool
    pid: int | None
    restarts: int
    lag_bytes: int = Field(description="Journal bytes that are not known to be in the database yet.")
    failure: str | None = Field(description="Why the database cannot be written; null: it can.")
    written: int
    lost: int = Field(description="Records that could not be read back or that the database refused.")


class JournalView(BaseModel):
    dropped: int = Field(description="Records lost since the start.")


class StagesView(BaseModel):
    """Where the time of a request goes, in the mean of those that the present recorder has stored."""

    requests: int = Field(description="How many that are.")
    own_ms: float = Field(description="The gateway's own work before the first byte.")
    waiting_ms: float = Field(description="For a turn in the queue, and between attempts.")
    provider_ms: float = Field(description="Until the provider's head, failed attempts too.")
    connect_ms: float = Field(description="Of that, opening a connection, in the mean of all opened.")
    body_ms: float = Field(description="From the first byte of the answer to the last.")


class MachineView(BaseModel):
    """What the process needs, and what it is made of: `/metrics` has the same over time."""

    cpu_seconds: float
    memory_bytes: int
    recorder_cpu_seconds: float | None = Field(description="null: none runs.")
    recorder_memory_bytes: int | None
    loop_lag_ms: float = Field(description="The worst lateness of the event loop in the last minute.")
    gc_pauses: int
    gc_seconds: float
    connections: int = Field(description="Of clients.")
    upstream_connections: int = Field(description="To providers, those at rest too.")
    upstream_resting: int
    journal_bytes: int
    journal_segments: int
    oldest_waiting_ms: int = Field(
        description="Age of the oldest record that is not in the database; 0: none."
    )
    stages: StagesView | None = Field(description="null: no request was stored yet.")


class StatusView(HealthView):
    url: str = Field(description="Where clients reach it; empty: nothing is relayed here.")
    started_at: int
    rotation: Rotation
    in_flight: int = Field(description="Requests that have no complete answer yet.")
    open_streams: int
    queue: QueueView
    recorder: RecorderView | None = Field(description="null: this answers from the database alone.")
    journal: JournalView
    bodies: KeptView
    machine: MachineView | None = Field(description="null: nothing is relayed here.")


@router.get("/status", operation_id="status", response_model_exclude_none=False)
async def status(owner: ItsOwner) -> StatusView:
    """From memory but for two rows asked of the database, without which it answers as well."""
    health = await health_of(owner)
    has_database = all(trouble.code != StorageError.code for trouble in health.troubles)
    health.troubles += _exposure_notices(owner)
    process = owner.process
    return StatusView(
        **health.model_dump(),
        url=owner.url,
        started_at=round(owner.started_at * 1000),
        rotation=rotation_of(owner),
        in_flight=process.in_flight if process else 0,
        open_streams=process.open_streams if process else 0,
        queue=queue_of(owner),
        recorder=_recorder_view(process.recorder) if process else None,
        journal=JournalView(dropped=process.journal_dropped if process else 0),
        bodies=await kept_view(owner, asks_database=has_database),
        machine=_machine_view(process.workings, process.recorder.pid, owner.clock.now()) if process else None,
    )


def _exposure_notices(owner: Owner) -> list[Trouble]:
    """Here alone: `/health` is open to those whom this would help to come in."""
    return [
        Trouble(code="exposed", reason=reason, hint=f"{mend[0].upper()}{mend[1:]}.")
        for reason, mend in owner.configuration.loaded.exposed
    ]


def rotation_of(owner: Owner) -> Rotation:
    shown = RotationAccount.model_fields.keys()
    all_views = views(owner)
    resets = [view.rate_limit_reset for view in all_views if view.status == "rate_limited"]
    return Rotation(
        strategy=owner.pool.strategy,
        enabled=owner.pool.rotation,
        accounts=[RotationAccount(**view.model_dump(include=set(shown))) for view in all_views],
        next_reset=min((one for one in resets if one is not None), default=None),
        switches=owner.pool.switches,
        last_switch=_switch_view(owner.pool.last_switch),
    )


def queue_of(owner: Owner) -> QueueView:
    queue = owner.queue
    names = {key.id: key.name for key in owner.ring.keys} if queue.waiting else {}
    return QueueView(
        waiting=queue.waiting,
        max_waiting=queue.most,
        timeout_ms=round(queue.seconds * 1000),
        longest_ms=round(queue.longest_seconds() * 1000),
        keys={names.get(key, ""): count for key, count in queue.counts().items()},
        requests=[
            WaitingView(
                request_id=one.request_id,
                key=names.get(one.line),
                position=one.position,
                waited_ms=round(one.waited_seconds * 1000),
                why=one.why,
            )
            for one in queue.shown(_MOST_WAITING)
        ],
    )


def _switch_view(switch: Switch | None) -> SwitchView | None:
    return None if switch is None else SwitchView.model_validate(switch, from_attributes=True)


def _recorder_view(report: RecorderReport) -> RecorderView:
    counts = report.counts
    return RecorderView(
        alive=report.is_alive,
        pid=report.pid,
        restarts=report.restarts,
        lag_bytes=report.lag_bytes,
        failure=report.failure,
        written=counts.written,
        lost=counts.damaged + counts.unreadable + counts.refused,
    )


def _machine_view(workings: Workings, recorder_pid: int | None, now: float) -> MachineView:
    own, recorder = use_of(None), None if recorder_pid is None else use_of(recorder_pid)
    vitals, oldest = workings.vitals, workings.oldest_waiting_at
    return MachineView(
        cpu_seconds=own.cpu_seconds if own else 0.0,
        memory_bytes=own.memory_bytes if own else 0,
        recorder_cpu_seconds=recorder.cpu_seconds if recorder else None,
        recorder_memory_bytes=recorder.memory_bytes if recorder else None,
        loop_lag_ms=round(vitals.worst_lag * 1000, 3),
        gc_pauses=sum(vitals.gc_counts),
        gc_seconds=round(sum(vitals.gc_seconds), 6),
        connections=workings.connections,
        upstream_connections=workings.upstream_open,
        upstream_resting=workings.upstream_resting,
        journal_bytes=workings.journal_bytes,
        journal_segments=workings.journal_segments,
        oldest_waiting_ms=0 if oldest is None else max(0, round((now - oldest) * 1000)),
        stages=_stages_view(workings),
    )


def _stages_view(workings: Workings) -> StagesView | None:
    stages = workings.tally.stages if workings.tally else {}
    if not stages:
        return None
    requests = sum(stages["own"].counts)
    mean = {stage: round(one.sum / requests * 1000, 3) for stage, one in stages.items()}
    connect = workings.connect_seconds / workings.connects if workings.connects else 0.0
    return StagesView(
        requests=requests,
        connect_ms=round(connect * 1000, 3),
        **{f"{stage}_ms": one for stage, one in mean.items()},
    )
