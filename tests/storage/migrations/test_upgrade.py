import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import SystemClock
from headgate.errors import StorageError
from headgate.pool.accounts import Credential
from headgate.record.rows import to_rows
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.counters import CounterStore
from headgate.storage.database import Database, open_database
from headgate.storage.drafts import AccountDraft
from headgate.storage.migrations import revision
from headgate.storage.migrations import upgrade as migrations
from headgate.storage.rollup_check import differing_days
from headgate.storage.rollup_tables import BY_CLIENT, CLIENTS_ALONE, DAY, LAYOUT, PER_CLIENT, PER_PROJECT
from headgate.storage.rollups import forget_rollups
from headgate.storage.schema import LEFT, attempts, metadata, requests, rollup_failures, rollup_times, rollups
from headgate.storage.secrets import SecretBox
from tests.record.samples import attempt, request
from tests.storage.migrations.plain import without_clients, without_months
from tests.storage.rows import attempt_row, request_row
from tests.storage.test_rollups import NOW, made_up, record

ALL = [
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012"),
    *("0014", "0015", "0016", "0017", "0018"),
]
TABLES = (rollups, rollup_failures, rollup_times)
CLIENTS = sa.select(requests.c.id, requests.c.client).order_by(requests.c.id)


def _is_not_of_months(it: object, name: str | None, kind: str, is_found: bool, other: object) -> bool:
    """Tables of months need the time in their keys, and nothing refers to them (`test_partitions.py`)."""
    its_table = str(getattr(getattr(it, "table", it), "name", ""))
    changed = ("requests_id", "attempts_request", "request_links_request", "bodies_request", "request_at")
    return not its_table.startswith(("requests_", "attempts_")) and name not in changed


async def test_migrations_lead_to_the_schema(database: Database) -> None:
    """What the migrations make is what `schema.py` says, types and indexes too."""

    def differences(connection: sa.Connection) -> list[object]:
        opts: dict[str, Any] = {"compare_type": True}
        if connection.dialect.name == "postgresql":
            opts["include_object"] = _is_not_of_months
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_new_file_is_what_the_migrations_make(tmp_path: Path) -> None:
    """Made in one step: tables, indexes and views to the word, and the same story of how they came to be."""

    def content(path: Path) -> tuple[set[tuple[str, ...]], list[object]]:
        with closing(sqlite3.connect(path)) as file:
            parts = file.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
            told = [
                file.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                for table in ("alembic_version", "schema_history")
            ]
            return {(*names, " ".join((sql or "").split())) for *names, sql in parts}, told

    made = await open_database(f"sqlite:///{tmp_path / 'new.db'}")
    walked = await open_database(f"sqlite:///{tmp_path / 'walked.db'}")
    async with made.write() as connection:
        assert await connection.run_sync(revision.make_new, now_ms=7) == ALL
        assert await connection.run_sync(revision.make_new, now_ms=7) == []
    async with walked.write() as connection:
        assert await connection.run_sync(migrations.upgrade, now_ms=7) == ALL
    assert content(tmp_path / "new.db") == content(tmp_path / "walked.db")
    await made.close()
    await walked.close()


def test_the_newest_revision_is_told_by_the_files_names() -> None:
    """What is asked at every start, and what Alembic would say."""
    walked = [script.revision for script in ScriptDirectory(str(migrations.FOLDER)).walk_revisions()]
    assert revision.all_revisions() == walked[::-1]


async def test_d3_a_second_upgrade_does_nothing(database_url: str) -> None:
    opened = await open_database(database_url)
    assert await opened.upgrade() == ALL
    assert await opened.upgrade() == []
    await opened.close()


async def test_two_upgrades_at_once_take_turns(database_url: str) -> None:
    """Two gateways started together on one database: one migrates, the other finds it done."""
    first, second = await open_database(database_url), await open_database(database_url)
    done = await asyncio.gather(first.upgrade(), second.upgrade())
    assert sorted(done) == [[], ALL]
    await first.close()
    await second.close()


