"""The figures as tables for people and as JSON for a comparison later."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.measure import can_pin
from bench.memory import MemorySample
from bench.rounds import Sample
from bench.streams import ManySample

BASELINE = "nginx"
MEASURED = "headgate"
WITHOUT_LIMITS = "unlimited"
WITH_BODIES = "bodies"

RATIO_BUDGETS = {"small": 4.0, "stream": 1.5, "large": 4.0, "changed": None}
"""CPU of the gateway's process for a request, as a multiple of nginx in the same round; None: just told."""
STREAMS_BUDGET_MB = 25.0
"""Resident memory for 1 000 open streams."""
MOST_STRANGERS = 0.1
"""Others on the gateway's core cost it its caches and its turn: its figure rises with them."""
LEAST_LOAD = 0.25
"""A process that idles most of its core pays a wake-up for every packet, not only for its work."""


def mark(value: float, budget: float) -> str:
    return "ok" if value <= budget else "OVER"


def _of(samples: Iterable[Sample], target: str, workload: str) -> list[Sample]:
    return [sample for sample in samples if (sample.target, sample.workload) == (target, workload)]


def ratios(
    samples: list[Sample], workload: str, baseline_name: str = BASELINE, measured_name: str = MEASURED
) -> list[float]:
    """Round by round: absolute times drift with the machine, the two of one round drift together."""
    baseline = {sample.round: sample.cpu_us for sample in _of(samples, baseline_name, workload)}
    measured = _of(samples, measured_name, workload)
    return [sample.cpu_us / baseline[sample.round] for sample in measured if sample.round in baseline]


def table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    lines = []
    for row in [headings, ["-" * width for width in widths], *rows]:
        cells = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def load_table(samples: list[Sample]) -> str:
    headings = [
        "workload",
        "gateway",
        "req/s",
        "p50 ms",
        "p99 ms",
        "CPU µs/req",
        "of a core",
        "recorder µs/req",
        "RSS MB",
    ]
    rows = []
    for workload, target in dict.fromkeys((sample.workload, sample.target) for sample in samples):
        runs = _of(samples, target, workload)
        middle = {field: median(getattr(run, field) for run in runs) for field in _MEDIANS}
        rows.append(
            [
                workload,
                target,
                f"{middle['per_second']:,.0f}",
                f"{middle['p50_ms']:.2f}",
                f"{middle['p99_ms']:.2f}",
                f"{middle['cpu_us']:.1f}",
                f"{middle['load']:.0%}",
                f"{middle['recorder_cpu_us']:.1f}",
                f"{middle['resident_mb']:.0f}",
            ]
        )
    return table(headings, rows)


_MEDIANS = ("per_second", "p50_ms", "p99_ms", "cpu_us", "load", "recorder_cpu_us", "resident_mb")


def ratio_rows(samples: list[Sample]) -> list[list[str]]:
    rows = []
    for workload, budget in RATIO_BUDGETS.items():
        if values := ratios(samples, workload):
            spread = f"{min(values):.2f}–{max(values):.2f}"
            middle = median(values)
            limit = [f"≤ {budget:g} ×", mark(middle, budget)] if budget is not None else ["", ""]
            rows.append([workload, f"{middle:.2f} ×", spread, *limit])
    return rows


def limits_rows(samples: list[Sample]) -> list[list[str]]:
    """With all limits and budgets of the key, against none."""
    return _cost_rows(samples, MEASURED, WITHOUT_LIMITS)


def bodies_rows(samples: list[Sample]) -> list[list[str]]:
    """Where requests and answers are kept, against where they are not."""
    return _cost_rows(samples, WITH_BODIES, MEASURED)


def _cost_rows(samples: list[Sample], measured: str, baseline: str) -> list[list[str]]:
    rows = []
    for workload in RATIO_BUDGETS:
        if values := ratios(samples, workload, baseline, measured):
            spread = f"{min(values):.3f}–{max(values):.3f}"
            rows.append([workload, f"{median(values):.3f} ×", spread])
    return rows


def memory_rows(samples: list[MemorySample]) -> list[list[str]]:
    rows = []
    for sample in samples:
        value = sample.mb_per_thousand
        has_budget = sample.target == MEASURED and sample.workload == "stream"
        budget = [f"≤ {STREAMS_BUDGET_MB:g} MB", mark(value, STREAMS_BUDGET_MB)] if has_budget else ["", ""]
        from_to = f"{sample.before_mb:.0f} → {sample.open_mb:.0f} → {sample.after_mb:.0f}"
        rows.append([f"{sample.target}, {sample.workload} request", f"{value:.1f} MB", from_to, *budget])
    return rows


def doubts(samples: list[Sample]) -> list[str]:
    """What a reader must know before believing the tables."""
    found = [] if can_pin() else ["one core only: nothing is pinned, the load disturbs what it measures"]
    for sample in samples:
        run = f"{sample.workload}, {sample.target}, round {sample.round}"
        if sample.load < LEAST_LOAD:
            found.append(f"{run}: the gateway used {sample.load:.0%} of its core; it waited for the load")
        if sample.strangers > MOST_STRANGERS:
            found.append(f"{run}: other programs used {sample.strangers:.0%} of the gateway's core")
        if sample.recorded is not None and sample.recorded < sample.requests:
            found.append(f"{run}: {sample.requests} requests answered, {sample.recorded} recorded")
    return found


def write(samples: list[Sample], memory: list[MemorySample]) -> str:
    parts = []
    if samples:
        parts.append(load_table(samples))
    if rows := ratio_rows(samples):
        parts.append(table(["CPU against nginx", "median", "spread", "budget", ""], rows))
    if rows := limits_rows(samples):
        parts.append(table(["Limits on against off", "median", "spread"], rows))
    if rows := bodies_rows(samples):
        parts.append(table(["Bodies kept against not", "median", "spread"], rows))
    if memory:
        headings = ["1 000 open streams", "takes", "RSS MB before → open → after", "budget", ""]
        parts.append(table(headings, memory_rows(memory)))
    if notes := doubts(samples):
        parts.append("\n".join(f"Note: {note}" for note in notes))
    return "\n\n".join(parts)


def save(
    path: Path, samples: list[Sample], memory: list[MemorySample], many: ManySample | None = None
) -> None:
    middle, limits = (
        {
            workload: median(values)
            for workload in RATIO_BUDGETS
            if (values := ratios(samples, workload, name))
        }
        for name in (BASELINE, WITHOUT_LIMITS)
    )
    result = {
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "is_pinned": can_pin(),
        },
        "ratios": middle,
        "limits": limits,
        "samples": [asdict(sample) for sample in samples],
        "memory": [{**asdict(sample), "mb_per_thousand": sample.mb_per_thousand} for sample in memory],
        "streams": asdict(many) if many is not None else None,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
