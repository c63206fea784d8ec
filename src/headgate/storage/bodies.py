"""Kept bodies: written with the batch that has their request, found by their words, forgotten in order.

How much there is stands in one row, which every change here keeps true: nothing has to be counted.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
import zstandard
from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.body_keys import BodyKeys
from headgate.storage.body_tables import WORD_BITS
from headgate.storage.bulk import insert_new
from headgate.storage.database import Database, insert
from headgate.storage.schema import bodies, body_parts, body_sums, body_words, requests

PIECE_BYTES = 32 << 20
"""Deleted in one transaction, about."""
_PIECE = 200
_AT_ONCE = 500
_PARTS_KEPT_MS = 3_600_000
"""A part whose others did not come by then: their gateway is gone."""

Row = dict[str, Any]


class Sums(NamedTuple):
    bodies: int = 0
    bytes: int = 0


def place_of(request_id: str, kind: str) -> str:
    """What a body is sealed to."""
    return f"{request_id} {kind}"


# ---- written by the recorder -----------------------------------------------------------------------


async def add_bodies(
    connection: AsyncConnection, rows: Sequence[Row], words: dict[str, set[int]], *, most_bytes: int
) -> int:
    """`rows` with `request_id` for `seq`; of a request that is not there they are left out. `words`: by
    request. The oldest go for what would be more than `most_bytes` (0: nothing would). How many went."""
    places = await _seqs(connection, {row["request_id"] for row in rows})
    known = await _known(connection, places.values())
    new = [
        {
            "seq": places[row["request_id"]],
            **{name: value for name, value in row.items() if name != "request_id"},
        }
        for row in rows
        if row["request_id"] in places and (places[row["request_id"]], row["kind"]) not in known
    ]
    if not new:
        return 0
    await insert_new(connection, bodies, new)
    await _add_words(connection, {places[one]: tokens for one, tokens in words.items() if one in places})
    await _change_sums(connection, len(new), sum(row["stored"] for row in new))
    return await _make_room(connection, most_bytes)


async def _seqs(connection: AsyncConnection, request_ids: Iterable[str]) -> dict[str, int]:
    asked = sorted(request_ids)
    found: dict[str, int] = {}
    for start in range(0, len(asked), _AT_ONCE):
        query = sa.select(requests.c.id, requests.c.seq)
        query = query.where(requests.c.id.in_(asked[start : start + _AT_ONCE]))
        found |= {row.id: row.seq for row in await connection.execute(query)}
    return found


async def _known(connection: AsyncConnection, seqs: Iterable[int]) -> set[tuple[int, str]]:
    asked, found = sorted(seqs), set()
    for start in range(0, len(asked), _AT_ONCE):
        query = sa.select(bodies.c.seq, bodies.c.kind)
        query = query.where(bodies.c.seq.in_(asked[start : start + _AT_ONCE]))
        found |= {(row.seq, row.kind) for row in await connection.execute(query)}
    return found


async def _add_words(connection: AsyncConnection, words: dict[int, set[int]]) -> None:
    """Sorted, because recorders beside each other lock rows in this order."""
    bits: dict[tuple[int, int], int] = {}
    for seq, tokens in words.items():
        block, bit = seq // WORD_BITS, 1 << seq % WORD_BITS
        for token in tokens:
            bits[block, token] = bits.get((block, token), 0) | bit
    if not bits:
        return
    rows = [(*place, bits[place]) for place in sorted(bits)]
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        await connection.exec_driver_sql(_ADD_WORDS_POSTGRESQL, columns)
    else:
        await connection.exec_driver_sql(_ADD_WORDS, rows)


_ADD_WORDS = (
    "INSERT INTO body_words (block, word, bits) VALUES (?, ?, ?) "
    "ON CONFLICT (block, word) DO UPDATE SET bits = body_words.bits | excluded.bits"
)
_ADD_WORDS_POSTGRESQL = (
    "INSERT INTO body_words (block, word, bits) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) "
    "ON CONFLICT (block, word) DO UPDATE SET bits = body_words.bits | excluded.bits"
)


async def _change_sums(connection: AsyncConnection, count: int, size: int) -> None:
    adding = insert(connection, body_sums)
    adding = adding.on_conflict_do_update(
        index_elements=[body_sums.c.id],
        set_={
            "bodies": body_sums.c.bodies + adding.excluded.bodies,
            "bytes": body_sums.c.bytes + adding.excluded.bytes,
        },
    )
    await connection.execute(adding.values(id=1, bodies=count, bytes=size))


# ---- parts -----------------------------------------------------------------------------------------


async def keep_parts(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Of bodies whose last part is still to come."""
    await insert_new(connection, body_parts, rows)


async def take_parts(connection: AsyncConnection, request_id: str, kind: str) -> list[bytes]:
    """Those that were kept of a body, in order; they are gone from here."""
    its = (body_parts.c.request_id == request_id) & (body_parts.c.kind == kind)
    query = sa.select(body_parts.c.record).where(its).order_by(body_parts.c.part)
    found = [row.record for row in await connection.execute(query)]
    await connection.execute(sa.delete(body_parts).where(its))
    return found


# ---- forgotten -------------------------------------------------------------------------------------