def _write_migration(folder: Path, body: str) -> None:
    (folder / "versions").mkdir(parents=True)
    for path in (migrations.FOLDER / "versions").glob("*.py"):
        (folder / "versions" / path.name).write_text(path.read_text())
    (folder / "versions" / "v9001_broken.py").write_text(
        f"from alembic import op\nrevision = '9001'\ndown_revision = '{ALL[-1]}'\n"
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
    with pytest.raises(StorageError, match=r"^Migration failed: 9001: .*(nonsense|broken on purpose)"):
        async with database.write() as connection:
            await connection.run_sync(migrations.upgrade, tmp_path / "migrations")
    assert await _tables(database) == before
    assert await database.upgrade() == []


async def test_a_newer_schema_is_named_and_left_alone(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(sa.text("INSERT INTO schema_history VALUES ('9999', '7.8.9', 0)"))
    with pytest.raises(
        StorageError, match=r"schema 9999, made by Headgate 7\.8\.9, which is newer"
    ) as caught:
        await database.upgrade()
    assert "headgate>=7.8.9" in caught.value.hint


async def test_d16_a_column_that_is_there_already_is_harmless(database_url: str) -> None:
    """A hand or an interrupted tool has made part of what a migration makes: the rest is made."""
    opened = await open_database(database_url)
    await opened.upgrade()
    async with opened.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        await connection.execute(sa.text("ALTER TABLE accounts DROP COLUMN last_used_at"))
    assert await opened.upgrade() == ALL[1:]
    await opened.close()


async def test_a_copy_is_made_before_an_upgrade_of_what_holds_something(sqlite_url: str) -> None:
    """What the upgrade will find, 0600, the newest three; not of a new database."""
    opened = await open_database(sqlite_url)
    await opened.upgrade()
    assert (opened.copied_to, opened.path is not None) == (None, True)
    assert opened.path is not None
    for number in range(3):
        older = opened.path.with_name(f"headgate.db.before-000{number}x")
        older.write_bytes(b"")
        os.utime(older, (number, number))
    for name in (f".headgate.db.before-{ALL[-1]}.77", f".headgate.db.before-{ALL[-1]}.77-journal"):
        opened.path.with_name(name).write_bytes(b"killed in the middle")
    async with opened.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    await opened.upgrade()
    assert list(opened.path.parent.glob(".headgate.db.*")) == []
    copy = opened.path.with_name(f"headgate.db.before-{ALL[-1]}")
    assert opened.copied_to == copy
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    names = sorted(path.name for path in copy.parent.glob("*.before-*"))
    assert names == ["headgate.db.before-0001x", "headgate.db.before-0002x", f"headgate.db.before-{ALL[-1]}"]
    await opened.close()


async def test_counters_begin_with_the_history(database: Database) -> None:
    """What was recorded before there were counters is in them."""
    store = AccountStore(database, SecretBox([Fernet.generate_key()], file=None), SystemClock())
    account = await store.add(AccountDraft(name="a", provider="anthropic", secret=Credential("sk-1")))
    async with database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    tries = [
        attempt_row("r1", 0, account_id=account.id, error="x"),
        attempt_row("r1", 1, account_id=account.id),
    ]
    rows = Rows(requests=[request_row("r1", account_id=account.id)], attempts=tries)
    await write_batch(database, Step("g", "s", 0, 1), rows)
    await CounterStore(database).reset()
    await database.upgrade()
    counts = (await CounterStore(database).load())[account.id]
    assert (counts.requests, counts.errors) == (2, 1)


async def test_failed_attempts_of_the_past_are_found_by_their_account(database: Database) -> None:
    """They get the marks that the recorder now writes; a second time changes nothing."""
    tries = (attempt("a", status=429, error="x"), attempt("a", status=429, error="x"))
    records = [
        request("r1", at_ms=5, account="b", account_id=2, attempts=(*tries, attempt("b", account_id=2))),
        request("r2", at_ms=6, account=None, account_id=None, status=503, error="x", attempts=tries),
        request("r3", at_ms=7, account="a", attempts=(tries[0], attempt("a"))),
    ]
    await write_batch(database, Step("g", "s", 0, 1), to_rows(records))
    marks = sa.select(
        attempts.c.request_id, attempts.c.position, attempts.c.request_at, attempts.c.request_failed
    )
    marks = marks.where(LEFT).order_by(attempts.c.request_id, attempts.c.position)
    async with database.write() as connection:
        await without_months(connection)
        as_recorded = (await connection.execute(marks)).all()
        for statement in (
            "DROP INDEX attempts_left",
            "DROP INDEX requests_account_failed",
            "ALTER TABLE attempts DROP COLUMN request_at",
            "ALTER TABLE attempts DROP COLUMN request_failed",
            "ALTER TABLE requests DROP COLUMN skipped",
            "UPDATE alembic_version SET version_num = '0002'",
        ):
            await connection.execute(sa.text(statement))
    for _ in range(2):
        assert await database.upgrade() == ALL[2:]
        async with database.write() as connection:
            assert (await connection.execute(marks)).all() == as_recorded
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    assert [tuple(row)[2:] for row in as_recorded] == [(5, False), (6, True)]


async def _rows_of(connection: AsyncConnection) -> list[list[tuple[Any, ...]]]:
    return [sorted(tuple(row) for row in await connection.execute(sa.select(one))) for one in TABLES]


async def test_a_history_gets_clients_and_sums_of_them(database: Database) -> None:
    """As if they had been recorded so, minutes, hours and days; a second time changes nothing."""
    rows = [
        *made_up(120, since=NOW - 2 * 3_600_000, until=NOW, projects=[None]),
        *made_up(30, since=NOW - 120 * DAY * 1000, until=NOW, seed=8, projects=[None]),
    ]
    # Neither was known then.
    rows = [row | {"tool_calls": None, "service_tier": None} for row in rows]
    await record(database, rows, 50)
    while await forget_rollups(database, NOW):
        pass
    async with database.write() as connection:
        recorded = await _rows_of(connection)
        clients = (await connection.execute(CLIENTS)).all()
        await without_clients(connection)
    for _ in range(2):
        assert await database.upgrade() == ["0015", "0016", "0017", "0018"]
        async with database.write() as connection:
            assert (await connection.execute(CLIENTS)).all() == clients
            assert await _rows_of(connection) == recorded
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0014'")
    async with database.read() as connection:
        assert await differing_days(connection) == []


async def test_days_that_cannot_be_told_apart_stay_without(database: Database) -> None:
    """One with too many programs, one of which requests are gone: their sums are those of before."""
    days = [NOW - ago * DAY * 1000 for ago in (0, 1, 2)]
    rows = [
        request_row(f"r{place}_{number}", timestamp=at + number, user_agent=f"tool-{number}/1.0")
        for place, at in enumerate(days)
        for number in range(60 if place == 1 else 3)
    ]
    await record(database, rows, 50)
    async with database.write() as connection:
        await without_clients(connection)
        await connection.execute(sa.delete(requests).where(requests.c.id == "r2_0"))
    await database.upgrade()
    async with database.read() as connection:
        found = {row.id: row.client for row in await connection.execute(CLIENTS)}
        assert {name: client for name, client in found.items() if client is not None} == {
            f"r0_{number}": f"tool-{number}" for number in range(3)
        }
        its = rollups.c.by_key == BY_CLIENT, rollups.c.resolution == DAY
        query = sa.select(rollups.c.client, rollups.c.requests).where(*its).order_by(rollups.c.at)
        summed = [tuple(row) for row in await connection.execute(query)]
        assert summed[:2] == [("", 3), ("", 60)]
        assert sorted(summed[2:]) == [(f"tool-{number}", 1) for number in range(3)]
        assert await differing_days(connection) == []


async def test_a_history_gets_sums_of_clients_and_projects(database: Database) -> None:
    """As if they had been recorded so, whatever is forgotten by then; a second time, or a remnant of another
    try, changes nothing. Without a history nothing is made."""
    rows = [
        *made_up(120, since=NOW - 2 * 3_600_000, until=NOW),
        *made_up(30, since=NOW - 120 * DAY * 1000, until=NOW, seed=8),
    ]
    await record(database, rows, 50)
    while await forget_rollups(database, NOW):
        pass
    async with database.write() as connection:
        # The sums of days are of more than is left.
        before = NOW - 20 * DAY * 1000
        await connection.execute(sa.delete(requests).where(requests.c.timestamp < before))
        recorded = await _rows_of(connection)
        assert {row[:2] for row in recorded[0] if row[1] not in (0, 1, BY_CLIENT)} == {
            *((60, CLIENTS_ALONE), (3_600, CLIENTS_ALONE)),
            *((DAY, family) for family in (CLIENTS_ALONE, PER_CLIENT, PER_PROJECT)),
        }
        for name in LAYOUT:
            its = f"by_key > {BY_CLIENT} AND resolution > 60"
            await connection.exec_driver_sql(f"DELETE FROM {name} WHERE {its}")
        assert await _rows_of(connection) != recorded
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0017'")
    for _ in range(2):
        assert await database.upgrade() == ["0018"]
        async with database.write() as connection:
            assert await _rows_of(connection) == recorded
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0017'")
    async with database.write() as connection:
        assert await differing_days(connection) == []
        for name in LAYOUT:
            await connection.exec_driver_sql(f"DELETE FROM {name}")
    assert await database.upgrade() == ["0018"]
    async with database.read() as connection:
        assert await _rows_of(connection) == [[], [], []]
