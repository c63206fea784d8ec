import asyncio
import os
import socket
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.errors import StorageError
from headgate.storage.database import Database, open_database


async def test_d15_missing_folders_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    """Folder 0700, file 0600, and SQLite's companions follow the file."""
    opened = await open_database(None, tmp_path / "new" / "data")
    await opened.upgrade()
    assert opened.path is not None
    assert stat.S_IMODE(opened.path.parent.stat().st_mode) == 0o700
    files = list(opened.path.parent.iterdir())
    assert {file.name for file in files} >= {"headgate.db", "headgate.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await opened.close()


async def test_a14_a_file_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "open.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    opened = await open_database(path)
    assert f"chmod 600 {path}" in opened.warnings[0]
    await opened.close()


async def test_d1_a_path_that_cannot_be_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "headgate.db"
    with pytest.raises(
        StorageError, match=rf"^Cannot create database: {path}: {path.parent} is not a folder"
    ) as caught:
        await open_database(path)
    assert "storage.url" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
async def test_a15_a_permission_problem_names_path_owner_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "headgate.db"
    os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match=rf"^Permission denied: {path} .*belongs to user 0") as caught:
            await open_database(path)
    finally:
        os.seteuid(0)
    assert f"-o 65534 -m 700 {tmp_path}" in caught.value.hint


async def test_d15_a_reader_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(StorageError, match=f"^Database file not found: {path}"):
        await open_database(path, create=False)
    assert not path.exists()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("shopping list " * 1000)
    with pytest.raises(StorageError, match=f"{path}: file is not a database"):
        await open_database(path)


async def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match=rf"postgresql://127\.0\.0\.1:{port}/db: ") as caught:
            await open_database(f"postgresql://me:hidden@127.0.0.1:{port}/db")
    assert "hidden" not in caught.value.message


async def test_a_database_that_the_server_does_not_have_is_named(postgres: str) -> None:
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        await open_database(postgres.format("nowhere"))


async def test_a_connection_that_the_server_closed_is_replaced(postgres_url: str) -> None:
    """A restart of the server, between two uses, is not noticed."""
    opened, other = await open_database(postgres_url), await open_database(postgres_url)
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    async with other.write() as connection:
        assert (await connection.execute(sa.text(kill))).scalars().all() == [True]
    await opened.check()
    await opened.close()
    await other.close()


@pytest.mark.parametrize("number", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("piece", [1, 7, 16, 100])
async def test_every_row_comes_once_at_once_or_in_pieces(sqlite_url: str, number: int, piece: int) -> None:
    """However many of them came along with the answer; the statement holds up no writer afterwards."""
    opened = await open_database(sqlite_url)
    rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT"
    async with opened.read() as connection:
        found = await connection.execute(sa.text(f"{rows} {number}"))
        assert [row.i for row in found] == list(range(number))
        streamed = await connection.stream(
            sa.text(f"{rows} {number}"), execution_options={"yield_per": piece}
        )
        assert [row.i async for part in streamed.partitions(piece) for row in part] == list(range(number))
        assert (await connection.execute(sa.text(f"{rows} {number + 1}"))).scalar() == 0
    async with opened.write() as connection:
        await connection.exec_driver_sql("CREATE TABLE made (i)")
        await connection.exec_driver_sql("INSERT INTO made VALUES (?)", [(i,) for i in range(number + 1)])
        kept = sa.text("INSERT INTO made SELECT i + 100 FROM made RETURNING i")
        assert len((await connection.execute(kept)).all()) == number + 1
    await opened.close()


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await connection.execute(sa.text("CREATE TABLE half (id INTEGER)"))
            raise RuntimeError
    async with database.read() as connection:
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    assert "half" not in tables


async def test_writers_wait_for_each_other(database: Database) -> None:
    """Read, then write, fifty times at once: nobody is refused and no count is lost."""
    async with database.write() as connection:
        await connection.execute(sa.text("CREATE TABLE tally (n INTEGER)"))
        await connection.execute(sa.text("INSERT INTO tally VALUES (0)"))

    async def add_one() -> None:
        async with database.write() as connection:
            await connection.execute(sa.text("UPDATE tally SET n = n + 1"))

    await asyncio.gather(*(add_one() for _ in range(50)))
    async with database.read() as connection:
        assert (await connection.execute(sa.text("SELECT n FROM tally"))).scalar_one() == 50


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_a_durable_write_is_synced(sqlite_url: str, durable: bool, level: int) -> None:
    """PRAGMA synchronous: 2 is FULL, 1 is NORMAL; a connection goes back and forth between them."""
    opened = await open_database(sqlite_url)
    async with opened.write(durable=not durable):
        pass
    async with opened.write(durable=durable) as connection:
        assert (await connection.execute(sa.text("PRAGMA synchronous"))).scalar_one() == level
        assert (await connection.execute(sa.text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await connection.execute(sa.text("PRAGMA foreign_keys"))).scalar_one() == 1
    await opened.close()


@pytest.mark.parametrize("nth", range(1, 6))
async def test_d15_a_write_that_is_cancelled_lets_others_write_at_once(tmp_path: Path, nth: int) -> None:
    """In the middle of its `nth` statement (PRAGMA, BEGIN, INSERT, SELECT, DELETE), whoever remembers it."""
    path = tmp_path / "headgate.db"
    opened = await open_database(path)
    await opened.upgrade()
    begun: list[str] = []

    async def work() -> None:
        async with opened.write() as connection:
            await connection.execute(sa.text("INSERT INTO gateways (holder, ends_at) VALUES ('a', 1)"))
            await connection.execute(sa.text("SELECT * FROM gateways"))
            await connection.execute(sa.text("DELETE FROM gateways"))

    def cancel(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        begun.append(statement)
        if len(begun) == nth:
            task.cancel()

    sa.event.listen(opened.engine.sync_engine, "before_cursor_execute", cancel)
    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    # `task` keeps the traceback, and with it the statement, as a cycle of objects does in the gateway.
    other = sqlite3.connect(path, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT count(*) FROM gateways").fetchone() == (0,)
    other.close()
    async with opened.write() as connection:
        await connection.execute(sa.text("INSERT INTO gateways (holder, ends_at) VALUES ('b', 1)"))
    await opened.close()


async def test_a_connection_that_is_let_go_while_it_closes_is_waited_for_once(tmp_path: Path) -> None:
    """As when the loop ends then: SQLAlchemy lets go of it, and the task that closes it is cancelled."""
    opened = await open_database(tmp_path / "headgate.db")
    kept = await opened.engine.raw_connection()
    connection = kept.driver_connection
    assert connection is not None
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    connection.stop()
    closing.cancel()
    ended, _ = await asyncio.wait({closing}, timeout=10)
    assert ended
    kept.invalidate()
    await opened.close()
