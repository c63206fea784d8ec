"""Bodies out of the journal into the database."""

import gzip
import zlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.record.bodies import Bodies, BodyWishes, in_words
from headgate.record.events import BodyRecord
from headgate.record.journal import Journal
from headgate.record.replay import Replay
from headgate.record.sealing import PART_BYTES, Unsealable, opened, sealed
from headgate.storage.bodies import BodyStore
from headgate.storage.body_keys import BodyKey, BodyKeys
from headgate.storage.database import Database
from headgate.storage.schema import bodies, body_keys, body_parts
from headgate.storage.secrets import SecretBox
from tests.record.samples import request

JSON = "application/json"


def keys_of(database: Database, folder: Path) -> BodyKeys:
    box = SecretBox.open_or_create(folder)
    box.make_key()
    return BodyKeys(database, box, SystemClock())


async def key_of(keys: BodyKeys) -> BodyKey:
    key = await keys.current()
    assert key is not None
    return key


def parts_of(
    key: BodyKey, body: bytes, *, of: str = "a", kind: str = "request", coding: str = "", limit: int = 0
) -> list[BodyRecord]:
    return sealed(
        body,
        key,
        request_id=of,
        kind=kind,
        at_ms=1_700_000_000_000,
        size=len(body),
        coding=coding,
        content_type=JSON,
        limit=limit,
    )


def replay_of(database: Database, keys: BodyKeys, folder: Path, **wishes: int) -> Replay:
    return Replay(folder / "journal", database, lambda _, __: None, bodies=Bodies(keys, BodyWishes(**wishes)))


def journal_of(folder: Path) -> Journal:
    return Journal(folder / "journal", "g", SystemClock())


async def test_a_body_is_stored_with_its_request(database: Database, tmp_path: Path) -> None:
    """Without coding and secrets; neither the journal nor the row holds it in clear."""
    keys = keys_of(database, tmp_path)
    key, journal = await key_of(keys), journal_of(tmp_path)
    journal.append(request("a", bodies=2))
    assert journal.offer_body(parts_of(key, b'{"text":"hello world","api_key":"abc1"}'))
    packed = gzip.compress(b"the answer is here")
    assert journal.offer_body(parts_of(key, packed, kind="response", coding="gzip"))
    lying = b"".join(file.read_bytes() for file in (tmp_path / "journal").iterdir())
    assert b"hello" not in lying
    await replay_of(database, keys, tmp_path).drain()
    store = BodyStore(database, keys)
    told, body = await store.read("a", "request") or ({}, None)
    assert body == b'{"text":"hello world","api_key":"[redacted]"}'
    assert (told["redacted"], told["truncated"], told["note"]) == (1, False, None)
    told, body = await store.read("a", "response") or ({}, None)
    assert (body, told["size"], told["kept"]) == (b"the answer is here", len(packed), 18)
    async with database.read() as connection:
        rows = (await connection.execute(sa.select(bodies.c.data))).scalars().all()
    assert all(b"hello" not in data and b"answer" not in data for data in rows)
    assert await store.sums() == (2, sum(len(data) for data in rows) + 8 * 10)
    journal.close()


async def test_a_request_waits_for_its_bodies(database: Database, tmp_path: Path) -> None:
    """They come within a moment: the batch ends before it. If they never come, it is stored without."""
    keys = keys_of(database, tmp_path)
    key, journal = await key_of(keys), journal_of(tmp_path)
    replay = replay_of(database, keys, tmp_path)
    journal.append(request("a"))
    journal.append(request("b", bodies=1))
    journal.append(request("c"))
    assert await replay.step()
    assert replay.counts.written == 1
    assert await replay.step() == 0
    journal.offer_body(parts_of(key, b"{}", of="b"))
    assert await replay.step()
    assert replay.counts.written == 3
    journal.append(request("d", bodies=2))
    for _ in range(30):
        await replay.step()
    assert replay.counts.written == 4
    journal.close()


