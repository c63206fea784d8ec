"""All that a database holds, into another one: every table, and values that the other kind would refuse."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.errors import Conflict, StorageError
from headgate.storage.database import Database, open_database
from headgate.storage.schema import Json, accounts, attempts, gateways, metadata, objects, requests
from headgate.storage.transfer import Transferred, transfer
from tests.storage.rows import attempt_row, request_row

OWN = {"alembic_version", "schema_history", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"}
"""Of the file and of its schema: not of what is remembered."""
MONTHS = ("requests_", "attempts_")
"""Tables that are parts of others, on PostgreSQL."""


@pytest.fixture
async def source(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    await opened.upgrade()
    yield opened
    await opened.close()


@pytest.fixture
async def target(postgres_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgres_url)
    yield opened
    await opened.close()


async def _transfer(source: Database, target: Database, *, replace: bool = False) -> Transferred:
    return await transfer(source, target, replace=replace, now_ms=1_000, progress=lambda *_: None)


def _value(column: sa.Column[Any], number: int) -> Any:
    """One that can be told from another row's and column's."""
    if column.foreign_keys:
        return _value(next(iter(column.foreign_keys)).column, number)
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return bool(number % 2)
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, sa.Float):
        return number + 0.25
    if isinstance(kind, sa.LargeBinary):
        return f"{column.name} {number}".encode() + b"\0\xff"
    return [column.name, number, float("inf")] if isinstance(kind, Json) else f"{column.name} é {number}"


async def _fill(database: Database) -> None:
    """Two rows in every table that the schema has."""
    async with database.write() as connection:
        for table in metadata.sorted_tables:
            if table.name not in OWN:
                rows = [{one.name: _value(one, number) for one in table.columns} for number in (1, 2)]
                await connection.execute(sa.insert(table), rows)


async def _content(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Of all tables that the database has, whatever the program knows of them."""
    async with database.read() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        found = {}
        for name in names:
            if name not in OWN and not name.startswith(MONTHS):
                rows = await connection.execute(sa.select(metadata.tables[name]))
                found[name] = sorted(map(tuple, rows), key=repr)
        return found


async def test_every_table_of_the_database_goes_along(
    source: Database, target: Database, tmp_path: Path
) -> None:
    """Into PostgreSQL and back, equal to the value: a table that is made later is not forgotten."""
    await _fill(source)
    before = await _content(source)
    done = await _transfer(source, target)
    assert await _content(target) == before
    assert all(len(rows) == 2 for rows in before.values())
    assert (done.rows, done.changed) == (dict.fromkeys(before, 2), {})
    back = await open_database(tmp_path / "back.db")
    await back.upgrade()
    await _transfer(target, back)
    assert await _content(back) == before
    await back.close()


async def test_values_that_postgresql_refuses_are_made_to_fit_and_counted(
    source: Database, target: Database
) -> None:
    """NUL, bytes that are no text, truth values of other hands, numbers too large and with a point."""
    assert source.path is not None
    async with source.write() as connection:
        rows = [request_row("plain"), request_row("odd", stream=True, model="a\0b", nano_usd=2**63 - 1)]
        await connection.execute(sa.insert(requests), rows)
    with closing(sqlite3.connect(source.path)) as file, file:
        file.execute(
            "UPDATE requests SET user_agent = CAST(x'61eda080ff' AS TEXT), status = 5000000000,"
            " request_bytes = 1e30, response_bytes = 2.5, first_byte_ms = 9e999 WHERE id = 'odd'"
        )
    done = await _transfer(source, target)
    async with target.read() as connection:
        plain, odd = (await connection.execute(sa.select(requests).order_by(requests.c.seq))).mappings().all()
    assert (plain["stream"], odd["stream"], odd["nano_usd"]) == (False, True, 2**63 - 1)
    assert (odd["model"], odd["user_agent"]) == ("a\ufffdb", "a" + "\ufffd" * 4)
    assert (odd["status"], odd["request_bytes"], odd["response_bytes"]) == (2**31 - 1, 2**63 - 1, 2)
    assert odd["first_byte_ms"] == float("inf")
    changed = ("model", "user_agent", "status", "request_bytes", "response_bytes")
    assert done.changed == {f"requests.{name}": 1 for name in changed}


