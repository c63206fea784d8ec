"""The gateway's side: records of one turn of the event loop, one write, never a wait.

The bytes are handed to the kernel, so they survive the death of this process; a power cut may take
the last seconds.
"""

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from headgate.clock import Clock
from headgate.errors import StorageError
from headgate.record.events import Attempt, BodyRecord, Record, SpanRecord
from headgate.record.lock import is_locked, try_lock
from headgate.record.segments import HEADER, MAX_PAYLOAD_BYTES, list_segments, new_segment_path
from headgate.storage.location import permission_denied

DEFAULT_MAX_BYTES = 256 << 20
DEFAULT_SEGMENT_BYTES = 16 << 20

_SECONDS_BETWEEN_LOOKS = 0.1
"""While records are dropped: how often we look whether there is room again. A look lists a folder."""

_SECONDS_BETWEEN_COUNTS = 1.0
"""How often we look how full it is, while that matters."""

_MOST_WAITING_BYTES = 262_144
"""Added and not committed: some hundred records."""

_HEADER_BYTES, _write_header = HEADER.size, HEADER.pack_into
"""Asked for once: a struct from C looks its own up for each record."""

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)

_log = logging.getLogger("headgate.recorder")


class Journal:
    """Appends records to segment files. One writer, one thread.

    `max_bytes` bounds what lies in this journal's segments, read or not: the recorder deletes a
    segment when all of it is in the database. What finds no room is dropped and counted.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        clock: Clock,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        self.dropped = 0
        """Records; not messages and bodies, which are counted by themselves."""
        self.spans_refused = 0
        """Messages that were not taken, so that records find room."""
        self.bodies_refused = 0
        """The same of bodies that were to be kept."""
        self.last_failure: str | None = None
        """Why the last dropped record was dropped, in words."""
        self._folder = folder
        self._name = name
        self._clock = clock
        self.max_bytes = max_bytes
        # At least four segments to the whole, or deleting one would not make room enough.
        self._segment_bytes = min(segment_bytes, max_bytes // 4)
        self._encoder = msgspec.msgpack.Encoder()
        self._frames = bytearray()
        self._descriptor = -1
        self._size = 0
        self._blocked_until = 0.0
        self._has_spans = False
        """Among what waits in `_frames`, or bodies."""
        self._counted = 0
        """Bytes in the segments, when we last looked, and of bodies since."""
        self._next_count = 0.0
        self._open()

    def append(self, record: Record) -> None:
        """On record when this returns, behind all that were added before. Never raises, never waits."""
        self.add(record)
        self.commit()

    def add(self, record: Record) -> None:
        """On record at the next `commit`: what must not be seen before has to wait for that."""
        frames = self._frames
        begin = len(frames)
        payload = begin + _HEADER_BYTES
        try:
            self._encoder.encode_into(record, frames, payload)
        except BaseException as error:
            del frames[begin:]  # half a record would spoil those behind it
            if not isinstance(error, _UNENCODABLE):
                raise
            try:
                frames += bytes(_HEADER_BYTES) + self._encoder.encode(_without_surrogates(record))
            except _UNENCODABLE:
                self._drop(f"a record could not be encoded: {error}")
                return
        size = len(frames) - payload
        if size > MAX_PAYLOAD_BYTES:
            del frames[begin:]
            self._drop(f"a record of {size} bytes is too large")
            return
        _write_header(frames, begin, size, zlib.crc32(memoryview(frames)[payload:]))
        if len(frames) > _MOST_WAITING_BYTES:
            self.commit()

    def offer(self, span: SpanRecord) -> bool:
        """Like `add`, for what may be missing: not taken in the half of the journal that is kept for records,
        and the first to go when the disk is full."""
        if self._blocked_until or self._is_filling(self.max_bytes // 2):
            self.spans_refused += 1
            return False
        self._has_spans = True
        self.add(span)
        return True

    def offer_body(self, parts: Sequence[BodyRecord]) -> bool:
        """All parts of one, or none of it: bodies get a quarter of the journal, and go first. On record when
        this returns, unless the disk is full."""
        size = sum(len(part.data) for part in parts)
        if self._blocked_until or self._is_filling(self.max_bytes // 4 - size):
            self.bodies_refused += 1
            return False
        self._counted += size
        for part in parts:
            self._has_spans = True
            self.add(part)
        self.commit()
        return True

    def commit(self) -> None:
        """Hand what was added to the kernel, in one write. What finds no room is dropped and counted."""
        if not self._frames:
            return
        frames, self._frames = self._frames, bytearray()
        length = len(frames)
        fits = not self._blocked_until and self._size + length <= self._segment_bytes
        if fits or self._has_room(frames):
            self._write(frames, length)
        self._has_spans = False

    def size(self) -> int:
        """Bytes in this journal's segments."""
        return sum(segment.size() for segment in list_segments(self._folder, self._name))

    def segments(self) -> int:
        return len(list_segments(self._folder, self._name))

    @property
    def failing(self) -> str | None:
        """Why what comes now is dropped; None: the last commit found room."""
        return self.last_failure if self._blocked_until else None

    def close(self) -> None:
        """Let go of the segment; the recorder may then read it to its end and delete it."""
        self.commit()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._blocked_until = float("inf")

    # ---- the rare paths --------------------------------------------------------------------------

    def _is_filling(self, room: int) -> bool:
        """Whether more than that is used. Looked at now and then: a look lists a folder."""
        now = self._clock.monotonic()
        if now >= self._next_count:
            self._next_count = now + _SECONDS_BETWEEN_COUNTS
            self._counted = self.size() + len(self._frames)
        return self._counted > room

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for segment in list_segments(self._folder, self._name):
                # Left by a life that recorded nothing; the recorder cannot tell it from a new one.
                if segment.size() == 0 and not is_locked(segment.path):
                    segment.path.unlink(missing_ok=True)
            self._start_segment()
        except PermissionError as error:
            raise permission_denied(self._folder) from error
        except OSError as error:
            raise StorageError(f"Cannot create the journal: {self._folder}: {error.strerror}") from error

    def _has_room(self, frames: bytearray) -> bool:
        """Start the next segment where this one is full; False, and counted, when there is no room."""
        now = self._clock.monotonic()
        if now < self._blocked_until:
            self._lose(frames, self.last_failure or "the journal is closed")
            return False
        try:
            # A new segment may be filled without another look.
            if self.size() + max(len(frames), self._segment_bytes) > self.max_bytes:
                self._block(frames, f"the journal is full: {self.max_bytes} bytes wait for the recorder")
                return False
            if self._size or self._descriptor < 0:
                self._start_segment()
        except OSError as error:
            self._block(frames, f"no new journal segment: {error.strerror}")
            return False
        self._blocked_until = 0.0
        return True

    def _start_segment(self) -> None:
        path = new_segment_path(self._folder, self._name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try_lock(descriptor)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._size = 0

    def _write(self, frames: bytearray, length: int) -> None:
        try:
            written = os.write(self._descriptor, frames)
        except OSError as error:
            self._block(frames, f"the journal cannot be written: {error.strerror}")
            return
        if written == length:
            self._size += length
            return
        lost = frames[self._keep_whole_frames(frames, written) :]
        if self._has_spans and self._descriptor >= 0 and self._write_records(lost):
            return
        self._block(lost, "the journal cannot be written: the disk is full")

    def _write_records(self, frames: bytearray) -> bool:
        """Once more, without messages and bodies: whether the records alone found room."""
        records = _without_spans(frames)
        if len(records) == len(frames):
            return False
        with suppress(OSError):
            if os.write(self._descriptor, records) == len(records):
                self._size += len(records)
                self._count_lost(frames, are_records_kept=True)
                return True
            os.ftruncate(self._descriptor, self._size)
        return False

    def _keep_whole_frames(self, frames: bytearray, written: int) -> int:
        """Only part was written. The recorder may have read the whole frames of it already: they stay. The
        half one is taken away; where that fails, the segment is left for a new one. Returns how many bytes
        stay."""
        end = 0
        while end + HEADER.size <= written:
            next_end = end + HEADER.size + HEADER.unpack_from(frames, end)[0]
            if next_end > written:
                break
            end = next_end
        self._size += end
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
        return end

    def _block(self, lost: bytearray, failure: str) -> None:
        if not self._blocked_until:
            _log.error("Records are being dropped: %s", failure)
        self._blocked_until = self._clock.monotonic() + _SECONDS_BETWEEN_LOOKS
        self._lose(lost, failure)

    def _lose(self, frames: bytearray, failure: str) -> None:
        self._count_lost(frames)
        self.last_failure = failure

    def _count_lost(self, frames: bytearray, *, are_records_kept: bool = False) -> None:
        for begin, end in _payloads(frames):
            if frames.startswith(_A_SPAN, begin):
                self.spans_refused += 1
            elif frames.startswith(_A_BODY, begin):
                body = _body_decoder.decode(frames[begin:end])
                # Without data it only says what became of a body, which is counted already, if it was lost.
                self.bodies_refused += bool(body.data) and body.part == 0
            elif not are_records_kept:
                self.dropped += 1

    def _drop(self, failure: str) -> None:
        self.dropped += 1
        self.last_failure = failure


_A_SPAN, _A_BODY = (
    msgspec.msgpack.encode(one)[:6] for one in (SpanRecord(b"", b"", 0, ""), BodyRecord("", "", 0, 0, b""))
)
"""What the payload of a message, or of a body, begins with: the array's head and the tag."""

_body_decoder = msgspec.msgpack.Decoder(BodyRecord)


def _payloads(frames: bytearray) -> Iterator[tuple[int, int]]:
    """Where each begins and ends."""
    place = 0
    while place < len(frames):
        begin = place + HEADER.size
        place = begin + HEADER.unpack_from(frames, place)[0]
        yield begin, place


def _without_spans(frames: bytearray) -> bytearray:
    kept = bytearray()
    for begin, end in _payloads(frames):
        if not frames.startswith((_A_SPAN, _A_BODY), begin):
            kept += frames[begin - HEADER.size : end]
    return kept


def _without_surrogates(record: Record) -> Record:
    """A client may send half of a surrogate pair in a name; its record is kept, with a mark there."""
    values = {name: _mended(getattr(record, name)) for name in record.__struct_fields__}
    return type(record)(**values)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Attempt):
        return msgspec.structs.replace(value, reason=_mended(value.reason), error=_mended(value.error))
    return tuple(map(_mended, value)) if isinstance(value, tuple) else value
