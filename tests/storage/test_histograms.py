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
