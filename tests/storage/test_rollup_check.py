"""Sums and requests held against each other."""

import pytest
import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.rollup_check import differing_days
from headgate.storage.rollup_tables import DAY
from headgate.storage.upkeep import check
from tests.storage.test_rollups import NOW, made_up, record


async def _found(database: Database) -> list[str]:
    async with database.read() as connection:
        return await differing_days(connection)


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE rollups SET output_tokens = output_tokens + 1 WHERE by_key = 1 AND at = {}", "rollups"),
        ("UPDATE rollups SET output_tokens = output_tokens + 1 WHERE by_key = 2 AND at = {}", "rollups"),
        ("UPDATE rollup_times SET project = project || '!' WHERE by_key = 2 AND at = {}", "rollup_times"),
        ("UPDATE rollups SET requests = requests + 1 WHERE by_key = 0 AND at = {}", "rollups"),
        ("DELETE FROM rollup_failures WHERE by_key = 1 AND at = {}", "rollup_failures"),
        ("UPDATE rollups SET nano_usd = nano_usd + 1 WHERE by_key = 3 AND at = {}", "rollups"),
        ("UPDATE rollup_times SET client = client || '!' WHERE by_key = 3 AND at = {}", "rollup_times"),
        ("DELETE FROM rollup_failures WHERE by_key = 3 AND at = {}", "rollup_failures"),
        ("UPDATE rollups SET unpriced = unpriced + 1 WHERE by_key = 4 AND at = {}", "rollups"),
        ("UPDATE rollup_times SET s3 = s3 + 1 WHERE by_key = 5 AND at = {}", "rollup_times"),
        ("UPDATE rollup_times SET d3 = d3 + 1 WHERE by_key = 1 AND at = {}", "rollup_times"),
    ],
)
async def test_a_day_that_differs_is_named(database: Database, statement: str, table: str) -> None:
    """By one number, in either direction; as they were recorded none does."""
    await record(database, made_up(150, since=NOW - 4 * DAY * 1000, until=NOW), 50)
    assert await _found(database) == []
    day = NOW // (DAY * 1000) * DAY * 1000 - DAY * 1000
    async with database.write() as connection:
        done = await connection.execute(sa.text(statement.format(day) + " AND resolution = 86400"))
        assert done.rowcount
    assert await _found(database) == [f"roll-ups: {table} of 2026-09-20 is not what its requests say"]
    result = await check(database)
    assert result.problems == [f"roll-ups: {table} of 2026-09-20 is not what its requests say"]
    assert "roll-ups" in result.checked


async def test_a_day_of_which_part_is_gone_is_not_looked_at(database: Database) -> None:
    """Requests that grew too old leave their sums behind."""
    await record(database, made_up(150, since=NOW - 4 * DAY * 1000, until=NOW), 50)
    async with database.write() as connection:
        before = NOW - 2 * DAY * 1000
        await connection.execute(sa.text(f"DELETE FROM requests WHERE timestamp < {before}"))
    assert await _found(database) == []
