from dataclasses import replace

import pytest

from bench import report
from bench.memory import MemorySample
from bench.rounds import Sample

SAMPLE = Sample(
    target="nginx",
    workload="small",
    round=1,
    requests=1000,
    per_second=500.0,
    p50_ms=1.0,
    p99_ms=2.0,
    cpu_us=10.0,
    load=0.9,
    strangers=0.0,
    recorder_cpu_us=0.0,
    recorded=None,
    resident_mb=8.0,
)


def _headgate(number: int, cpu_us: float) -> Sample:
    return replace(SAMPLE, target="headgate", round=number, cpu_us=cpu_us, recorded=1000)


def test_a_ratio_compares_the_two_runs_of_one_round() -> None:
    """A machine that slows down between rounds slows both: each round has its own ratio."""
    samples = [
        SAMPLE,
        _headgate(1, 30.0),
        replace(SAMPLE, round=2, cpu_us=20.0),
        _headgate(2, 70.0),
    ]
    assert report.ratios(samples, "small") == [3.0, 3.5]


def test_one_gateway_alone_has_no_ratio() -> None:
    """`--targets headgate` prints its figures and claims nothing about nginx."""
    assert report.ratio_rows([_headgate(1, 30.0)]) == []


def test_what_limits_cost_is_told_where_a_gateway_without_them_ran() -> None:
    """On demand, round by round as well; else nothing is said of it."""
    with_limits = [_headgate(1, 52.0), _headgate(2, 106.0)]
    without = [
        replace(one, target="unlimited", cpu_us=cpu)
        for one, cpu in zip(with_limits, (50.0, 100.0), strict=True)
    ]
    assert report.limits_rows([*with_limits, *without]) == [["small", "1.050 ×", "1.040–1.060"]]
    assert report.limits_rows([SAMPLE, *with_limits]) == []


def test_what_bodies_cost_is_told_where_a_gateway_that_keeps_them_ran() -> None:
    without = [_headgate(1, 50.0), _headgate(2, 100.0)]
    keeping = [replace(one, target="bodies", cpu_us=one.cpu_us * 2) for one in without]
    assert report.bodies_rows([*without, *keeping]) == [["small", "2.000 ×", "2.000–2.000"]]
    assert report.bodies_rows(without) == []


@pytest.mark.parametrize(("cpu_us", "mark"), [(40.0, "ok"), (40.1, "OVER")])
def test_the_budget_itself_is_still_kept(cpu_us: float, mark: str) -> None:
    """Small requests: at most 4 times nginx."""
    ((*_, found),) = report.ratio_rows([SAMPLE, _headgate(1, cpu_us)])
    assert found == mark


def test_memory_is_told_per_thousand_streams() -> None:
    """The budget is 25 MB for 1 000 streams, however many were opened."""
    sample = MemorySample("headgate", "stream", streams=500, before_mb=100.0, open_mb=112.0, after_mb=110.0)
    ((_, takes, *_, mark),) = report.memory_rows([sample])
    assert (takes, mark) == ("24.0 MB", "ok")


@pytest.mark.parametrize(
    ("sample", "note"),
    [
        (replace(SAMPLE, load=0.1), "waited for the load"),
        (replace(SAMPLE, strangers=0.5), "other programs used 50%"),
        (replace(SAMPLE, recorded=999), "1000 requests answered, 999 recorded"),
    ],
)
def test_a_figure_in_doubt_is_printed_with_its_reason(sample: Sample, note: str) -> None:
    """A starved load, a busy core and a missing record are said under the tables."""
    assert note in report.write([sample], [])


def test_a_sound_run_has_no_notes() -> None:
    """Notes mean something only when they are absent from a good run."""
    pinned_or_not = [note for note in report.doubts([SAMPLE, _headgate(1, 30.0)]) if "one core" not in note]
    assert pinned_or_not == []