async def forget_bodies(
    database: Database, *, before_ms: int, most_bytes: int, now_ms: int
) -> tuple[int, bool]:
    """A piece of those that began earlier, and of the oldest while all are more than `most_bytes` (0: they
    are not); how many went, and whether there may be more."""
    async with database.write() as connection:
        old = body_parts.c.created_at < now_ms - _PARTS_KEPT_MS
        await connection.execute(sa.delete(body_parts).where(old))
        aged = await _drop_oldest(connection, before_ms=before_ms)
        made = await _make_room(connection, most_bytes)
    return aged + made, max(aged, made) >= _PIECE


async def drop_bodies(connection: AsyncConnection, seqs: Sequence[int]) -> None:
    """Those of requests that are about to be deleted, with the words that nobody else has."""
    gone: list[int] = []
    for start in range(0, len(seqs), _AT_ONCE):
        its = bodies.c.seq.in_(seqs[start : start + _AT_ONCE])
        gone += (await connection.execute(sa.delete(bodies).where(its).returning(bodies.c.stored))).scalars()
    await _have_gone(connection, gone)


async def _have_gone(connection: AsyncConnection, gone: Sequence[int]) -> None:
    """Bodies of these sizes."""
    if gone:
        await _change_sums(connection, -len(gone), -sum(gone))
        await _drop_words(connection)


async def _make_room(connection: AsyncConnection, most_bytes: int) -> int:
    if not most_bytes:
        return 0
    total = (await connection.execute(sa.select(body_sums.c.bytes))).scalar() or 0
    return 0 if total <= most_bytes else await _drop_oldest(connection, excess=total - most_bytes)


async def _drop_oldest(connection: AsyncConnection, *, before_ms: int = 0, excess: int = 0) -> int:
    """In the order of recording, those before a moment or so many that `excess` bytes are free; a request's
    two at once."""
    query = sa.select(bodies.c.seq, bodies.c.stored, bodies.c.created_at).order_by(bodies.c.seq)
    last, size = None, 0
    for row in (await connection.execute(query.limit(_PIECE))).all():
        is_wanted = size < excess or row.created_at < before_ms
        if row.seq != last and (not is_wanted or size > PIECE_BYTES):
            break
        last, size = row.seq, size + row.stored
    if last is None:
        return 0
    # The last one read may have a second body behind the limit.
    dropping = sa.delete(bodies).where(bodies.c.seq <= last).returning(bodies.c.stored)
    gone = (await connection.execute(dropping)).scalars().all()
    await _have_gone(connection, gone)
    return len(gone)


async def _drop_words(connection: AsyncConnection) -> None:
    """Of blocks that no body is in any more. Ids of requests may begin anew when all are gone."""
    first = (await connection.execute(sa.select(sa.func.min(bodies.c.seq)))).scalar()
    gone = sa.true() if first is None else body_words.c.block < first // WORD_BITS
    await connection.execute(sa.delete(body_words).where(gone))


# ---- read ------------------------------------------------------------------------------------------


def has_words(tokens: Sequence[int]) -> list[sa.ColumnElement[bool]]:
    """Conditions on `requests`: every word is in one of the bodies that are kept of it."""
    seq = requests.c.seq
    shift = sa.cast(seq % WORD_BITS, sa.Integer)
    kept = seq >= sa.select(sa.func.min(bodies.c.seq)).scalar_subquery()
    found: list[sa.ColumnElement[bool]] = [kept, sa.exists().where(bodies.c.seq == seq)]
    for token in tokens:
        bit = body_words.c.bits.bitwise_rshift(shift).bitwise_and(1)
        its = (body_words.c.block == seq // WORD_BITS) & (body_words.c.word == token) & (bit == 1)
        found.append(sa.exists().where(its))
    return found


class BodyStore:
    """What the owner sees."""

    def __init__(self, database: Database, keys: BodyKeys) -> None:
        self._database = database
        self.keys = keys

    async def sums(self) -> Sums:
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(body_sums.c.bodies, body_sums.c.bytes))).one_or_none()
        return Sums() if row is None else Sums(row.bodies, row.bytes)

    async def told_of(self, seq: int) -> dict[str, Row]:
        """By kind: all but the bodies themselves."""
        query = sa.select(*(column for column in bodies.c if column.name != "data"))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.where(bodies.c.seq == seq))).mappings().all()
        return {row["kind"]: dict(row) for row in rows}

    async def read(self, request_id: str, kind: str) -> tuple[Row, bytes | None] | None:
        """What is told of it, and itself: None where there is none, or where its key is missing. None alone:
        nothing was kept."""
        query = sa.select(bodies).join(requests, requests.c.seq == bodies.c.seq)
        query = query.where(requests.c.id == request_id, bodies.c.kind == kind)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        told = dict(row)
        data = told.pop("data")
        key = await self.keys.get(told["key_id"]) if data is not None else None
        if key is None:
            return told, None
        try:
            packed = key.open(data, of=place_of(request_id, kind))
            return told, zstandard.ZstdDecompressor().decompress(packed, max_output_size=told["kept"] + 1)
        except (InvalidTag, zstandard.ZstdError):
            return told, None

    async def tokens(self, words: Iterable[str]) -> list[list[int]]:
        """By key, what stands for each word. Empty: no key opens."""
        found = set(words)
        return [[key.token(word) for word in sorted(found)] for key in await self.keys.all()]
