"""What `bench.streams` found, as tables for people."""

from bench.measure import Memory
from bench.report import mark, table
from bench.streams import OWNERS_ROUTES, ManySample, SlowSample, StormSample, StreamsSample

OPEN_BUDGET_MB = 250.0
"""Resident memory of the gateway process with 10 000 streams open, all included."""


def write(sample: ManySample) -> str:
    return "\n\n".join([_streams(sample.streams), _slow(sample.slow), _storm(sample.storm)])


def _streams(sample: StreamsSample) -> str:
    open_mb = sample.memory["open"].resident
    ages = [
        ["straight to the mock", *_times(sample.direct)],
        ["through the gateway", *_times(sample.through)],
        ["added", *(f"{sample.through[name] - sample.direct[name]:.2f}" for name in _MARKS)],
    ]
    owner = []
    for route in OWNERS_ROUTES:
        idle, busy = (_times(sample.owner[when][route], "p50", "p99") for when in ("idle", "open"))
        owner.append([route, *idle, *busy])
    lines = [
        f"{sample.streams:,} streams, 2 events a second each, opened in {sample.opened_in_seconds:.1f} s",
        table(["age of an event, ms", *_MARKS], ages),
        table(["owner's route, ms", "idle p50", "idle p99", "open p50", "open p99"], owner),
        table(["memory", "resident MB", "PSS MB", "peak MB"], _memory_rows(sample.memory)),
        f"{open_mb:.0f} MB with all open; budget {OPEN_BUDGET_MB:g} MB: {mark(open_mb, OPEN_BUDGET_MB)}",
        f"{sample.cpu_us:.1f} µs of the gateway for an event; {sample.descriptors:,} descriptors",
        f"{sample.ended_well:,} streams ended well, {sample.events:,} events came, each once and in order; "
        f"{sample.recorded:,} recorded",
    ]
    return "\n\n".join([*lines, *([f"Note: {sample.limit}"] if sample.limit else [])])


def _slow(sample: SlowSample) -> str:
    each = sample.memory["meanwhile"].resident - sample.memory["before"].resident
    ages = [
        ["before", *_times(sample.before)],
        [f"beside {sample.mute} that read nothing", *_times(sample.meanwhile)],
    ]
    lines = [
        table([f"age of an event of {sample.mute} streams, ms", *_MARKS], ages),
        f"{each / sample.mute * 1000:.0f} kB for each client that reads nothing",
    ]
    return "\n\n".join(lines)


def _storm(sample: StormSample) -> str:
    times = sample.times
    return (
        f"{sample.connections:,} connections at once: {sample.answers:,} answers, "
        f"half within {times['p50']:.0f} ms, all within {times['max']:.0f} ms"
    )


_MARKS = ("p50", "p99", "p999", "max")


def _times(found: dict[str, float], *names: str) -> list[str]:
    return [f"{found[name]:.2f}" for name in names or _MARKS]


def _memory_rows(memory: dict[str, Memory]) -> list[list[str]]:
    return [
        [when, f"{one.resident:.0f}", f"{one.proportional:.0f}", f"{one.peak:.0f}"]
        for when, one in memory.items()
    ]
