"""The encryption key changed: a new one in front, everything sealed anew, the old ones taken away.

Whatever kills the process, all secrets open afterwards: until the last step the key file holds the new key
and the old ones. Each step is under the lock that every change of an account takes, so that two rotations, or
a rotation and a change elsewhere, come one after the other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import SecretUnreadable
from headgate.storage import credentials
from headgate.storage.accounts import AccountStore
from headgate.storage.body_keys import seal_anew
from headgate.storage.changes import Change
from headgate.storage.database import Database
from headgate.storage.locks import Lock, lock_accounts
from headgate.storage.schema import accounts
from headgate.storage.secrets import SecretBox

_SEALED = ("secret", "proxy")
"""Columns."""


@dataclass(frozen=True, slots=True)
class Rotated:
    sealed: int
    """Accounts whose secrets are sealed with the new key."""
    closed: tuple[str, ...]
    """Accounts that no key known here opens: they stay as they are."""
    old_keys_are_gone: bool
    """False: the owner takes them out of where they stand."""


def needs_a_key(database: Database, box: SecretBox) -> str | None:
    """Why the new key has to be everywhere before it seals anything, in words; None: it can be made here."""
    if box.old_keys and not _is_ours_alone(database, box):
        return None  # the owner has put the new one in front
    if box.file is None:
        return "The encryption key stands in the environment, where only its owner can change it"
    if database.dialect == "postgresql":
        return (
            "Other gateways may share this database, and each reads the key from a file of its own: "
            "they need the new one first"
        )
    return None


async def rotate(
    database: Database,
    store: AccountStore,
    box: SecretBox,
    new_key: str | None,
    *,
    change: Change | None = None,
) -> Rotated:
    """`new_key`: the owner's own; None: one is made, or, where the keys are not ours alone to write, the
    first of several is the new one already. Raises SettingsError for a key that is none."""
    is_ours = _is_ours_alone(database, box)
    async with _alone(database, change) as connection:
        if new_key is not None or is_ours:
            box.put_in_front(new_key)
        old_keys = box.old_keys
        sealed, closed = await _seal_all(connection, store, box)
        if change is not None:
            change.after = {"sealed": sealed, "closed": list(closed)}
    if not is_ours:
        return Rotated(sealed, closed, old_keys_are_gone=False)
    async with _alone(database):
        box.retire(old_keys)
    return Rotated(sealed, closed, old_keys_are_gone=True)


def _is_ours_alone(database: Database, box: SecretBox) -> bool:
    """A file beside a SQLite database: no other gateway reads them."""
    return box.file is not None and database.dialect != "postgresql"


@asynccontextmanager
async def _alone(database: Database, change: Change | None = None) -> AsyncIterator[AsyncConnection]:
    """Nobody seals meanwhile: who does has a lock on the row or the table first."""
    async with database.write(durable=True, change=change) as connection:
        await lock_accounts(connection, Lock.ALONE)
        yield connection


async def _seal_all(
    connection: AsyncConnection, store: AccountStore, box: SecretBox
) -> tuple[int, tuple[str, ...]]:
    rows = (await connection.execute(sa.select(accounts).order_by(accounts.c.id))).mappings().all()
    closed = []
    for row in rows:
        try:
            values = {name: box.seal(box.open(row[name])) for name in _SEALED if row[name] is not None}
        except SecretUnreadable:
            closed.append(row["name"])
            continue
        credential = store.credential_of(row)
        if credential is not None:
            values["secret_digest"] = credentials.digests(box, credential)[0]
        this = accounts.c.id == row["id"]
        await connection.execute(sa.update(accounts).where(this).values(values))
    await seal_anew(connection, box)
    return len(rows) - len(closed), tuple(closed)
