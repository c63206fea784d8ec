import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.clock import SystemClock
from headgate.errors import StorageError
from headgate.record.events import BodyRecord, HealthRecord, Record, SpanRecord, decode
from headgate.record.journal import Journal
from headgate.record.segments import Tail, list_segments, read_frames
from tests.record.samples import attempt, request


class SetClock(SystemClock):
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:  # type: ignore[override]
        return self.seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def records(folder: Path) -> list[Record]:
    found = []
    for segment in list_segments(folder):
        frames, tail = read_frames(segment.path.read_bytes(), 0, 1_000_000)
        assert tail is Tail.CLEAN
        found += [decode(frame.payload) for frame in frames]
    return found


def ids(folder: Path) -> list[str]:
    return [getattr(record, "id", "") for record in records(folder)]


def test_what_is_appended_is_on_the_disk_at_once(tmp_path: Path, clock: SetClock) -> None:
    """Before `append` returns, in files for the owner alone."""
    journal = Journal(tmp_path / "journal", "gateway", clock)
    health = HealthRecord(1, "work", 5, {"until": float("inf")})
    for record in (request("a"), health):
        journal.append(record)
    assert records(tmp_path / "journal") == [request("a"), health]
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700
    (segment,) = list_segments(tmp_path / "journal")
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert segment.is_being_written()
    journal.close()
    assert not segment.is_being_written()


def test_what_is_added_is_on_the_disk_with_the_commit(tmp_path: Path, clock: SetClock) -> None:
    """All of it at once and in order; `append` takes along what waits, `close` too."""
    journal = Journal(tmp_path, "g", clock)
    journal.add(request("a"))
    journal.add(request("b"))
    assert ids(tmp_path) == []
    journal.commit()
    journal.commit()
    assert ids(tmp_path) == ["a", "b"]
    journal.add(request("c"))
    journal.append(request("d"))
    assert ids(tmp_path) == ["a", "b", "c", "d"]
    journal.add(request("e"))
    journal.close()
    assert ids(tmp_path) == ["a", "b", "c", "d", "e"]


def test_what_waits_is_bounded(tmp_path: Path, clock: SetClock) -> None:
    """Without any commit the buffer is written when it is large."""
    journal = Journal(tmp_path, "g", clock)
    for number in range(3000):
        journal.add(request(f"r{number}"))
    assert 3000 - 2000 < len(ids(tmp_path)) < 3000
    journal.close()
    assert ids(tmp_path) == [f"r{number}" for number in range(3000)]


def test_a_record_that_cannot_be_added_leaves_the_others(tmp_path: Path, clock: SetClock) -> None:
    """Too large, or of nothing that msgpack has: counted, and not half of it in the frames."""
    journal = Journal(tmp_path, "g", clock)
    journal.add(request("a"))
    journal.add(HealthRecord(1, "x" * (1 << 20), 5, {}))
    journal.add(HealthRecord(1, "work", 5, {"until": object()}))
    journal.add(request("b"))
    journal.commit()
    assert ids(tmp_path) == ["a", "b"]
    assert journal.dropped == 2
    journal.close()


def test_a_full_segment_is_followed_by_the_next(tmp_path: Path, clock: SetClock) -> None:
    journal = Journal(tmp_path, "g", clock, segment_bytes=1000)
    expected = [f"r{n}" for n in range(40)]
    for request_id in expected:
        journal.append(request(request_id))
    segments = list_segments(tmp_path)
    assert ids(tmp_path) == expected
    assert len(segments) > 5
    assert all(segment.size() <= 1000 for segment in segments)
    assert [segment.is_being_written() for segment in segments] == [False] * (len(segments) - 1) + [True]
    journal.close()


def test_every_life_begins_a_segment_of_its_own(tmp_path: Path, clock: SetClock) -> None:
    """An older one may end in half a frame, and a life that recorded nothing leaves nothing."""
    for request_id in ("a", None, "b"):
        journal = Journal(tmp_path, "g", clock)
        if request_id:
            journal.append(request(request_id))
        journal.close()
    assert ids(tmp_path) == ["a", "b"]
    assert [segment.number for segment in list_segments(tmp_path)] == [1, 2]


def test_workers_have_a_journal_each(tmp_path: Path, clock: SetClock) -> None:
    first, second = Journal(tmp_path, "g-1", clock), Journal(tmp_path, "g-2", clock)
    first.append(request("a"))
    second.append(request("b"))
    assert ids(tmp_path) == ["a", "b"]
    assert first.size() == second.size() > 0
    first.close()
    second.close()


