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
    cpu_seconds,
    pin,
    resident_bytes,
    run_wrk,
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
    """The gateway alone on its core, everything else on the other."""
    pin(target.relay_pid, GATEWAY_CORE)
    for pid in target.recorder_pids:
        pin(pid, LOAD_CORE)


def check_answer(target: Target, workload: Workload) -> None:
    """One real answer, to the byte. Raises Untrustworthy."""
    status, body = ask(target, workload, workload.bodies[0])
    if status != 200 or body != workload.answer:
        start = body[:500].decode(errors="replace")
        raise Untrustworthy(
            f"{target.name}, {workload.name}: a wrong answer, status {status}, {len(body)} bytes: {start}"
        )


def settle(target: Target) -> None:
    """Wait until the processes behind the target have worked off what the run left them."""
    deadline = time.monotonic() + SETTLE_SECONDS
    before = total_cpu_seconds(target.recorder_pids)
    while target.recorder_pids and time.monotonic() < deadline:
        time.sleep(_QUIET_INTERVAL)
        now = total_cpu_seconds(target.recorder_pids)
        if now - before < _QUIET_CPU:
            return
        before = now


def measure_once(target: Target, workload: Workload, number: int, seconds: int, folder: Path) -> Sample:
    check_answer(target, workload)
    place(target)
    host, port = target.address(workload)
    url = f"http://{host}:{port}{workload.path}"
    run_wrk(url, workload, WARM_UP_SECONDS, folder)
    settle(target)
    recorded_before, recorders = target.recorded(), target.recorder_pids
    recorder_before, cpu_before = total_cpu_seconds(recorders), cpu_seconds(target.relay_pid)
    load = run_wrk(url, workload, seconds, folder)
    cpu = cpu_seconds(target.relay_pid) - cpu_before
    settle(target)
    recorded_after = target.recorded()
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
        recorder_cpu_us=(total_cpu_seconds(recorders) - recorder_before) / load.requests * 1e6,
        recorded=None
        if recorded_after is None or recorded_before is None
        else recorded_after - recorded_before,
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
