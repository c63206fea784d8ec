"""Interleaved rounds: every workload on every target in turn, so that a slow minute hits them all alike."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.measure import (
    GATEWAY_CORE,
    LOAD_CORE,
    Untrustworthy,
    core_seconds,
    cpu_seconds,
    pin,
    resident_bytes,
    run_wrk,
    step_back,
    total_cpu_seconds,
)
from bench.targets import Target, ask
from bench.workloads import Workload

WARM_UP_SECONDS = 1
SETTLE_SECONDS = 120
_QUIET_INTERVAL = 0.25
_QUIET_CPU = 0.005
"""Below 2 % of a core the recorder has nothing left to write; it polls now and then."""


@dataclass(frozen=True)
class Sample:
    """One run of one workload on one target."""

    target: str
    workload: str
    round: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU microseconds of the relaying process for each request answered."""
    load: float
    """Share of its core that the relaying process used."""
    strangers: float
    """Share of that core that other programs used meanwhile."""
    recorder_cpu_us: float
    """CPU microseconds of the processes behind it for each request, their backlog worked off."""
    recorded: int | None
    """Rows that the run added to its records; more than `requests`, for wrk leaves some unfinished."""
    resident_mb: float


def start(target: Target, upstream_port: int, folder: Path, stack: ExitStack) -> None:
    """Start a target and put its parts where they belong; the stack stops it."""
    own_folder = folder / target.name
    own_folder.mkdir(parents=True)
    target.start(upstream_port, own_folder)
    stack.callback(target.stop)
    place(target)


def place(target: Target) -> None:
    """The gateway alone on its core; the rest on the other, where what works behind it gives way."""
    pin(target.relay_pid, GATEWAY_CORE)
    for pid in target.recorder_pids:
        pin(pid, LOAD_CORE)
        step_back(pid)


def check_answer(target: Target, workload: Workload) -> None:
    """One real answer, to the byte. Raises Untrustworthy."""
    status, body = ask(target, workload, workload.bodies[0])
    if status != 200 or body != workload.answer:
        start = body[:500].decode(errors="replace")
        raise Untrustworthy(
            f"{target.name}, {workload.name}: a wrong answer, status {status}, {len(body)} bytes: {start}"
        )


def settle(target: Target, wanted_rows: int) -> int | None:
    """Wait until the processes behind the target have worked off what a run left them; gives the rows then.

    Quiet alone proves nothing on a busy machine, where a process that steps back may just not be running.
    Past the deadline the figures stand as they are; the report says what is missing.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    used = total_cpu_seconds(target.recorder_pids)
    while (rows := target.recorded()) is not None and time.monotonic() < deadline:
        time.sleep(_QUIET_INTERVAL)
        before, used = used, total_cpu_seconds(target.recorder_pids)
        if rows >= wanted_rows and used - before < _QUIET_CPU:
            break
    return rows


def measure_once(target: Target, workload: Workload, number: int, seconds: int, folder: Path) -> Sample:
    check_answer(target, workload)
    place(target)
    host, port = target.address(workload)
    url = f"http://{host}:{port}{workload.path}"
    rows = target.recorded() or 0
    warm_up = run_wrk(url, workload, WARM_UP_SECONDS, folder)
    rows_before = settle(target, rows + warm_up.requests) or 0
    recorders = target.recorder_pids
    recorder_before, cpu_before = total_cpu_seconds(recorders), cpu_seconds(target.relay_pid)
    core_before = core_seconds()
    load = run_wrk(url, workload, seconds, folder)
    cpu, busy = cpu_seconds(target.relay_pid) - cpu_before, core_seconds() - core_before
    rows_after = settle(target, rows_before + load.requests)
    return Sample(
        target=target.name,
        workload=workload.name,
        round=number,
        requests=load.requests,
        per_second=load.per_second,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        cpu_us=cpu / load.requests * 1e6,
        load=cpu / load.seconds,
        strangers=max(busy - cpu, 0) / load.seconds,
        recorder_cpu_us=(total_cpu_seconds(recorders) - recorder_before) / load.requests * 1e6,
        recorded=None if rows_after is None else rows_after - rows_before,
        resident_mb=resident_bytes(target.relay_pid) / 1e6,
    )


def run_rounds(
    targets: list[Target],
    workloads: list[Workload],
    *,
    rounds: int,
    seconds: int,
    upstream_port: int,
    folder: Path,
    on_sample: Callable[[Sample], None],
) -> list[Sample]:
    samples: list[Sample] = []
    if not workloads:
        return samples
    with ExitStack() as stack:
        for target in targets:
            start(target, upstream_port, folder, stack)
        for number in range(1, rounds + 1):
            for workload in workloads:
                for target in targets:
                    sample = measure_once(target, workload, number, seconds, folder)
                    on_sample(sample)
                    samples.append(sample)
    return samples