async def test_attempts_lie_in_the_month_of_their_request(source: Database, target: Database) -> None:
    """On PostgreSQL each bears its time, in a month made for it; on SQLite what did not serve alone."""
    may_2031 = 1_937_000_000_000
    marked = attempt_row("r", 0, error="x", request_at=may_2031, request_failed=False)
    async with source.write() as connection:
        await connection.execute(sa.insert(requests), [request_row("r", timestamp=may_2031)])
        await connection.execute(sa.insert(attempts), [marked, attempt_row("r", 1)])
    before = await _content(source)
    await _transfer(source, target)
    async with target.read() as connection:
        in_may = await connection.execute(
            sa.text("SELECT request_at, request_failed FROM attempts_2031_05 ORDER BY position")
        )
        assert [tuple(row) for row in in_may] == [(may_2031, False), (may_2031, None)]
        assert (await connection.execute(sa.text("SELECT count(*) FROM requests_2031_05"))).scalar() == 1
    await _transfer(target, source, replace=True)
    assert await _content(source) == before


async def test_sqlite_takes_what_it_has_no_word_for(source: Database, target: Database) -> None:
    """A number that is none."""
    async with target.write() as connection:
        nan = float("nan")
        await connection.execute(sa.insert(requests), [request_row("r", first_byte_ms=nan, duration_ms=nan)])
    done = await _transfer(target, source)
    async with source.read() as connection:
        row = (await connection.execute(sa.select(requests))).mappings().one()
    assert (row["first_byte_ms"], row["duration_ms"], done.rows["requests"]) == (None, 0.0, 1)


async def test_numbers_go_on_behind_the_last_one_ever_given(source: Database, target: Database) -> None:
    """Also where the row that had it is gone, in either direction."""
    await _fill(source)
    removed = sa.delete(accounts).where(accounts.c.id == 2)
    async with source.write() as connection:
        await connection.execute(removed)
    await _transfer(source, target)
    new = {one.name: _value(one, 9) for one in accounts.columns if one.name != "id"}
    next_id = sa.insert(accounts).values(new).returning(accounts.c.id)
    next_seq = sa.insert(requests).values(request_row("new")).returning(requests.c.seq)
    async with target.write() as connection:
        assert (await connection.execute(next_id)).scalar() == 3
        assert (await connection.execute(next_seq)).scalar() == 3
        await connection.execute(sa.delete(accounts).where(accounts.c.id == 3))
    await _transfer(target, source, replace=True)
    async with source.write() as connection:
        assert (await connection.execute(next_id)).scalar() == 4


async def test_what_is_there_is_replaced_only_when_asked(source: Database, target: Database) -> None:
    """The refusal names the tables; replaced, nothing of before is left."""
    await _fill(source)
    async with target.write() as connection:
        await connection.execute(sa.insert(objects), [{"object_id": "old", "account_id": 1, "at_ms": 1}])
    with pytest.raises(Conflict, match=r"is not empty: there are rows in objects$"):
        await _transfer(source, target)
    assert (await _content(target))["accounts"] == []
    await _transfer(source, target, replace=True)
    assert await _content(target) == await _content(source)


async def test_a_failed_copy_leaves_nothing(source: Database, target: Database) -> None:
    """Interrupted in the middle, or refused by the database at the end of it."""
    await _fill(source)

    def interrupt(table: str, done: int, total: int) -> None:
        assert done <= total
        if table == "attempts":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await transfer(source, target, replace=False, now_ms=1_000, progress=interrupt)
    assert not any((await _content(target)).values())


async def test_a_gateway_that_lives_on_either_is_named(source: Database, target: Database) -> None:
    """What it changes meanwhile would be lost."""
    async with target.write() as connection:
        await connection.execute(sa.insert(gateways), [{"holder": "left-7", "ends_at": 2_000}])
    for one, other in ((source, target), (target, source)):
        with pytest.raises(Conflict, match=r"A gateway runs on .*: left-7"):
            await _transfer(one, other, replace=True)


async def test_another_schema_is_refused(source: Database, target: Database) -> None:
    async with source.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(StorageError, match="has schema 0001, this program has"):
        await _transfer(source, target)


async def test_many_rows_go_in_pieces(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is told after each, and ends with all of them."""
    monkeypatch.setattr("headgate.storage.transfer.PIECE", 3)
    async with source.write() as connection:
        await connection.execute(sa.insert(requests), [request_row(f"r{one}") for one in range(7)])
        await connection.execute(sa.insert(attempts), [attempt_row(f"r{one}", 0) for one in range(7)])
    told: list[tuple[str, int, int]] = []
    await transfer(source, target, replace=False, now_ms=1_000, progress=lambda *one: told.append(one))
    assert told == [
        *[("requests", done, 14) for done in (3, 6, 7)],
        *[("attempts", done, 14) for done in (10, 13, 14)],
    ]
