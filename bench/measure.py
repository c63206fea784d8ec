"""What a process costs, read from the kernel (Linux), and one run of wrk."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import Workload, request_headers

GATEWAY_CORE = 0
LOAD_CORE = 1
"""wrk, the mock and the recorder: whatever is not the measured process."""

_SCRIPT = Path(__file__).with_name("load.lua")
_PROCESS_CLOCK = 2  # CPUCLOCK_SCHED: the scheduler's own account, in nanoseconds


class Untrustworthy(Exception):
    """A run whose figures mean nothing: wrong answers, failed requests, a target that is gone."""


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, those that ended included. ProcessLookupError: it is gone.

    The clock id is what clock_getcpuclockid(3) makes of a process id; /proc/PID/stat counts in 10 ms ticks.
    """
    try:
        return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)
    except OSError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error


def total_cpu_seconds(pids: Iterable[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Memory:
    """What a process holds, in MB of a million bytes."""

    resident: float
    proportional: float
    """Pages that it shares with others counted by its share."""
    peak: float
    """The most that was ever resident."""


def memory_of(pid: int) -> Memory:
    texts = (Path(f"/proc/{pid}/{name}").read_text() for name in ("smaps_rollup", "status"))
    kilobytes = dict(re.findall(r"^(Rss|Pss|VmHWM):\s+(\d+) kB", "".join(texts), re.MULTILINE))
    return Memory(*(int(kilobytes[name]) * 1024 / 1e6 for name in ("Rss", "Pss", "VmHWM")))


def open_descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def children(pid: int) -> list[int]:
    """Every process below `pid`, grandchildren included."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The command's name, in brackets, may hold spaces; the parent is the second field after it.
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def can_pin() -> bool:
    return {GATEWAY_CORE, LOAD_CORE} <= os.sched_getaffinity(0)


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process on one core; what it starts later stays there too."""
    if not can_pin():
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def set_priority(nice: int) -> None:
    """Of this process and all that it will start. Where Linux weighs sessions against each other (autogroup),
    a process's own value counts within its session only: the session's is set as well, where we may."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    if nice:
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))


def core_seconds() -> float:
    """How long the gateway's core was busy since the start, whoever used it (proc(5), /proc/stat)."""
    line = next(
        line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{GATEWAY_CORE} ")
    )
    user, nice, system, _idle, _iowait, irq, softirq, *_ = (int(field) for field in line.split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def step_back(pid: int) -> None:
    """Let a process run when nobody else on its core wants to: the load must not wait for it.

    A gateway that idles between two requests of a starved load pays a wake-up for each.
    """
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(task.name), 19)


@dataclass(frozen=True)
class Load:
    """What wrk saw in one run."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def run_wrk(url: str, workload: Workload, seconds: int, folder: Path) -> Load:
    """Drive `url` for `seconds`. Raises Untrustworthy for any error, answers above 399 included."""
    headers = [part for name, value in request_headers().items() for part in ("-H", f"{name}: {value}")]
    threads = ["-t", "1", "-c", str(workload.connections), "-d", f"{seconds}s", "--timeout", "20s"]
    command = ["wrk", *threads, *headers, "-s", str(_SCRIPT), url, "--", *_body_files(workload, folder)]
    if can_pin():
        command = ["taskset", "-c", str(LOAD_CORE), *command]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    return read_result(finished.stdout, finished.stderr)


def _body_files(workload: Workload, folder: Path) -> list[str]:
    paths = [folder / f"{workload.name}-{number}.json" for number in range(len(workload.bodies))]
    for path, body in zip(paths, workload.bodies, strict=True):
        if not path.exists():
            path.write_bytes(body)
    return [str(path) for path in paths]


def read_result(output: str, complaint: str) -> Load:
    """From what wrk printed to standard output and standard error."""
    line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise Untrustworthy(f"wrk printed no result: {(complaint or output).strip()[-500:]}")
    result: dict[str, int] = json.loads(line.removeprefix("RESULT "))
    errors = {
        kind: result[kind] for kind in ("connect", "read", "write", "status", "timeout") if result[kind]
    }
    if errors:
        raise Untrustworthy(f"wrk counted errors: {errors} beside {result['requests']} answers")
    if not result["requests"]:
        raise Untrustworthy("wrk got no answer at all")
    return Load(
        requests=result["requests"],
        seconds=result["duration_us"] / 1e6,
        p50_ms=result["p50_us"] / 1e3,
        p99_ms=result["p99_us"] / 1e3,
    )
