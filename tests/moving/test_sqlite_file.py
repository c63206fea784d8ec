"""Another program's SQLite file."""

import sqlite3
from pathlib import Path

import pytest

from headgate.errors import ForeignDataUnreadable
from headgate.moving import sqlite_file
from tests.moving import theirs


def test_nothing_is_left_beside_a_file_that_nobody_writes(tmp_path: Path) -> None:
    """Not even in a folder where nothing may be written, and not a byte of it changes."""
    file = tmp_path / "odd ?#%name.db"
    theirs.ccflare(file).close()
    before = file.read_bytes()
    with sqlite_file.opened(file) as connection:
        assert sqlite_file.rows_in(connection, "accounts") == 0
        with pytest.raises(sqlite3.Error):
            connection.execute("DELETE FROM accounts")
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_what_stands_in_the_log_of_a_running_program_is_seen(tmp_path: Path) -> None:
    """It has not reached the file yet."""
    file = tmp_path / "ccflare.db"
    with theirs.ccflare(file) as database:
        theirs.ccflare_account(database, "work")
        with sqlite_file.opened(file) as connection:
            assert sqlite_file.rows_in(connection, "accounts") == 1


def test_views_and_virtual_tables_are_no_tables(tmp_path: Path) -> None:
    """A stranger's file may hold a view that never ends."""
    file = tmp_path / "planted.db"
    with sqlite3.connect(file) as database:
        endless = (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id, x AS name FROM n"
        )
        database.execute(f"CREATE VIEW accounts AS {endless}")
    with sqlite_file.opened(file) as connection:
        assert sqlite_file.columns_of(connection, "accounts") == frozenset()
        assert sqlite_file.rows_in(connection, "accounts") == 0


@pytest.mark.parametrize("damage", [slice(100, 200), slice(4096, 8192), slice(0, 16)])
def test_a_damaged_file_says_so(tmp_path: Path, damage: slice) -> None:
    """While it is opened, or while it is read."""
    file = tmp_path / "ccflare.db"
    with theirs.ccflare(file) as database:
        for number in range(200):
            theirs.ccflare_account(database, f"account-{number}")
    database.close()
    content = bytearray(file.read_bytes())
    content[damage] = b"\xee" * (damage.stop - damage.start)
    file.write_bytes(content)
    with pytest.raises(ForeignDataUnreadable), sqlite_file.opened(file) as connection:
        connection.execute("SELECT * FROM accounts").fetchall()
