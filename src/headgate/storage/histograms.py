"""What a histogram of the roll-ups says: percentiles, from how many were in each bucket."""

from collections.abc import Sequence

_STEP = 1.6
"""The first bucket begins, and the last one ends, this many times from its other bound: as the others do."""
_HALF_STEP = _STEP**0.5


def percentile(
    counts: Sequence[int], bounds: Sequence[int], percent: float, total: int | None = None
) -> float | None:
    """Of values in `len(bounds) + 1` buckets, by their rank; None: there are none.

    Within a bucket values are taken to lie evenly, on the scale of the buckets: so the answer is off by less
    than a bucket's width, and mostly by a tenth. `total`, the sum of all values, tells where those of the
    first bucket are, which has no lower bound: they are taken to lie about their mean.
    """
    wanted = sum(counts) * percent / 100
    if not wanted:
        return None
    before = 0
    for place, count in enumerate(counts):
        if count and before + count >= wanted:
            if not place:
                low, high = _first_bucket(counts, bounds, total)
            else:
                low, high = bounds[place - 1], bounds[place] if place < len(bounds) else bounds[-1] * _STEP
            return float(low * (high / low) ** ((wanted - before) / count))
        before += count
    return None


def _first_bucket(counts: Sequence[int], bounds: Sequence[int], total: int | None) -> tuple[float, float]:
    """As wide as the others, and about the mean that the sum leaves for it: the values of the other buckets
    are only known by their bounds."""
    bound = float(bounds[0])
    mean = bound / _HALF_STEP
    if total is not None:
        least = sum(count * low for count, low in zip(counts[1:], bounds, strict=True))
        mean = min(mean, (total - least) / counts[0])
        if not counts[-1]:
            most = sum(count * high for count, high in zip(counts[1:-1], bounds[1:], strict=True))
            mean = max(mean, (total - most) / counts[0])
        mean = min(bound, max(bound / 1000, mean))
    return mean / _HALF_STEP, min(bound, mean * _HALF_STEP)
