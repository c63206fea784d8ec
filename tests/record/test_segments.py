import struct
import zlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headgate.record.segments import (
    MAX_PAYLOAD_BYTES,
    Tail,
    find_frame,
    list_segments,
    new_segment_path,
    read_at,
    read_frames,
)

payloads = st.lists(st.binary(min_size=1, max_size=60), max_size=12)


def framed(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


@given(payloads, st.data())
def test_any_cut_gives_the_whole_frames_before_it(written: list[bytes], data: st.DataObject) -> None:
    """And says whether something unfinished follows; reading on from there gives the rest."""
    whole = b"".join(map(framed, written))
    cut = data.draw(st.integers(0, len(whole)))
    before, tail = read_frames(whole[:cut], 0, 1000)
    end = before[-1].end if before else 0
    assert [frame.payload for frame in before] == written[: len(before)]
    assert tail is (Tail.CLEAN if end == cut else Tail.TORN)
    after, tail = read_frames(whole[end:], end, 1000)
    assert [frame.payload for frame in before + after] == written
    assert tail is Tail.CLEAN


@given(payloads.filter(len), st.data())
def test_a_changed_byte_never_gives_a_wrong_frame(written: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(framed, written)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    frames, tail = read_frames(bytes(whole), 0, 1000)
    assert [frame.payload for frame in frames] == written[: len(frames)]
    assert len(frames) < len(written)
    assert tail is not Tail.CLEAN


@given(st.binary(max_size=40).map(lambda junk: b"\xff" + junk), st.binary(min_size=1, max_size=40))
def test_the_first_whole_frame_after_damage_is_found(junk: bytes, payload: bytes) -> None:
    assert find_frame(junk + framed(payload), 1) == len(junk)


def test_a_limit_stops_between_frames() -> None:
    frames, tail = read_frames(framed(b"a") + framed(b"b") + b"\0", 0, 1)
    assert ([frame.payload for frame in frames], tail) == ([b"a"], Tail.CLEAN)


def test_zeros_are_damage_and_no_records() -> None:
    """A power cut leaves blocks of them, and the checksum of nothing is zero."""
    assert read_frames(bytes(64), 0, 10) == ([], Tail.CORRUPT)
    assert find_frame(bytes(64), 1) is None


def test_a_length_that_no_record_has_is_damage() -> None:
    assert read_frames(struct.pack("<II", MAX_PAYLOAD_BYTES + 1, 0), 0, 10) == ([], Tail.CORRUPT)


def test_segments_are_listed_in_the_order_of_writing(tmp_path: Path) -> None:
    """By number, not by spelling; strangers and other journals are left out."""
    names = ["a-00000009-" + "0" * 16, "a-100000000-" + "0" * 16, "a-b-00000001-" + "f" * 16]
    for name in [*names, "a-1-0", "app"]:
        (tmp_path / f"{name}.log").write_text("x")
    assert [segment.path.stem for segment in list_segments(tmp_path)] == names
    assert [segment.number for segment in list_segments(tmp_path, "a")] == [9, 100_000_000]
    assert new_segment_path(tmp_path, "a").name.startswith("a-100000001-")
    assert new_segment_path(tmp_path, "new").name.startswith("new-00000001-")


def test_a_name_is_never_given_twice(tmp_path: Path) -> None:
    """A stored position must not be taken for a later file's, also when the folder was emptied."""
    assert len({new_segment_path(tmp_path, "a") for _ in range(50)}) == 50


def test_a_file_that_is_gone_reads_as_empty(tmp_path: Path) -> None:
    assert read_at(tmp_path / "gone", 0, 10) == b""
