"""Kept bodies: how much there may be, how they go, and how they are found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.storage import bodies as stored
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.bodies import BodyStore, add_bodies, forget_bodies
from headgate.storage.body_keys import BodyKeys
from headgate.storage.body_tables import WORD_BITS
from headgate.storage.database import Database
from headgate.storage.history import clear_before
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.schema import bodies, body_sums, body_words
from headgate.storage.secrets import SecretBox
from tests.storage.rows import request_row


def body_row(request_id: str, kind: str = "request", *, size: int = 100, at: int = 0) -> dict[str, Any]:
    return {
        **{"request_id": request_id, "kind": kind, "content_type": "application/json", "size": size},
        **{"kept": size, "stored": size, "redacted": 0, "has_more_words": False, "truncated": False},
        **{"note": None, "error": None, "created_at": at, "key_id": 1, "data": b"x" * size},
    }


class Writer:
    """Stores requests with their bodies, as the recorder does."""

    def __init__(self, database: Database, *, most_bytes: int = 0) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._end = 0

    async def __call__(
        self, names: Sequence[str], words: dict[str, set[int]] | None = None, **fields: Any
    ) -> None:
        at = fields.pop("at", 0)
        rows = Rows(requests=[request_row(name, timestamp=at) for name in names])
        its = [body_row(name, kind, at=at, **fields) for name in names for kind in ("request", "response")]

        async def also(connection: Any) -> None:
            await add_bodies(connection, its, words or {}, most_bytes=self._most_bytes)

        await write_batch(self._database, Step("g", "s", self._end, self._end + 1), rows, also)
        self._end += 1


async def _there(database: Database) -> tuple[int, int, int]:
    """Bodies and bytes that there are; the sum must say the same. And words."""
    async with database.read() as connection:
        counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(bodies.c.stored), 0))
        count, size = (await connection.execute(counted)).one()
        told = (await connection.execute(sa.select(body_sums.c.bodies, body_sums.c.bytes))).one_or_none()
        words = (await connection.execute(sa.select(sa.func.count()).select_from(body_words))).scalar_one()
    assert (count, size) == (tuple(told) if told is not None else (0, 0))
    return count, int(size), words


async def test_more_than_there_may_be_never_is(database: Database) -> None:
    """The oldest go in the transaction that brings others, a request's two at once."""
    write = Writer(database, most_bytes=1_000)
    for number in range(12):
        await write([f"a{number}", f"b{number}"])
        count, size, _ = await _there(database)
        assert size <= 1_000
    assert (count, size) == (10, 1_000)
    await write(["large"], size=2_000)
    assert (await _there(database))[:2] == (0, 0)
    assert len(await RequestStore(database).after(0)) == 25


async def test_they_go_by_age(database: Database) -> None:
    write = Writer(database)
    for number in range(6):
        await write([f"r{number}"], {f"r{number}": {number}}, at=number)
    went, has_more = await forget_bodies(database, before_ms=4, most_bytes=0, now_ms=10)
    assert (went, has_more) == (8, False)
    assert (await _there(database))[:2] == (4, 400)
    assert await forget_bodies(database, before_ms=0, most_bytes=250, now_ms=10) == (2, False)
    assert (await _there(database))[:2] == (2, 200)


async def test_a_lowered_limit_is_kept_in_small_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_PIECE", 4)
    write = Writer(database)
    await write([f"r{number}" for number in range(9)])
    steps = 1
    while (await forget_bodies(database, before_ms=0, most_bytes=300, now_ms=0))[1]:
        steps += 1
    assert (await _there(database))[:2] == (2, 200)
    assert steps > 3


async def test_they_go_with_their_requests(database: Database) -> None:
    """And with the last of a block its words: ids of requests may begin anew then."""
    write = Writer(database)
    await write(["a"], {"a": {1, 2, 3}}, at=1)
    await write(["b"], {"b": {1}}, at=5)
    await clear_before(database, 3, most=100)
    assert (await _there(database))[:2] == (2, 200)
    await clear_before(database, 10**15, most=100)
    assert await _there(database) == (0, 0, 0)


async def test_a_request_that_is_not_there_has_no_body(database: Database) -> None:
    async with database.write() as connection:
        await add_bodies(connection, [body_row("nobody")], {"nobody": {1}}, most_bytes=0)
    assert await _there(database) == (0, 0, 0)


async def test_what_comes_twice_is_there_once(database: Database) -> None:
    write = Writer(database)
    await write(["a"], {"a": {1}})
    async with database.write() as connection:
        await add_bodies(connection, [body_row("a"), body_row("a", "response")], {"a": {1}}, most_bytes=0)
    assert await _there(database) == (2, 200, 1)


async def test_requests_are_found_by_all_words(database: Database) -> None:
    """Over the borders of blocks, together with other conditions, page by page, newest first."""
    write = Writer(database)
    many = WORD_BITS * 2 + 7
    for number in range(many):
        words = {-7} | ({2**62} if number % 3 == 0 else set()) | ({5} if number % 2 == 0 else set())
        await write([f"r{number:03}"], {f"r{number:03}": words}, at=number)
    store = RequestStore(database)

    async def found(*tokens: int, **others: Any) -> list[str]:
        wanted = RequestFilter(tokens=(tokens,), **others)
        ids, cursor = [], None
        while True:
            rows, cursor = await store.page(wanted, limit=10, cursor=cursor)
            ids += [row["id"] for row in rows]
            if cursor is None:
                return ids

    every = [f"r{number:03}" for number in reversed(range(many))]
    assert await found(-7) == every
    assert await found(2**62, 5) == [one for one in every if int(one[1:]) % 6 == 0]
    assert await found(2**62, since_ms=100) == [
        f"r{number}" for number in (129, 126, 123, 120, 117, 114, 111, 108, 105, 102)
    ]
    assert await found(5, 4_711) == []
    assert (await store.page(RequestFilter(tokens=())))[0] == []
    two_keys = RequestFilter(tokens=((4_711,), (2**62,)))
    assert len((await store.page(two_keys, limit=1_000))[0]) == len(await found(2**62))


async def test_a_body_whose_key_is_gone_is_told_of(database: Database, tmp_path: Path) -> None:
    await Writer(database)(["a"])
    keys = BodyKeys(database, SecretBox.open_or_create(tmp_path), SystemClock())
    told, body = await BodyStore(database, keys).read("a", "request") or ({}, b"")
    assert (told["kept"], body) == (100, None)
    assert await BodyStore(database, keys).read("b", "request") is None
