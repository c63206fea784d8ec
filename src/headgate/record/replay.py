"""From segment files into the database: every whole frame once, in batches.

The position of a segment moves in the transaction that stores its records. A segment is deleted
when its writer is gone and all of it is stored.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.pricing.prices import Prices
from headgate.record.bodies import Bodies, Prepared, first_without_bodies
from headgate.record.events import BodyRecord, Record, RequestRecord, SpanRecord, decode
from headgate.record.links import Links
from headgate.record.rows import to_rows
from headgate.record.segments import (
    HEADER,
    MAX_PAYLOAD_BYTES,
    Frame,
    Segment,
    Tail,
    find_frame,
    list_segments,
    read_at,
    read_frames,
)
from headgate.storage.batch import (
    Also,
    PositionMoved,
    Row,
    Rows,
    RowsRefused,
    Step,
    forget_position,
    read_positions,
    write_batch,
)
from headgate.storage.database import Database

BATCH_RECORDS = 1000
READ_BYTES = 2 * (HEADER.size + MAX_PAYLOAD_BYTES)
"""Twice the largest frame: one that begins in the first half is whole in what was read."""
_MOST_WAITS = 20
"""Looks at a request whose bodies have not come, a second or so: they never will."""

_log = logging.getLogger("headgate.async-db-writer")


@dataclass(slots=True)
class Counts:
    """Since this replay began. What is lost is counted, never hidden."""

    written: int = 0
    damaged: int = 0
    """Places in segments where bytes were no frame and were stepped over."""
    torn: int = 0
    """Last frames that their writer's death left unfinished."""
    unreadable: int = 0
    """Whole frames that hold no record of a version we know."""
    refused: int = 0
    """Records with a value that the database does not take."""


