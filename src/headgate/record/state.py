"""What the recorder says of itself, in a file beside the journal.

A file and not a pipe: the gateway reads it when somebody asks, even after the recorder has died,
and a gateway that does not read can never hold the recorder up.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from headgate.clock import Clock
from headgate.record.replay import Counts

FILE_NAME = "recorder.json"
LOW_DISK_BYTES = 256 << 20
"""Room for as much as a full journal: below it there is little time left."""

_SECONDS_BETWEEN_SAVES = 0.25


def free_bytes(folder: Path) -> int | None:
    """On the folder's disk; None where that cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


class RecorderState(msgspec.Struct):
    pid: int
    counts: Counts
    positions: list[tuple[str, str, int]]
    """Journal, segment, byte offset."""
    failure: str | None = None
    """Why the database could not be written at the last attempt; None: it could."""


class StateFile:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE_NAME
        self._draft = folder / f".{FILE_NAME}.{os.getpid()}"
        self._clock = clock
        self._next_save = 0.0
        self._failure: str | None = None
        self._saved = b""

    def save(self, counts: Counts, positions: Mapping[tuple[str, str], int], failure: str | None) -> None:
        """What has changed, a few times a second at most; at once when a failure begins or ends."""
        now = self._clock.monotonic()
        if now < self._next_save and failure == self._failure:
            return
        self._next_save = now + _SECONDS_BETWEEN_SAVES
        self._failure = failure
        places = [(*key, offset) for key, offset in positions.items()]
        state = msgspec.json.encode(RecorderState(os.getpid(), counts, places, failure))
        if state == self._saved:
            return
        # The disk may be full: then the old state stands, and the journal is what matters.
        with suppress(OSError):
            self._draft.write_bytes(state)
            self._draft.replace(self._path)
            self._saved = state


def read_state(folder: Path) -> RecorderState | None:
    """As last saved, maybe by a recorder that is gone; None before the first."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=RecorderState)
    except (OSError, msgspec.DecodeError):
        return None


def stored_positions(saved: RecorderState | None) -> dict[tuple[str, str], int]:
    """How far each segment is known to be in the database, by journal and segment."""
    return {(journal, name): end for journal, name, end in saved.positions} if saved else {}
