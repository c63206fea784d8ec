"""A clock that several processes share and a test sets."""

import mmap
import os
import struct
import time
from pathlib import Path

_OFFSETS = struct.Struct("<dd")


class SharedClock:
    """System time plus an offset that lives in a file: `advance` is seen by every process at once.

    The file holds two little-endian doubles: seconds that have passed besides, and seconds by which the wall
    clock alone was set. It is mapped, so reading the time costs no system call beyond the one for the time
    itself. The first to open the file creates it with zeros.
    """

    def __init__(self, path: Path | str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _OFFSETS.size:
                os.ftruncate(descriptor, _OFFSETS.size)
            self._map = mmap.mmap(descriptor, _OFFSETS.size)
        finally:
            os.close(descriptor)

    @property
    def offset(self) -> float:
        """Seconds that have passed beyond the machine's own."""
        return float(_OFFSETS.unpack_from(self._map)[0])

    def now(self) -> float:
        """Unix seconds."""
        passed, set_by = _OFFSETS.unpack_from(self._map)
        return float(time.time() + passed + set_by)

    def monotonic(self) -> float:
        """Seconds that only a test lets jump, and only forwards."""
        return time.monotonic() + self.offset

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. One process advances; the others only read."""
        if seconds < 0:
            raise ValueError("A clock does not go back.")
        passed, set_by = _OFFSETS.unpack_from(self._map)
        _OFFSETS.pack_into(self._map, 0, passed + seconds, set_by)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forwards or, negative, back, as an owner or NTP does; no time passes."""
        passed, set_by = _OFFSETS.unpack_from(self._map)
        _OFFSETS.pack_into(self._map, 0, passed, set_by + seconds)

    def close(self) -> None:
        self._map.close()
