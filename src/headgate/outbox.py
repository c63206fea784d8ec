"""What is written during one turn of the event loop goes out together, when the next one begins.

Under load a turn serves many requests. Their records then cost one system call instead of one each, and far
sides are woken once: waking a process for every single write costs the writer as much as the write itself.
"""

import asyncio
import logging
from collections.abc import Callable

Data = bytes | tuple[bytes | bytearray | memoryview, ...]
"""A tuple is for `writelines`: a large body need not be copied to its head."""

_LONG_BYTES = 16_384
"""A piece longer than this does not wait: within one turn a fast far side is read many times, and only a
transport that has the bytes can say that its reader is too slow."""

_log = logging.getLogger("headgate.server")


def _nothing() -> None:
    """There is nothing to commit."""


class Outbox:
    """Writes of one event loop. `commit` is called before the first of them: what must be on record by then.

    What is written here keeps its order. Whoever writes to one of these transports without it, or closes one,
    calls `flush` first.
    """

    def __init__(self, commit: Callable[[], None] = _nothing) -> None:
        self._commit = commit
        self._loop = asyncio.get_running_loop()
        self._writes: list[tuple[asyncio.Transport, Data]] = []
        self._is_due = False
        self.flushes = 0
        """Counts them: what was written at a count has left when the count is higher."""

    def write(self, transport: asyncio.Transport, data: Data) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn_is_over)
        self._writes.append((transport, data))
        if len(data) > _LONG_BYTES:
            self.flush()

    def flush(self) -> None:
        """Do it now."""
        try:
            self._commit()
        except Exception:
            # The edge: traffic goes on when records cannot be kept.
            _log.exception("Records could not be committed")
        writes, self._writes = self._writes, []
        self.flushes += 1
        for transport, data in writes:
            # A far side that has just gone is told to us a turn later, and uvloop refuses the write.
            if not data or transport.is_closing():
                continue
            try:
                if isinstance(data, tuple):
                    transport.writelines(data)
                else:
                    transport.write(data)
            except Exception:
                # The edge: one transport's failure must not keep the bytes of the others.
                _log.exception("A connection could not be written to")
                transport.abort()

    def _turn_is_over(self) -> None:
        self._is_due = False
        self.flush()