class Replay:
    """One reader of one folder. Holding the folder's lock is the caller's part."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        on_written: Callable[[Sequence[Record], Sequence[Row]], None],
        prices: Prices | None = None,
        bodies: Bodies | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`on_written` sees the records of each batch after its commit, and the rows of `requests` that they
        became, in their order; behind these, rows of further models. Without `bodies` none are kept."""
        self._prices = prices or Prices()
        self.counts = Counts()
        self.is_behind = False
        """The last step had to leave something unread: call the next without a pause."""
        self.positions: dict[tuple[str, str], int] | None = None
        """Byte offset by (journal, segment); None until read from the database."""
        self._folder = folder
        self._database = database
        self._on_written = on_written
        self._links = Links(clock)
        self._bodies = bodies
        self._waits_at = ("", 0)
        self._waits = 0
        """How often we looked there for the bodies of a request."""

    async def drain(self) -> None:
        """Until nothing moves any more. StorageError when the database is away."""
        while await self.step():
            pass

    async def step(self) -> int:
        """At most one batch of each journal; how many bytes the positions moved over.

        StorageError when the database is away: nothing is lost, call again later.
        """
        moved = 0
        self.is_behind = False
        for _, segments in groupby(list_segments(self._folder), lambda one: one.journal):
            moved += await self._step_journal(list(segments))
        return moved

    async def _step_journal(self, segments: Sequence[Segment]) -> int:
        """Of the oldest segment that has something: a body may lie in the one behind its request's, and a
        turn of a conversation behind the turn before it."""
        for segment in segments:
            try:
                moved = await self._step_segment(segment)
            except PositionMoved:
                self.positions = None
                return 0
            if moved:
                self.is_behind |= segment is not segments[-1]
                return moved
        return 0

    async def _step_segment(self, segment: Segment) -> int:
        if self.positions is None:
            self.positions = await read_positions(self._database)
        start = self.positions.get((segment.journal, segment.name), 0)
        # Asked before reading: what a writer adds and then dies is in the bytes we read after.
        may_grow = segment.is_being_written()
        data = read_at(segment.path, start, READ_BYTES)
        frames, tail = read_frames(data, start, BATCH_RECORDS)
        self.is_behind |= len(frames) == BATCH_RECORDS or len(data) == READ_BYTES
        if frames:
            records = self._decode(frames, segment)
            is_full = len(frames) == BATCH_RECORDS or len(data) == READ_BYTES
            whole = self._whole(records, segment, start, may_grow=may_grow, is_full=is_full)
            if not whole:
                return 0
            self.counts.unreadable += records[:whole].count(None)
            await self._write(segment, start, frames[:whole], records[:whole])
            return frames[whole - 1].end - start
        if tail is Tail.CORRUPT and (end := _next_place(data, may_grow=may_grow)):
            self._report_damage(segment, start, end)
            await self._store(segment, start, start + end, Rows())
            return end
        if not may_grow:
            await self._finish(segment, start, tail)
        return 0

    def _whole(
        self, read: Sequence[Record | None], segment: Segment, start: int, *, may_grow: bool, is_full: bool
    ) -> int:
        """How many of the records can be stored: a request with its bodies, if they come within a moment."""
        place = first_without_bodies(read) if may_grow or is_full else None
        if place is None:
            return len(read)
        if place or is_full:
            return place or len(read)
        if self._waits_at != (segment.name, start):
            self._waits_at, self._waits = (segment.name, start), 0
        self._waits += 1
        return 0 if self._waits < _MOST_WAITS else len(read)

    async def _write(
        self, segment: Segment, start: int, frames: Sequence[Frame], read: Sequence[Record | None]
    ) -> None:
        records = [one for one in read if one is not None]
        try:
            rows = to_rows(records, self._prices.table)
            prepared = None
            if self._bodies is not None and any(isinstance(one, SpanRecord | BodyRecord) for one in records):
                records = await self._bodies.unsealed(records)
                prepared = await self._bodies.prepare(records)
            also = partial(self._add, records=records, rows=rows, bodies=prepared)
            await self._store(segment, start, frames[-1].end, rows, also)
        except RowsRefused as error:
            if len(frames) > 1:
                # One bad record must not hold up the others: halve until it stands alone.
                middle = len(frames) // 2
                await self._write(segment, start, frames[:middle], read[:middle])
                await self._write(segment, frames[middle - 1].end, frames[middle:], read[middle:])
                return
            self.counts.refused += 1
            lost = next((one.id for one in records if isinstance(one, RequestRecord)), None)
            _log.error(
                "Failed to execute DB job: a record was refused: %s", error, extra={"request_id": lost}
            )
            await self._store(segment, start, frames[-1].end, Rows())
            return
        self.counts.written += sum(not isinstance(one, SpanRecord | BodyRecord) for one in records)
        self._on_written(records, rows.requests)

    async def _add(
        self, connection: AsyncConnection, *, records: Sequence[Record], rows: Rows, bodies: Prepared | None
    ) -> None:
        """What belongs to the rows of a batch, in its transaction."""
        await self._links.add(connection, records=records, rows=rows.requests)
        if self._bodies is not None and bodies is not None:
            await self._bodies.add(connection, bodies)

    def _decode(self, frames: Sequence[Frame], segment: Segment) -> list[Record | None]:
        """None for each that cannot be read."""
        records: list[Record | None] = []
        for frame in frames:
            try:
                records.append(decode(frame.payload))
            except msgspec.DecodeError as error:
                records.append(None)
                _log.error("Unreadable record in %s before byte %d: %s", segment.name, frame.end, error)
        return records

    async def _store(
        self, segment: Segment, start: int, end: int, rows: Rows, also: Also | None = None
    ) -> None:
        await write_batch(self._database, Step(segment.journal, segment.name, start, end), rows, also)
        if self.positions is not None:
            self.positions[segment.journal, segment.name] = end

    def _report_damage(self, segment: Segment, start: int, length: int) -> None:
        self.counts.damaged += 1
        _log.error("Damage in %s: %d bytes from byte %d hold no record", segment.name, length, start)

    async def _finish(self, segment: Segment, start: int, tail: Tail) -> None:
        """The file first: a position without a file does no harm, a file without one is read twice."""
        if tail is Tail.TORN:
            self.counts.torn += 1
            _log.warning("The last record of %s is unfinished from byte %d on", segment.name, start)
        segment.path.unlink(missing_ok=True)
        await forget_position(self._database, segment.journal, segment.name)
        if self.positions is not None:
            self.positions.pop((segment.journal, segment.name), None)


def _next_place(data: bytes, *, may_grow: bool) -> int | None:
    """How many bytes of damage to step over; None: wait, what looks damaged may be half-written."""
    if found := find_frame(data, 1):
        return found
    if len(data) == READ_BYTES:
        return READ_BYTES // 2
    return None if may_grow else len(data)


def unread_bytes(folder: Path, positions: dict[tuple[str, str], int]) -> int:
    """What waits in the folder beyond the positions."""
    return sum(
        max(0, segment.size() - positions.get((segment.journal, segment.name), 0))
        for segment in list_segments(folder)
    )
