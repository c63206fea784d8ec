"""What the results of batches used, counted once against budgets: as `storage/batch_usage.py` does it."""

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from headgate.dialects.batch_results import batch_of
from headgate.dialects.parts import joined, on_top, sum_of
from headgate.dialects.usage import Part, Usage

MOST = 2_000
"""Batches that are remembered: results can be fetched for some weeks."""


class BatchMemory:
    """Of one gateway. The least recently fetched is forgotten first."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, tuple[Part, ...]] = OrderedDict()

    def load(self, known: Iterable[tuple[str, tuple[Part, ...]]]) -> None:
        """Oldest first."""
        self._counted.update(known)

    def news(self, path: str, usage: Usage) -> Usage:
        """What of it was not counted yet; from now on it is."""
        batch_id, parts = batch_of(path) or path, usage.parts or ()
        known = self._counted.pop(batch_id, ())
        self._counted[batch_id] = joined(parts, known)
        if len(self._counted) > MOST:
            self._counted.popitem(last=False)
        return msgspec.structs.replace(sum_of(on_top(parts, known)), requests=usage.requests)
