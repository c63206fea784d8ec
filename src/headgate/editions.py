"""For what lives in memory and in tables: a reading of the tables must not take back what came meanwhile."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")

_MOST_READINGS = 5
"""While one change follows another the last reading counts: where it is behind, the news of it come."""


class Edition:
    """Counts the changes of one thing in memory. Whoever changes it has written it to the tables before."""

    def __init__(self) -> None:
        self._number = 0

    def begin_next(self) -> None:
        """It was changed."""
        self._number += 1

    async def read(self, reading: Callable[[], Awaitable[_T]]) -> _T:
        """What `reading` finds in the tables, once nothing was changed while it looked."""
        for _ in range(_MOST_READINGS):
            before = self._number
            found = await reading()
            if self._number == before:
                break
        return found
