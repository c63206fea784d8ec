from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.errors import StorageError
from headgate.record.events import HealthRecord, ObjectRecord, Record, encode
from headgate.record.journal import Journal
from headgate.record.replay import Replay, unread_bytes
from headgate.record.segments import HEADER, list_segments
from headgate.storage.batch import read_positions
from headgate.storage.database import Database
from tests.record.samples import logs, recorded, request
from tests.record.test_segments import framed


class Seen:
    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, records: Sequence[Record], _: object) -> None:
        self.ids += [getattr(record, "id", "-") for record in records]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def journal_of(folder: Path, *ids: str, segment_bytes: int = 1 << 20) -> Journal:
    journal = Journal(folder, "g", SystemClock(), segment_bytes=segment_bytes)
    for request_id in ids:
        journal.append(request(request_id))
    return journal


async def test_every_record_is_stored_once_and_told_after(database: Database, folder: Path) -> None:
    journal = journal_of(folder, "a", "b")
    journal.append(HealthRecord(1, "work", 5, {}))
    journal.append(ObjectRecord("file_1", 1, 5))
    seen = Seen()
    replay = Replay(folder, database, seen)
    await replay.drain()
    journal.append(request("c"))
    await replay.drain()
    assert await recorded(database) == ["a", "b", "c"] == [name for name in seen.ids if name != "-"]
    assert replay.counts.written == 5
    assert unread_bytes(folder, await read_positions(database)) == 0
    assert await replay.step() == 0
    journal.close()


async def test_a_new_replay_goes_on_where_the_last_one_ended(database: Database, folder: Path) -> None:
    journal = journal_of(folder, "a")
    await Replay(folder, database, Seen()).drain()
    journal.append(request("b"))
    seen = Seen()
    await Replay(folder, database, seen).drain()
    assert seen.ids == ["b"]
    journal.close()


async def test_a_segment_goes_when_its_writer_is_gone_and_all_of_it_is_stored(
    database: Database, folder: Path
) -> None:
    """The open one stays, whatever was read of it; no position stays without a file."""
    journal = journal_of(folder, *(f"r{n}" for n in range(30)), segment_bytes=1000)
    replay = Replay(folder, database, Seen())
    await replay.drain()
    assert len(logs(folder)) == 1
    journal.append(request("last"))
    journal.close()
    await replay.drain()
    assert logs(folder) == []
    assert await read_positions(database) == {}
    assert len(await recorded(database)) == 31


async def test_a_backlog_is_stored_in_order_and_in_batches(database: Database, folder: Path) -> None:
    ids = [f"r{n}" for n in range(2500)]
    journal_of(folder, *ids).close()
    replay = Replay(folder, database, Seen())
    assert await replay.step() > 0
    assert replay.is_behind
    assert await recorded(database) == ids[:1000]
    await replay.drain()
    assert not replay.is_behind
    assert await recorded(database) == ids


async def test_a_backlog_of_several_segments_is_stored_in_their_order(
    database: Database, folder: Path
) -> None:
    """However much of each is read at a time: a body finds its request, a turn the turn before it."""
    ids = [f"r{n}" for n in range(4500)]
    journal_of(folder, *ids, segment_bytes=350_000).close()
    assert len(logs(folder)) > 2
    replay = Replay(folder, database, Seen())
    while await replay.step():
        stored = await recorded(database)
        assert stored == ids[: len(stored)]
        assert replay.is_behind or len(stored) == len(ids)
    assert await recorded(database) == ids
    assert logs(folder) == []


async def test_an_emptied_folder_begins_anew(database: Database, folder: Path) -> None:
    """Numbers start over; the positions of files long gone do not hide new records."""
    journal_of(folder, "a", "b").close()
    await Replay(folder, database, Seen()).drain()
    journal_of(folder, "c").close()
    await Replay(folder, database, Seen()).drain()
    assert await recorded(database) == ["a", "b", "c"]


async def test_half_a_frame_waits_while_its_writer_lives(database: Database, folder: Path) -> None:
    journal = journal_of(folder, "a")
    (segment,) = list_segments(folder)
    frame = framed(encode(request("b")))
    replay = Replay(folder, database, Seen())
    for cut in (3, HEADER.size, 50):
        with segment.path.open("ab") as file:
            file.write(frame[:cut])
        await replay.drain()
        assert await recorded(database) == ["a"]
        with segment.path.open("r+b") as file:
            file.truncate(segment.size() - cut)
    with segment.path.open("ab") as file:
        file.write(frame)
    await replay.drain()
    assert await recorded(database) == ["a", "b"]
    assert (replay.counts.torn, replay.counts.damaged) == (0, 0)
    journal.close()