def test_a_full_journal_drops_and_counts_until_there_is_room(tmp_path: Path, clock: SetClock) -> None:
    """What was there first stays; the newest finds no room. Room is looked for ten times a second."""
    journal = Journal(tmp_path, "g", clock, max_bytes=4000)
    for number in range(100):
        journal.append(request(f"r{number}"))
    kept = ids(tmp_path)
    assert kept == [f"r{n}" for n in range(len(kept))]
    assert journal.size() <= 4000
    assert journal.dropped == 100 - len(kept) > 0
    assert "full" in (journal.last_failure or "")
    for segment in list_segments(tmp_path)[:2]:
        segment.path.unlink()
    journal.append(request("too soon"))
    clock.seconds += 0.1
    journal.append(request("room again"))
    assert ids(tmp_path)[-1] == "room again"
    assert "too soon" not in ids(tmp_path)
    journal.close()


@pytest.fixture
def file_size_limit() -> Iterator[Any]:
    """The kernel's own limit on file sizes: a write over it comes back short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


def some_of_twenty_were_kept(journal: Journal, folder: Path, clock: SetClock) -> None:
    """The first ones of `r0` to `r19`; the rest is counted; and when there is room again, it goes on."""
    kept = ids(folder)
    assert kept == [f"r{n}" for n in range(len(kept))]
    assert 0 < len(kept) < 20
    assert journal.dropped == 20 - len(kept)
    clock.seconds += 1
    journal.append(request("after"))
    assert ids(folder) == [*kept, "after"]
    journal.close()


def test_a_disk_that_is_full_costs_records_and_never_half_a_frame(
    tmp_path: Path, clock: SetClock, file_size_limit: Any
) -> None:
    """A short write is taken back; when there is room again, recording goes on."""
    journal = Journal(tmp_path, "g", clock)
    file_size_limit(1000)
    for number in range(20):
        journal.append(request(f"r{number}"))
    file_size_limit(None)
    some_of_twenty_were_kept(journal, tmp_path, clock)


def test_of_a_batch_that_fits_in_part_the_whole_records_stay(
    tmp_path: Path, clock: SetClock, file_size_limit: Any
) -> None:
    """The recorder may have read them between the write and its mending: they are neither taken back nor
    counted as dropped."""
    journal = Journal(tmp_path, "g", clock)
    for number in range(20):
        journal.add(request(f"r{number}"))
    file_size_limit(1000)
    journal.commit()
    file_size_limit(None)
    some_of_twenty_were_kept(journal, tmp_path, clock)


def test_a_folder_that_cannot_be_read_costs_records_and_raises_nothing(
    tmp_path: Path, clock: SetClock
) -> None:
    """No descriptor is left at a change of segments: dropped, counted, and recording goes on later."""
    journal = Journal(tmp_path, "g", clock, segment_bytes=1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        for number in range(20):
            journal.append(request(f"r{number}"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    some_of_twenty_were_kept(journal, tmp_path, clock)


def test_a_record_that_cannot_be_encoded_is_counted(tmp_path: Path, clock: SetClock) -> None:
    journal = Journal(tmp_path, "g", clock)
    journal.append(HealthRecord(1, "a", 1, {"bad": object()}))
    journal.append(request("b", at_ms=2**70))
    assert journal.dropped == 2
    journal.append(request("good"))
    assert ids(tmp_path) == ["good"]
    journal.close()


def test_half_a_surrogate_pair_costs_a_mark_and_not_the_record(tmp_path: Path, clock: SetClock) -> None:
    """JSON lets a client send one in a model's name; UTF-8 does not."""
    journal = Journal(tmp_path, "g", clock)
    journal.append(request("a", model="x\ud800", attempts=(attempt("work", reason="\udfff!"),)))
    (record,) = records(tmp_path)
    assert record == request("a", model="x?", attempts=(attempt("work", reason="?!"),))
    assert journal.dropped == 0
    journal.close()


def test_a_record_too_large_for_a_frame_is_counted(tmp_path: Path, clock: SetClock) -> None:
    journal = Journal(tmp_path, "g", clock)
    journal.append(request("big", path="/" * (1 << 20)))
    journal.append(request("good"))
    assert (ids(tmp_path), journal.dropped) == (["good"], 1)
    journal.close()


def test_a_closed_journal_counts_what_comes_late(tmp_path: Path, clock: SetClock) -> None:
    journal = Journal(tmp_path, "g", clock)
    journal.close()
    journal.close()
    journal.append(request("late"))
    assert (ids(tmp_path), journal.dropped) == ([], 1)


