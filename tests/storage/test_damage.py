"""Files that are no databases any more."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import StorageError
from headgate.storage import sqlite_engine
from headgate.storage.database import open_database


async def _made(path: Path) -> None:
    opened = await open_database(path)
    await opened.upgrade()
    await opened.close()


async def _refusal(path: Path) -> StorageError:
    """Of opening and upgrading it."""
    with pytest.raises(StorageError) as caught:
        opened = await open_database(path)
        try:
            await opened.upgrade()
        finally:
            await opened.close()
    return caught.value


async def test_a_file_that_was_cut_short_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "headgate.db"
    await _made(path)
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.truncate(size - 5000)
    with pytest.raises(StorageError, match=f"cut short: it has {size - 5000} of {size} bytes") as caught:
        await open_database(path)
    assert "before-" in caught.value.hint


async def test_an_emptied_file_is_no_database_for_a_reader(tmp_path: Path) -> None:
    """A start begins it anew, and says so."""
    path = tmp_path / "headgate.db"
    path.touch(mode=0o600)
    with pytest.raises(StorageError, match=r"Database file is empty \(0 bytes\)"):
        await open_database(path, create=False)
    opened = await open_database(path)
    assert "was empty" in opened.warnings[0]
    await opened.close()


async def test_damage_within_is_told_with_its_mend(tmp_path: Path) -> None:
    path = tmp_path / "headgate.db"
    await _made(path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    path.write_bytes(data)
    refusal = await _refusal(path)
    assert "malformed" in refusal.message
    assert "headgate db backup" in refusal.hint


async def test_d11_a_locked_file_names_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never "database is locked"."""
    path = tmp_path / "headgate.db"
    await _made(path)
    monkeypatch.setattr(sqlite_engine, "BUSY_TIMEOUT_MS", 50)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened = await open_database(path)
        try:
            assert await opened.upgrade() == []  # nothing to change: nobody is waited for
            with pytest.raises(StorageError) as caught:
                async with opened.write():
                    pass
        finally:
            await opened.close()
    assert "is writing to it and did not let go" in caught.value.message
    assert "is locked" not in caught.value.message
