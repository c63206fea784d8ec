"""Looking at the database itself."""

import sqlalchemy as sa

from headgate.storage import upkeep
from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database, open_database
from tests.storage.rows import request_row, rows_of


async def test_info_says_where_how_large_and_how_old(database: Database) -> None:
    await write_batch(
        database,
        Step("g", "s", 0, 1),
        rows_of(request_row("a", timestamp=1_000), request_row("b", timestamp=3_000)),
    )
    found = await upkeep.info(database)
    assert (found.kind, found.location) == (database.dialect, database.location)
    assert found.revision == found.newest_revision
    assert (found.rows["requests"], found.rows["accounts"]) == (2, 0)
    assert (found.oldest_request_at, found.newest_request_at) == (1_000, 3_000)
    assert found.size_bytes > 10_000


async def test_a_database_without_a_schema_is_looked_at_as_it_is(empty_database_url: str) -> None:
    opened = await open_database(empty_database_url)
    assert (await upkeep.info(opened)).revision is None
    assert (await upkeep.check(opened)).problems[0].startswith("schema: revision none, ")
    await opened.close()


async def test_a_sound_database_has_no_problem(database: Database) -> None:
    result = await upkeep.check(database)
    assert (result.is_ok, result.problems) == (True, [])
    assert "orphans" in result.checked


async def test_missing_parts_and_orphans_are_named(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("DROP TABLE objects"))
        await connection.execute(sa.text("ALTER TABLE accounts DROP COLUMN email"))
    assert (await upkeep.check(database)).problems == [
        "schema: the column accounts.email is missing",
        "schema: the table objects is missing",
    ]


async def test_a_vacuum_gives_room_back(database: Database) -> None:
    rows = [request_row(f"r{number}", path="x" * 2000) for number in range(500)]
    await write_batch(database, Step("g", "s", 0, 1), rows_of(*rows))
    async with database.write() as connection:
        await connection.execute(sa.text("DELETE FROM requests"))
    before, after = await upkeep.vacuum(database)
    assert after < before or database.path is None
    assert (await upkeep.check(database)).is_ok
