"""A clock that several processes share and a test sets."""

import mmap
import os
import struct
import time
from pathlib import Path

_OFFSET = struct.Struct("<d")


class SharedClock:
    """System time plus an offset that lives in a file: `advance` is seen by every process at once.

    The file holds one little-endian double, the offset in seconds. It is mapped, so reading the time costs
    no system call beyond the one for the time itself. The first to open the file creates it with offset 0.
    """

    def __init__(self, path: Path | str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _OFFSET.size:
                os.ftruncate(descriptor, _OFFSET.size)
            self._map = mmap.mmap(descriptor, _OFFSET.size)
        finally:
            os.close(descriptor)

    @property
    def offset(self) -> float:
        """Seconds this clock is ahead of the machine's."""
        return float(_OFFSET.unpack_from(self._map)[0])

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self.offset

    def monotonic(self) -> float:
        """Seconds that only a test lets jump, and only forwards."""
        return time.monotonic() + self.offset

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. One process advances; the others only read."""
        if seconds < 0:
            raise ValueError("A clock does not go back.")
        _OFFSET.pack_into(self._map, 0, self.offset + seconds)

    def close(self) -> None:
        self._map.close()
