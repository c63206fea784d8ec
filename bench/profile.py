"""Where Headgate spends a request: `python -m bench.profile small|stream|large [--how functions|native]`.

`functions` runs it under cProfile and prints, for each Python function, calls and microseconds per request.
The profiler's own cost falls on small functions: read the order and the number of calls, not the sum.
`native` samples the undisturbed process with perf (package linux-perf) and prints the shares of libraries and
C functions: the kernel's part, the interpreter's, the parsers'.
"""

import argparse
import pstats
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Load, Untrustworthy, cpu_seconds, run_wrk
from bench.processes import install, mock_upstream, raise_open_files
from bench.report import table
from bench.rounds import check_answer, start
from bench.targets import Headgate
from bench.workloads import Workload, workloads

SAMPLES_PER_SECOND = 1999
RARE = 0.02
"""Functions called less often than in one of fifty requests are not part of a request."""

Costs = dict[tuple[str, int, str], tuple[int, float, float]]
"""By file, line and name: calls, own seconds, seconds with callees."""


def _functions(workload: Workload, seconds: int, top: int, folder: Path) -> str:
    """Two runs, for the start and the stop cost more than a few thousand requests: theirs is taken off."""
    idle, _ = _run_under_profiler(workload, None, folder / "idle")
    busy, load = _run_under_profiler(workload, seconds, folder / "busy")
    assert load is not None
    rows = []
    for function, costs in busy.items():
        spare = idle.get(function, (0, 0.0, 0.0))
        calls, own, cumulative = (
            (cost - less) / load.requests for cost, less in zip(costs, spare, strict=True)
        )
        if calls >= RARE:
            rows.append((own * 1e6, cumulative * 1e6, calls, function))
    rows.sort(reverse=True)
    cells = [
        [f"{_short(file)}:{line} {name}", f"{calls:.2f}", f"{own:.1f}", f"{cumulative:.1f}"]
        for own, cumulative, calls, (file, line, name) in rows[:top]
    ]
    total = sum(own for own, *_ in rows)
    headings = ["function", "calls/req", "own µs/req", "with callees µs/req"]
    return f"{table(headings, cells)}\n\n{load.requests} requests, {total:.0f} µs each under the profiler"


def _run_under_profiler(workload: Workload, seconds: int | None, folder: Path) -> tuple[Costs, Load | None]:
    """`seconds` None: one request only. The profile is written when the process ends, at the stack's exit."""
    folder.mkdir()
    profile = folder / "profile.out"
    target = Headgate(launcher=(sys.executable, "-m", "cProfile", "-o", str(profile)))
    with mock_upstream() as port, ExitStack() as stack:
        start(target, port, folder, stack)
        check_answer(target, workload)
        load = None if seconds is None else _drive(target, workload, seconds, folder)
    # pstats fills `stats` as it loads; the annotations that mypy knows leave it out.
    stats = vars(pstats.Stats(str(profile)))["stats"]
    return {name: (calls, own, total) for name, (_, calls, own, total, _) in stats.items()}, load


def _short(file: str) -> str:
    for root in ("/src/", "/site-packages/", "/lib/"):
        if root in file:
            return file.rpartition(root)[2]
    return file


def _native(workload: Workload, seconds: int, top: int, folder: Path) -> str:
    if shutil.which("perf") is None:
        raise Untrustworthy("perf not found. Install linux-perf (Debian) or linux-tools-generic (Ubuntu)")
    target, data = Headgate(), folder / "perf.data"
    with mock_upstream() as port, ExitStack() as stack:
        start(target, port, folder, stack)
        check_answer(target, workload)
        _drive(target, workload, 1, folder)
        record = [
            "perf",
            "record",
            "-q",
            "-F",
            str(SAMPLES_PER_SECOND),
            "-o",
            str(data),
            "-p",
            str(target.relay_pid),
        ]
        with subprocess.Popen(record, stderr=subprocess.DEVNULL) as perf:
            before = cpu_seconds(target.relay_pid)
            load = _drive(target, workload, seconds, folder)
            cpu_us = (cpu_seconds(target.relay_pid) - before) / load.requests * 1e6
            perf.terminate()
        libraries = _perf_report(data, "dso", 12)
        symbols = _perf_report(data, "dso,symbol", top)
    return f"{cpu_us:.1f} µs per request\n\n{libraries}\n\n{symbols}"


def _perf_report(data: Path, sort: str, top: int) -> str:
    command = ["perf", "report", "-i", str(data), "--stdio", "--no-children", "--sort", sort]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (line.rstrip() for line in output.splitlines())
    return "\n".join([line for line in lines if line and not line.startswith("#")][:top])


def _drive(target: Headgate, workload: Workload, seconds: int, folder: Path) -> Load:
    host, port = target.address(workload)
    return run_wrk(f"http://{host}:{port}{workload.path}", workload, seconds, folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description="Where a request's time goes."
    )
    parser.add_argument("workload", choices=sorted(workloads()))
    parser.add_argument("--how", choices=("functions", "native"), default="functions")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--top", type=int, default=45, help="lines to print")
    arguments = parser.parse_args()
    look = {"functions": _functions, "native": _native}[arguments.how]
    try:
        install(("wrk",))
        raise_open_files()
        with tempfile.TemporaryDirectory(prefix="headgate-profile-") as folder:
            workload = workloads()[arguments.workload]
            print(look(workload, arguments.seconds, arguments.top, Path(folder)))
    except Untrustworthy as error:
        print(f"No profile: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
