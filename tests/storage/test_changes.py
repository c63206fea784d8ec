"""A change and its row: together or not at all, and not for ever."""

import logging
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from headgate.clock import SystemClock
from headgate.errors import Conflict, StorageError
from headgate.pool.accounts import Credential
from headgate.storage import changes
from headgate.storage.accounts import AccountStore
from headgate.storage.audit import AuditStore
from headgate.storage.changes import KEPT_MS, Change
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.secrets import SecretBox

LOG = logging.getLogger("headgate.accounts")


def change(at_ms: int = 1_000, **fields: Any) -> Change:
    known = {"who": "local", "address": None, "action": "account.add", "object": "work"}
    return Change(at_ms=at_ms, **{**known, **fields})


def store_on(database: Database) -> AccountStore:
    return AccountStore(database, SecretBox([Fernet.generate_key()], file=None), SystemClock())


async def test_a_change_that_fails_leaves_neither_row_nor_line(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What is rolled back takes its row along."""
    caplog.set_level(logging.INFO)
    store = store_on(database)
    draft = AccountDraft(name="work", provider="anthropic", secret=Credential("sk-1"))
    await store.add(draft, change=change(line="added once", log=LOG))
    with pytest.raises(Conflict):
        await store.add(draft, change=change(line="added twice", log=LOG))
    rows, _ = await AuditStore(database).page()
    assert ([row["object"] for row in rows], caplog.messages) == (["work"], ["added once"])


async def test_a_row_that_cannot_be_written_keeps_the_change_from_being_made(database: Database) -> None:
    """A change is never there without its row where both are of one transaction."""
    async with database.write() as connection:
        await connection.execute(sa.text("DROP TABLE audit"))
    store = store_on(database)
    draft = AccountDraft(name="work", provider="anthropic", secret=Credential("sk-1"))
    with pytest.raises(StorageError):
        await store.add(draft, change=change())
    assert await store.list() == ()


async def test_what_is_old_goes_with_the_next_change(database: Database) -> None:
    """A year is kept."""
    record = AuditStore(database)
    for at_ms in (1, 2, 3):
        await record.keep(change(at_ms))
    await record.keep(change(KEPT_MS + 3))
    rows, _ = await record.page()
    assert [row["at_ms"] for row in rows] == [KEPT_MS + 3, 3]


async def test_the_record_is_bounded_in_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest stay."""
    monkeypatch.setattr(changes, "MOST_ROWS", 3)
    record = AuditStore(database)
    for at_ms in range(5):
        await record.keep(change(at_ms))
    rows, _ = await record.page()
    assert [row["at_ms"] for row in rows] == [4, 3, 2]


async def test_an_enormous_change_is_a_small_row(database: Database) -> None:
    """An import of ten thousand accounts."""
    record = AuditStore(database)
    await record.keep(change(after={"names": ["x" * 100] * 10_000}))
    ((row,), _) = await record.page()
    assert row["after"] == {"left_out": "1040011 characters are more than is kept"}
