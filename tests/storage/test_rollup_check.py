"""Sums and requests held against each other."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.storage.database import Database, open_database
from headgate.storage.rollup_check import differing_days
from headgate.storage.rollup_tables import DAY
from headgate.storage.upkeep import check
from tests.databases import new_database, new_on
from tests.storage.test_rollups import NOW, made_up, record


@pytest.fixture(scope="module")
def recorded(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A history on each database, recorded once to be copied: a file, and the name of a database."""
    with ExitStack() as kept, ThreadPoolExecutor(1) as aside:
        file = tmp_path_factory.mktemp("recorded") / "headgate.db"
        url = kept.enter_context(new_database(postgres))
        for place in (f"sqlite:///{file}", url):
            aside.submit(asyncio.run, _record_at(place)).result()
        yield {"sqlite": str(file), "postgresql": sa.make_url(url).database or ""}


async def _record_at(url: str) -> None:
    database = await open_database(url)
    await database.upgrade()
    await record(database, made_up(150, since=NOW - 4 * DAY * 1000, until=NOW), 50)
    assert await _found(database) == []
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def history(
    request: pytest.FixtureRequest, recorded: dict[str, str], postgres: str, tmp_path: Path
) -> AsyncIterator[Database]:
    """This test's own copy of it."""
    if request.param == "sqlite":
        copied = await open_database(f"sqlite:///{shutil.copy(recorded['sqlite'], tmp_path)}")
        yield copied
        await copied.close()
        return
    async with new_on(postgres, like=recorded["postgresql"]) as url:
        copied = await open_database(url)
        yield copied
        await copied.close()


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
async def test_a_day_that_differs_is_named(history: Database, statement: str, table: str) -> None:
    """By one number, in either direction; as they were recorded none does."""
    day = NOW // (DAY * 1000) * DAY * 1000 - DAY * 1000
    async with history.write() as connection:
        done = await connection.execute(sa.text(statement.format(day) + " AND resolution = 86400"))
        assert done.rowcount
    assert await _found(history) == [f"roll-ups: {table} of 2026-09-20 is not what its requests say"]
    result = await check(history)
    assert result.problems == [f"roll-ups: {table} of 2026-09-20 is not what its requests say"]
    assert "roll-ups" in result.checked


async def test_a_day_of_which_part_is_gone_is_not_looked_at(history: Database) -> None:
    """Requests that grew too old leave their sums behind."""
    async with history.write() as connection:
        before = NOW - 2 * DAY * 1000
        await connection.execute(sa.text(f"DELETE FROM requests WHERE timestamp < {before}"))
    assert await _found(history) == []
