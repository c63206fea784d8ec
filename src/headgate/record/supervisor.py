"""The recorder as the gateway sees it: started, watched, started again, drained at the end."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headgate.clock import Clock
from headgate.record.division import Divided, RecorderLife, Started
from headgate.record.events import decode
from headgate.record.recorder import DRAIN_SECONDS, Order, Wishes
from headgate.record.replay import Counts, unread_bytes
from headgate.record.segments import Segment, list_segments, read_at, read_frames
from headgate.record.state import free_bytes, read_state, stored_positions
from headgate.record.tally import Tally, read_tally
from headgate.tasks import TaskGroup

FIRST_RESTART_SECONDS = 1.0
LAST_RESTART_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A recorder that lived this long failed for a new reason: the waits start over."""

SETTLE_SECONDS = 5.0
_SECONDS_BETWEEN_LOOKS = 0.05

STOP_SECONDS = DRAIN_SECONDS + 2.0
"""More waiting gains nothing: what is not stored waits in the journal for the next start."""

_LOOKED_AT_BYTES = 65_536
_LOOKED_AT_RECORDS = 20
_KILL_SECONDS = 2.0
_HURRY_SECONDS = 1.0
"""Enough for what is in its hands, when the owner wants us gone."""

_log = logging.getLogger("headgate.recorder")


@dataclass(frozen=True, slots=True)
class RecorderReport:
    """For `/health` and `/status`."""

    is_alive: bool
    pid: int | None
    restarts: int
    lag_bytes: int
    """In the journal and not yet known to be in the database; counted a quarter second late."""
    failure: str | None
    """Why the database cannot be written, as long as it cannot."""
    counts: Counts
    """Of the present or the last recorder: written, damaged, torn, unreadable, refused."""
    free_bytes: int | None = None
    """On the disk of the journal."""


