"""Copies of a database that others write to meanwhile."""

import resource
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import Conflict, StorageError
from headgate.storage.copies import copy_database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2);"
        )
    return path


def test_a_copy_beside_a_writer_is_whole_and_private(tmp_path: Path, source: Path) -> None:
    """What was committed is in it, what is being written is not; it is one file of mode 0600."""
    target = tmp_path / "copy.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (3)")
        assert copy_database(source, target) == target.stat().st_size
        writer.execute("ROLLBACK")
    with closing(sqlite3.connect(target)) as copied:
        assert copied.execute("SELECT COUNT(*) FROM t").fetchone() == (2,)
        assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


def test_what_is_there_stays_unless_forced(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(Conflict, match=str(target)):
        copy_database(source, target)
    assert target.read_text() == "mine"
    copy_database(source, target, force=True)
    assert target.read_bytes().startswith(b"SQLite")


def test_nothing_is_left_of_a_copy_without_room(tmp_path: Path, source: Path) -> None:
    """Neither of the copy nor of its journal."""
    with closing(sqlite3.connect(source, isolation_level=None)) as made:
        made.execute("CREATE TABLE filler AS SELECT zeroblob(3000000) AS bytes")
        made.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        before, limits = sorted(tmp_path.iterdir()), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(StorageError, match="Cannot write the copy"):
                copy_database(source, tmp_path / "copy.db")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "none" / "x.db"
    with pytest.raises(StorageError, match=f"Cannot write the copy: {target}: No such file"):
        copy_database(source, target)
