import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from headgate.errors import StorageError
from headgate.storage.database import Database, open_database
from headgate.storage.migrations import upgrade as migrations
from headgate.storage.schema import metadata


async def test_migrations_lead_to_the_schema(database: Database) -> None:
    """What the migrations make is what `schema.py` says, types and indexes too."""

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_d3_a_second_upgrade_does_nothing(database_url: str) -> None:
    opened = await open_database(database_url)
    assert await opened.upgrade() == ["0001"]
    assert await opened.upgrade() == []
    await opened.close()


async def test_two_upgrades_at_once_take_turns(database_url: str) -> None:
    """Two gateways started together on one database: one migrates, the other finds it done."""
    first, second = await open_database(database_url), await open_database(database_url)
    done = await asyncio.gather(first.upgrade(), second.upgrade())
    assert sorted(done) == [[], ["0001"]]
    await first.close()
    await second.close()


def _write_migration(folder: Path, body: str) -> None:
    (folder / "versions").mkdir(parents=True)
    for path in (migrations.FOLDER / "versions").glob("*.py"):
        (folder / "versions" / path.name).write_text(path.read_text())
    (folder / "versions" / "v0002_broken.py").write_text(
        "from alembic import op\nrevision = '0002'\ndown_revision = '0001'\n"
        f"def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    {body}\n"
    )


async def _tables(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


@pytest.mark.parametrize("body", ["op.execute('SELECT nonsense')", "raise RuntimeError('broken on purpose')"])
async def test_d16_a_failing_migration_leaves_the_database_unchanged(
    database: Database, tmp_path: Path, body: str
) -> None:
    """The message names the revision and the reason, and what it had made is gone."""
    before = await _tables(database)
    _write_migration(tmp_path / "migrations", body)
    with pytest.raises(StorageError, match=r"^Migration failed: 0002: .*(nonsense|broken on purpose)"):
        async with database.write() as connection:
            await connection.run_sync(migrations.upgrade, tmp_path / "migrations")
    assert await _tables(database) == before
    assert await database.upgrade() == []


async def test_a_newer_schema_is_named_and_left_alone(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="schema 9999, which is newer"):
        await database.upgrade()
