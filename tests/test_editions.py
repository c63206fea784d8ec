"""What changes in memory while the tables are read is not taken back by what was found there."""

from pathlib import Path

from headgate.access.client_keys import ClientKey
from headgate.access.ring import KeyRing
from headgate.clock import SystemClock
from headgate.editions import Edition
from headgate.pool.accounts import Account, Credential
from headgate.pool.pool import Pool
from headgate.storage.accounts import AccountStore
from headgate.storage.client_keys import KeyStore
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.secrets import SecretBox


async def test_an_account_that_comes_or_goes_while_all_are_read(database: Database, tmp_path: Path) -> None:
    """The reading began before the change was in the tables, and ends behind it."""
    clock = SystemClock()
    store = AccountStore(database, SecretBox.open_or_create(tmp_path), clock)
    pool = Pool(clock, {})
    await store.add(AccountDraft(name="old", provider="anthropic", secret=Credential("sk-old")))
    pool.replace(await store.list())
    readings = 0

    async def read() -> tuple[Account, ...]:
        nonlocal readings
        found = await store.list()
        readings += 1
        if readings == 1:
            pool.put(
                await store.add(AccountDraft(name="new", provider="anthropic", secret=Credential("sk-n")))
            )
        if readings == 2:
            await store.remove("old")
            pool.remove("old")
        return found

    pool.replace(await pool.edition.read(read))
    assert (list(pool.living), readings) == (["new"], 3)


async def test_a_key_that_is_revoked_while_all_are_read_stays_shut(database: Database) -> None:
    store, ring = KeyStore(database, SystemClock()), KeyRing()
    key = await store.create("laptop", "hg-a-key-of-somebody", {})
    ring.replace([key])
    readings = 0

    async def read() -> tuple[ClientKey, ...]:
        nonlocal readings
        found = await store.list()
        readings += 1
        if readings == 1:
            revoked = await store.revoke("laptop")
            ring.put({revoked.id: revoked})
        return found

    ring.replace(await ring.edition.read(read))
    assert ring.by_name("laptop") is None
    assert readings == 2


async def test_one_change_behind_the_other_ends() -> None:
    edition, readings = Edition(), 0

    async def read() -> int:
        nonlocal readings
        readings += 1
        edition.begin_next()
        return readings

    assert await edition.read(read) == readings == 5
