"""The journal's files and the frames in them.

A segment is one append-only file, `<journal>-<number>-<life>.log`. The number gives the order within
a journal; the random `life` makes the name unique for all times and machines, so that a replay
position can never be taken for another file's. Its writer holds a lock on it for as long as it
lives: a segment whose lock is free has got its last byte.

Frame: u32 length, u32 CRC-32 of the payload (both little endian), payload. A length of 0 is never
written: zeros are what a power cut leaves.
"""

import re
import secrets
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from headgate.record.lock import is_locked

HEADER = struct.Struct("<II")
MAX_PAYLOAD_BYTES = 1 << 20
"""A record is some hundred bytes; a longer length in a header is damage."""

_NAME = re.compile(r"(?P<journal>.+)-(?P<number>\d{8,})-(?P<life>[0-9a-f]{16})\.log")


@dataclass(frozen=True, slots=True)
class Segment:
    path: Path
    journal: str
    number: int

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        """Bytes; 0 when the file is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def is_being_written(self) -> bool:
        """An empty segment may have been made this moment: its lock comes before its first byte."""
        return self.size() == 0 or is_locked(self.path)


def list_segments(folder: Path, journal: str | None = None) -> list[Segment]:
    """By journal, then in the order of writing; all journals when none is named."""
    found = []
    for path in folder.glob("*.log"):
        parts = _NAME.fullmatch(path.name)
        if parts and journal in (None, parts["journal"]):
            found.append(Segment(path, parts["journal"], int(parts["number"])))
    return sorted(found, key=lambda segment: (segment.journal, segment.number, segment.name))


def new_segment_path(folder: Path, journal: str) -> Path:
    """After every segment of the journal that is there now."""
    number = max((segment.number for segment in list_segments(folder, journal)), default=0) + 1
    return folder / f"{journal}-{number:08d}-{secrets.token_hex(8)}.log"


class Tail(Enum):
    """What stands after the last whole frame."""

    CLEAN = "nothing"
    TORN = "the beginning of a frame"
    CORRUPT = "bytes that are no frame"


class Frame(NamedTuple):
    payload: bytes
    end: int
    """Offset of the first byte after the frame."""


def read_frames(data: bytes, offset: int, limit: int) -> tuple[list[Frame], Tail]:
    """Up to `limit` whole frames from the front of `data`, which stands at `offset` of its file."""
    frames: list[Frame] = []
    place = 0
    while len(frames) < limit and place < len(data):
        if len(data) - place < HEADER.size:
            return frames, Tail.TORN
        length, checksum = HEADER.unpack_from(data, place)
        if not 0 < length <= MAX_PAYLOAD_BYTES:
            return frames, Tail.CORRUPT
        begin = place + HEADER.size
        payload = data[begin : begin + length]
        if len(payload) < length:
            return frames, Tail.TORN
        if zlib.crc32(payload) != checksum:
            return frames, Tail.CORRUPT
        place = begin + length
        frames.append(Frame(payload, offset + place))
    return frames, Tail.CLEAN


def find_frame(data: bytes, start: int) -> int | None:
    """Where the first whole frame after damage begins, at or after `start`."""
    for place in range(start, len(data) - HEADER.size):
        length, checksum = HEADER.unpack_from(data, place)
        begin = place + HEADER.size
        if 0 < length <= len(data) - begin and zlib.crc32(data[begin : begin + length]) == checksum:
            return place
    return None


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Up to `size` bytes; empty at the end or when the file is gone."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""
