"""What a histogram of the roll-ups says: percentiles, from how many were in each bucket."""

from collections.abc import Sequence

_STEP = 1.6
"""The first bucket begins, and the last one ends, this many times from its other bound: as the others do."""


def percentile(counts: Sequence[int], bounds: Sequence[int], percent: float) -> float | None:
    """Of values in `len(bounds) + 1` buckets, by their rank; None: there are none.

    Within a bucket values are taken to lie evenly, on the scale of the buckets: so the answer is off by less
    than a bucket's width, and mostly by a tenth.
    """
    wanted = sum(counts) * percent / 100
    if not wanted:
        return None
    before = 0
    for place, count in enumerate(counts):
        if count and before + count >= wanted:
            low = bounds[place - 1] if place else bounds[0] / _STEP
            high = bounds[place] if place < len(bounds) else bounds[-1] * _STEP
            return float(low * (high / low) ** ((wanted - before) / count))
        before += count
    return None