async def test_half_a_frame_of_a_dead_writer_is_counted_and_left_behind(
    database: Database, folder: Path
) -> None:
    journal_of(folder, "a").close()
    (segment,) = list_segments(folder)
    with segment.path.open("ab") as file:
        file.write(framed(encode(request("b")))[:-1])
    journal_of(folder, "c").close()
    replay = Replay(folder, database, Seen())
    await replay.drain()
    assert await recorded(database) == ["a", "c"]
    assert replay.counts.torn == 1
    assert logs(folder) == []


@pytest.mark.parametrize("alive", [True, False])
async def test_damage_is_stepped_over_to_the_next_whole_frame(
    database: Database, folder: Path, alive: bool
) -> None:
    """Also in the segment that is being written: nobody waits for it to be full."""
    journal = journal_of(folder, "a", "b", "c")
    (segment,) = list_segments(folder)
    if not alive:
        journal.close()
    content = bytearray(segment.path.read_bytes())
    content[content.index(b"\xa1b")] ^= 0xFF
    segment.path.write_bytes(content)
    replay = Replay(folder, database, Seen())
    await replay.drain()
    assert await recorded(database) == ["a", "c"]
    assert replay.counts.damaged == 1
    journal.close()


async def test_zeros_at_the_end_of_a_dead_segment_are_counted(database: Database, folder: Path) -> None:
    """What a power cut leaves; more of them than one read takes."""
    journal_of(folder, "a").close()
    (segment,) = list_segments(folder)
    with segment.path.open("ab") as file:
        file.truncate(segment.size() + (3 << 20))
    replay = Replay(folder, database, Seen())
    await replay.drain()
    assert await recorded(database) == ["a"]
    assert replay.counts.damaged > 0
    assert logs(folder) == []


async def test_a_record_of_an_unknown_kind_is_counted_alone(database: Database, folder: Path) -> None:
    journal_of(folder, "a").close()
    (segment,) = list_segments(folder)
    with segment.path.open("ab") as file:
        file.write(framed(b"\x92\xa6future\x01") + framed(encode(request("b"))))
    replay = Replay(folder, database, Seen())
    await replay.drain()
    assert await recorded(database) == ["a", "b"]
    assert replay.counts.unreadable == 1


async def test_a_record_that_is_refused_does_not_hold_up_the_others(database: Database, folder: Path) -> None:
    ids = [f"r{n}" for n in range(20)]
    journal = journal_of(folder, *ids[:13])
    journal.append(request("bad", request_bytes=2**63))
    for request_id in ids[13:]:
        journal.append(request(request_id))
    journal.close()
    replay = Replay(folder, database, seen := Seen())
    await replay.drain()
    assert await recorded(database) == ids == seen.ids
    assert (replay.counts.refused, replay.counts.written) == (1, 20)


async def test_two_replayers_at_once_store_everything_once(database: Database, folder: Path) -> None:
    """They should not be two; if they are, the database decides."""
    journal = journal_of(folder, "a")
    first, second = Replay(folder, database, one := Seen()), Replay(folder, database, two := Seen())
    await first.drain()
    await second.drain()
    for request_id in ("b", "c", "d"):
        journal.append(request(request_id))
        await second.drain()
        await first.drain()
        first, second, one, two = second, first, two, one
    assert await recorded(database) == ["a", "b", "c", "d"]
    assert sorted(one.ids + two.ids) == ["a", "b", "c", "d"]
    journal.close()


async def test_a_database_that_is_away_loses_nothing(database: Database, folder: Path) -> None:
    journal_of(folder, "a").close()
    async with database.write() as connection:
        await connection.execute(sa.text("ALTER TABLE requests RENAME TO hidden"))
    replay = Replay(folder, database, seen := Seen())
    with pytest.raises(StorageError):
        await replay.drain()
    assert seen.ids == []
    async with database.write() as connection:
        await connection.execute(sa.text("ALTER TABLE hidden RENAME TO requests"))
    await replay.drain()
    assert await recorded(database) == ["a"] == seen.ids