def test_a_folder_that_vanishes_is_survived(tmp_path: Path, clock: SetClock) -> None:
    """The open segment takes what it can; the next one has no place."""
    journal = Journal(tmp_path / "j", "g", clock, segment_bytes=600)
    (path,) = (tmp_path / "j").iterdir()
    path.unlink()
    (tmp_path / "j").rmdir()
    for number in range(10):
        journal.append(request(f"r{number}"))
    assert 0 < journal.dropped < 10
    journal.close()


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=f"Cannot create the journal: {tmp_path / 'file'}"):
        Journal(tmp_path / "file", "g", clock)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def span(number: int, size: int = 300) -> SpanRecord:
    return SpanRecord(number.to_bytes(16, "big"), b"x" * size, size, "anthropic")


def test_messages_leave_half_of_the_journal_to_records(tmp_path: Path, clock: SetClock) -> None:
    journal = Journal(tmp_path, "g", clock, max_bytes=40_000)
    taken = []
    for number in range(100):
        clock.seconds += 2
        taken.append(journal.offer(span(number)))
        journal.append(request(f"r{number}"))
    assert taken[0] and not taken[-1] and journal.dropped == 0
    spans = [one for one in records(tmp_path) if isinstance(one, SpanRecord)]
    assert len(spans) == sum(taken) and journal.spans_refused == 100 - len(spans)
    assert 15_000 < sum(len(one.span) for one in spans) + len(ids(tmp_path)) * 200 < 50_000
    journal.close()


def test_a_full_disk_takes_the_record_without_its_messages(
    tmp_path: Path, clock: SetClock, file_size_limit: Any
) -> None:
    """What was in one write with it is left out, and the record stands."""
    journal = Journal(tmp_path, "g", clock)
    journal.append(request("before"))
    file_size_limit(journal.size() + 1000)
    for number in range(5):
        journal.offer(span(number, size=600))
    journal.append(request("r"))
    assert [one for one in ids(tmp_path) if one] == ["before", "r"] and journal.dropped == 0
    assert journal.spans_refused == 4  # one found room
    assert journal.failing is None
    journal.close()


def _body(name: str, size: int) -> list[BodyRecord]:
    return [BodyRecord(name, "request", 0, size, b"x" * size, 1)]


def test_bodies_have_a_quarter_of_it(tmp_path: Path, clock: SetClock) -> None:
    """However many come between two looks at the folder; records still find room, and when the recorder has
    read there is room for bodies again."""
    journal = Journal(tmp_path, "gateway", clock, max_bytes=1 << 20)
    taken = [journal.offer_body(_body(f"b{number}", 60_000)) for number in range(8)]
    assert taken == [True] * 4 + [False] * 4
    assert journal.bodies_refused == 4
    journal.append(request("a"))
    assert ids(tmp_path)[-1] == "a" and journal.dropped == 0
    for segment in list_segments(tmp_path)[:-1]:
        segment.path.unlink()
    list_segments(tmp_path)[-1].path.write_bytes(b"")
    clock.seconds += 2
    assert journal.offer_body(_body("again", 60_000))
    journal.close()


def test_a_full_disk_takes_records_before_bodies(
    tmp_path: Path, clock: SetClock, file_size_limit: Any
) -> None:
    journal = Journal(tmp_path, "gateway", clock)
    journal.append(request("a"))
    file_size_limit(journal.size() + 2_000)
    journal.add(request("b"))
    journal.offer_body(_body("b", 100_000))
    journal.close()
    assert ids(tmp_path) == ["a", "b"]
    assert journal.dropped == 0
    assert journal.bodies_refused == 1


def test_what_is_lost_is_counted_by_its_kind(tmp_path: Path, clock: SetClock) -> None:
    """A request is one, however many messages it had and whatever was to be said of its bodies."""
    journal = Journal(tmp_path, "gateway", clock, max_bytes=4_000)
    journal.add(request("a"))
    journal.offer(span(1))
    journal.append(BodyRecord("a", "request", 0, 9, b"", error="left"))
    assert (journal.dropped, journal.spans_refused, journal.bodies_refused) == (0, 0, 0)
    while journal.dropped == 0:
        journal.append(request("b"))
    clock.seconds += 2
    for number in range(3):
        journal.add(request("c"))
        assert not journal.offer(span(number)) and not journal.offer_body(_body("c", 90))
        journal.append(BodyRecord("c", "request", 0, 90, b"", error="journal_full"))
    assert (journal.dropped, journal.spans_refused, journal.bodies_refused) == (4, 3, 3)
    journal.close()