class RecorderProcess:
    """One recorder at a time. It ends by itself when this process does: its input closes."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        wishes: Wishes,
        clock: Clock,
        *,
        standby: Divided | None = None,
        secret_key: str | None = None,
        first_restart_seconds: float = FIRST_RESTART_SECONDS,
    ) -> None:
        """`standby`: the first recorder, which waits for its order already. `secret_key`: see `Order`."""
        self.restarts = 0
        self._folder = folder
        self._database_url = database_url
        self._wishes = wishes
        self._secret_key = secret_key
        self._clock = clock
        self._first_restart_seconds = first_restart_seconds
        self._standby = standby
        self._process: RecorderLife | None = None
        self._tasks = TaskGroup()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.is_alive else None

    @property
    def state(self) -> RecorderReport:
        """Reads two small things from the disk: for a person's question, not for every request."""
        saved = read_state(self._folder)
        return RecorderReport(
            is_alive=self.is_alive,
            pid=self.pid,
            restarts=self.restarts,
            lag_bytes=unread_bytes(self._folder, stored_positions(saved)),
            failure=saved.failure if saved and saved.pid == self.pid else None,
            counts=saved.counts if saved else Counts(),
            free_bytes=free_bytes(self._folder),
        )

    @property
    def oldest_waiting_at(self) -> float | None:
        """Unix seconds of the first record that is not known to be in the database; None: all are."""
        positions = stored_positions(read_state(self._folder))
        for segment in list_segments(self._folder):
            start = positions.get((segment.journal, segment.name), 0)
            if segment.size() > start and (at := _first_at(segment, start)) is not None:
                return at
        return None

    @property
    def tally(self) -> Tally | None:
        """What the present recorder has counted; None: nothing yet. Read from the disk, as `state`."""
        return read_tally(self._folder, self.pid)

    async def start(self) -> None:
        """Returns when the process runs; it is watched from then on."""
        process = await self._spawn()
        self._tasks.spawn(self._watch(process), name="recorder watch")

    def wish(self, wishes: Wishes) -> None:
        """For the recorder that runs and for those that come after it."""
        is_news, self._wishes = wishes != self._wishes, wishes
        if is_news and self._process is not None and self.is_alive:
            self._process.tell(msgspec.json.encode(wishes) + b"\n")

    def look_at_prices(self) -> None:
        """The database keeps others than a moment ago."""
        self.wish(msgspec.structs.replace(self._wishes, price_looks=self._wishes.price_looks + 1))

    async def settle(self, *, seconds: float = SETTLE_SECONDS) -> bool:
        """Wait until everything that is in the journal now is in the database; False: not in time."""
        wanted = {(one.journal, one.name): one.size() for one in list_segments(self._folder)}
        gives_up_at = self._clock.monotonic() + seconds
        while True:
            stored = stored_positions(read_state(self._folder))
            left = {(one.journal, one.name) for one in list_segments(self._folder)}
            if all(stored.get(key, 0) >= size for key, size in wanted.items() if size and key in left):
                return True
            if self._clock.monotonic() >= gives_up_at:
                return False
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def stop(
        self, *, timeout_seconds: float = STOP_SECONDS, hurry: asyncio.Event | None = None
    ) -> bool:
        """Let it store everything and end. Close the journal first. True: all of it is stored.

        One that does not end in time, or soon after `hurry` is set, is killed; what it left stays in the
        journal for the next start.
        """
        await self._tasks.cancel()
        if not self.is_alive and unread_bytes(self._folder, {}):
            # It died and waits to be started again: there is no later for it now.
            self._process = await self._spawn()
        process = self._process
        if process is not None:
            process.end_input()
            await self._end(process, timeout_seconds, hurry or asyncio.Event())
        return process is not None and process.returncode == 0

    async def _end(self, process: RecorderLife, timeout_seconds: float, hurry: asyncio.Event) -> None:
        gives_up_at = self._clock.monotonic() + timeout_seconds
        ending = self._tasks.spawn(process.wait(), name="recorder end")
        hurrying = self._tasks.spawn(hurry.wait(), name="hurry")
        await asyncio.wait((ending, hurrying), timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            left = min(_HURRY_SECONDS, max(0.0, gives_up_at - self._clock.monotonic()))
            await asyncio.wait((ending,), timeout=left)
        hurrying.cancel()
        if not ending.done():
            _log.error("The recorder did not end in time and is killed; the journal keeps what is left")
            process.kill()
            await asyncio.wait((ending,), timeout=_KILL_SECONDS)

    async def _spawn(self) -> RecorderLife:
        standby, self._standby = self._standby, None
        process = self._process = standby or await Started.begin()
        order = Order(str(self._folder), self._database_url, self._wishes, self._secret_key)
        process.tell(msgspec.json.encode(order) + b"\n")
        return process

    async def _watch(self, process: RecorderLife) -> None:
        pause = self._first_restart_seconds
        while True:
            born = self._clock.monotonic()
            code = await process.wait()
            if self._clock.monotonic() - born > STEADY_SECONDS:
                pause = self._first_restart_seconds
            _log.error("The recorder ended with code %s; it is started again in %g s", code, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RESTART_SECONDS)
            self.restarts += 1
            try:
                process = await self._spawn()
            except OSError as error:  # no memory or no process left: there may be later
                _log.error("The recorder cannot be started: %s", error)


def _first_at(segment: Segment, start: int) -> float | None:
    """When the first record that says so was made, Unix seconds. Messages of requests say nothing of it."""
    try:
        frames, _ = read_frames(read_at(segment.path, start, _LOOKED_AT_BYTES), start, _LOOKED_AT_RECORDS)
    except OSError:  # it was stored and deleted meanwhile
        return None
    for frame in frames:
        try:
            at_ms = getattr(decode(frame.payload), "at_ms", None)
        except msgspec.DecodeError:
            continue
        if at_ms is not None:
            return float(at_ms) / 1000
    return None
