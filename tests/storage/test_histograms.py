"""Percentiles of a histogram, held against those of the values themselves."""

import random
from bisect import bisect_right

import pytest

from headgate.storage.histograms import percentile
from headgate.storage.rollup_tables import TIME_BOUNDS_US


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_a_percentile_is_off_by_little(percent: int) -> None:
    """Of times as they come: within a bucket always, mostly much nearer."""
    chance = random.Random(5)
    values = sorted(int(chance.lognormvariate(14, 1.2)) for _ in range(5000))
    counts = [0] * (len(TIME_BOUNDS_US) + 1)
    for value in values:
        counts[bisect_right(TIME_BOUNDS_US, value)] += 1
    found = percentile(counts, TIME_BOUNDS_US, percent)
    assert found == pytest.approx(values[len(values) * percent // 100], rel=0.12)


def test_of_nothing_there_is_none_and_of_one_it_is_in_its_bucket() -> None:
    assert percentile([0, 0, 0], (10, 16), 50) is None
    for place, (low, high) in enumerate(((6.25, 10), (10, 16), (16, 25.6))):
        counts = [0, 0, 0]
        counts[place] = 1
        for percent in (1, 50, 99, 100):
            found = percentile(counts, (10, 16), percent)
            assert found is not None
            assert low <= found <= high + 1e-9


@pytest.mark.parametrize("mean_us", [800, 3_000, 6_000, 9_000])
@pytest.mark.parametrize("slow", [0, 1, 40])
def test_values_below_the_first_bound_are_known_by_their_sum(mean_us: int, slow: int) -> None:
    """Answers of a cache or of a model next door: some milliseconds, and a few that took much longer."""
    chance = random.Random(6)
    values = [min(9_999, int(mean_us * chance.lognormvariate(0, 0.2))) for _ in range(1000)]
    values = sorted([*values, *(chance.randrange(10_000, 40_000) for _ in range(slow))])
    counts = [0] * (len(TIME_BOUNDS_US) + 1)
    for value in values:
        counts[bisect_right(TIME_BOUNDS_US, value)] += 1
    found = percentile(counts, TIME_BOUNDS_US, 50, sum(values))
    assert found == pytest.approx(values[len(values) // 2], rel=0.2 if slow < 40 else 0.4)
    quick = percentile(counts, TIME_BOUNDS_US, 90, sum(values))
    assert quick == pytest.approx(values[len(values) * 9 // 10], rel=0.3 if slow < 40 else 0.5)
    assert found <= quick < 10_000


@pytest.mark.parametrize("total", [0, 10**18])
def test_a_sum_that_cannot_be_does_no_harm(total: int) -> None:
    for counts in ([5, 0, 0], [5, 1, 0], [5, 0, 2]):
        found = percentile(counts, (10, 16), 50, total)
        assert found is not None and 0 < found <= 10