async def test_a_body_in_parts_is_one(database: Database, tmp_path: Path) -> None:
    """However its parts are cut into batches, by a reader that is killed after each."""
    keys = keys_of(database, tmp_path)
    key, journal = await key_of(keys), journal_of(tmp_path)
    long = b"".join(b"%d " % number for number in range(500_000))
    parts = parts_of(key, long)
    assert len(parts) == -(-len(long) // PART_BYTES) > 3
    journal.append(request("a", bodies=1))
    journal.offer_body(parts)
    journal.append(request("b"))
    while await replay_of(database, keys, tmp_path, max_bytes=1 << 24).step():
        pass
    told, body = await BodyStore(database, keys).read("a", "request") or ({}, None)
    assert body == long
    assert told["has_more_words"]
    async with database.read() as connection:
        assert (await connection.execute(sa.select(body_parts.c.part))).all() == []
    journal.close()


async def test_what_cannot_be_kept_says_why(database: Database, tmp_path: Path) -> None:
    keys = keys_of(database, tmp_path)
    key, journal = await key_of(keys), journal_of(tmp_path)
    (damaged,) = parts_of(key, b"{}", of="b")
    for number, record in enumerate(
        (
            *parts_of(key, b"no gzip at all", of="0", coding="gzip"),
            *parts_of(key, b"what is this", of="1", coding="made-up"),
            BodyRecord("2", "request", 0, 7, b"", error="journal_full"),
            damaged.__class__(*("3", "request", 0, 2, damaged.data, damaged.key_id)),
            damaged.__class__(*("4", "request", 0, 2, damaged.data, 4_711)),
            BodyRecord("5", "request", 0, 0, b""),
        )
    ):
        journal.append(request(str(number)))
        journal.offer_body([record])
    await replay_of(database, keys, tmp_path).drain()
    async with database.read() as connection:
        rows = (await connection.execute(sa.select(bodies).order_by(bodies.c.seq))).all()
    found = ["coding", "unknown_coding", "journal_full", "damaged", "key_missing"]
    assert [row.error for row in rows] == found
    assert all(row.data is None and row.note and row.stored == 0 for row in rows)
    journal.close()


async def test_what_swells_is_cut(database: Database, tmp_path: Path) -> None:
    """A thousandth of what it says it is: kept to 32 times what came, and said to be cut."""
    keys = keys_of(database, tmp_path)
    key, journal = await key_of(keys), journal_of(tmp_path)
    journal.append(request("a", bodies=1))
    journal.offer_body(parts_of(key, gzip.compress(b"\0" * (64 << 20)), coding="gzip"))
    await replay_of(database, keys, tmp_path).drain()
    told = (await BodyStore(database, keys).read("a", "request") or ({}, None))[0]
    assert told["truncated"] and told["kept"] == 1 << 20
    assert told["note"] == "Buffer truncated at 1MB"
    journal.close()


def test_a_part_opens_in_its_place_alone() -> None:
    key = BodyKey(1, b"k" * 32)
    (part,) = parts_of(key, b"said")
    assert opened([part], key) == b"said"
    fields = list(part.__struct_fields__)
    for name, other in (("request_id", "b"), ("kind", "response"), ("parts", 2), ("part", 1)):
        values = [getattr(part, field) for field in fields]
        values[fields.index(name)] = other
        with pytest.raises(Unsealable):
            opened([BodyRecord(*values)], key)
    with pytest.raises(Unsealable):
        opened([part], BodyKey(1, b"j" * 32))


@pytest.mark.parametrize(
    ("size", "words"), [(1 << 20, "1MB"), (65_536, "64KB"), (1_000, "1000 bytes"), (3 << 19, "1536KB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


async def test_the_key_of_bodies_is_sealed_by_the_one_of_the_accounts(
    database: Database, tmp_path: Path
) -> None:
    """The same in every life; another key of the accounts does not open it, and none at all makes none."""
    keys = keys_of(database, tmp_path)
    key = await key_of(keys)
    again = await key_of(keys_of(database, tmp_path))
    assert again.id == key.id
    assert again.open(key.seal(b"said", of="a"), of="a") == b"said"
    async with database.read() as connection:
        (sealed_key,) = (await connection.execute(sa.select(body_keys.c.sealed))).scalars().all()
    assert zlib.crc32(sealed_key.encode())  # text of Fernet's own
    other = BodyKeys(database, SecretBox.open_or_create(tmp_path, "another key altogether"), SystemClock())
    assert await other.get(key.id) is None
    assert (await key_of(other)).id != key.id
    nobody = BodyKeys(database, SecretBox.open_or_create(tmp_path / "empty"), SystemClock())
    assert await nobody.current() is None
    assert not (tmp_path / "empty").exists()
