from dataclasses import replace

from bench.measure import Memory
from bench.streams import OWNERS_ROUTES, ManySample, SlowSample, StormSample, StreamsSample
from bench.streams_report import write

AGES = {"p50": 1.0, "p99": 4.0, "p999": 8.0, "max": 9.0}
STREAMS = StreamsSample(
    streams=10_000,
    limit=None,
    seconds=20.0,
    opened_in_seconds=8.0,
    ended_well=10_000,
    events=400_000,
    recorded=10_000,
    through=AGES,
    direct={name: value / 2 for name, value in AGES.items()},
    memory={"idle": Memory(100, 90, 100), "open": Memory(250.0, 230, 251), "ended": Memory(120, 100, 251)},
    owner={when: dict.fromkeys(OWNERS_ROUTES, AGES) for when in ("idle", "open")},
)
SLOW = SlowSample(100, AGES, AGES, {"before": Memory(100, 0, 0), "meanwhile": Memory(130, 0, 0)}, [])
STORM = StormSample(1000, 1000, AGES, [])


def test_what_the_gateway_adds_is_the_difference_to_the_direct_way() -> None:
    """The same client, the same moment: what both ways pay cancels out."""
    added = next(line for line in write(ManySample(STREAMS, SLOW, STORM)).splitlines() if "added" in line)
    assert added.split() == ["added", "0.50", "2.00", "4.00", "4.50"]


def test_the_budget_is_for_the_whole_process() -> None:
    """250 MB with 10 000 streams open; the limit that allowed fewer is said below."""
    assert "budget 250 MB: ok" in write(ManySample(STREAMS, SLOW, STORM))
    memory = {**STREAMS.memory, "open": Memory(250.1, 230, 251)}
    text = write(ManySample(replace(STREAMS, memory=memory, limit="only so many"), SLOW, STORM))
    assert "budget 250 MB: OVER" in text
    assert "Note: only so many" in text


def test_a_client_that_reads_nothing_has_its_price() -> None:
    """Memory over that of before, by client."""
    assert "300 kB for each client" in write(ManySample(STREAMS, SLOW, STORM))
