"""A clock that several processes share and a test sets."""

import mmap
import os
import struct
import time
from pathlib import Path

_FIELDS = struct.Struct("<dddd")


class SharedClock:
    """System time plus an offset that lives in a file: `advance` is seen by every process at once.

    The file holds four little-endian doubles: seconds that have passed besides, seconds by which the wall
    clock alone was set, and, zero while the clock goes, the system's two times when it was held. It is
    mapped, so reading the time costs no system call beyond the one for the time itself. The first to open the
    file creates it with zeros.
    """

    def __init__(self, path: Path | str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _FIELDS.size:
                os.ftruncate(descriptor, _FIELDS.size)
            self._map = mmap.mmap(descriptor, _FIELDS.size)
        finally:
            os.close(descriptor)

    @property
    def offset(self) -> float:
        """Seconds that have passed beyond the machine's own."""
        return self._read()[0]

    def now(self) -> float:
        """Unix seconds."""
        passed, set_by, wall, _ = self._read()
        return (wall or time.time()) + passed + set_by

    def monotonic(self) -> float:
        """Seconds that only a test lets jump, and only forwards."""
        passed, _, _, steady = self._read()
        return (steady or time.monotonic()) + passed

    def hold(self) -> None:
        """From now on only `advance` and `set_wall` move it: a slow machine takes no time from a test."""
        passed, set_by, _, _ = self._read()
        self._write(passed, set_by, time.time(), time.monotonic())

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. One process advances; the others only read."""
        if seconds < 0:
            raise ValueError("A clock does not go back.")
        passed, *others = self._read()
        self._write(passed + seconds, *others)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forwards or, negative, back, as an owner or NTP does; no time passes."""
        passed, set_by, *held = self._read()
        self._write(passed, set_by + seconds, *held)

    def close(self) -> None:
        self._map.close()

    def _read(self) -> tuple[float, float, float, float]:
        return _FIELDS.unpack_from(self._map)

    def _write(self, *fields: float) -> None:
        _FIELDS.pack_into(self._map, 0, *fields)
