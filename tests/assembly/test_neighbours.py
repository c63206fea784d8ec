"""What a gateway reads of its database takes back nothing that its owner changes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.ring import KeyRing
from headgate.assembly.neighbours import Neighbours
from headgate.assembly.stores import Stores
from headgate.clock import SystemClock
from headgate.config.loading import load_settings
from headgate.pool.accounts import Account, Credential
from headgate.pool.pool import Pool
from headgate.storage.accounts import AccountStore
from headgate.storage.client_keys import KeyStore
from headgate.storage.database import open_database
from headgate.storage.drafts import AccountDraft
from headgate.tasks import TaskGroup
from tests.gateway import until


class OnItsWay:
    """An answer of the database that takes its time."""

    def __init__(self) -> None:
        self.has_left, self.may_arrive = asyncio.Event(), asyncio.Event()

    async def travel(self) -> None:
        self.has_left.set()
        await self.may_arrive.wait()


class SlowAccounts(AccountStore):
    answer: OnItsWay

    async def list(self, ids: Iterable[int] | None = None) -> tuple[Account, ...]:
        found = await super().list(ids)
        await self.answer.travel()
        return found


class SlowKeys(KeyStore):
    answer: OnItsWay

    async def list(self, ids: Iterable[int] | None = None) -> tuple[ClientKey, ...]:
        found = await super().list(ids)
        await self.answer.travel()
        return found


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Stores]:
    database = await open_database(url)
    loaded = load_settings({}, {"HEADGATE_DATA_DIR": str(folder)}, folder / "config.yaml")
    yield Stores.on(database, loaded, SystemClock())
    await database.close()


async def look_and_change(
    stores: Stores, pool: Pool, ring: KeyRing, answer: OnItsWay, change: Callable[[], Awaitable[None]]
) -> None:
    """All is looked at; while the answer is on its way the owner changes something, as soon as he may."""
    changing, looked, is_the_owners_turn = asyncio.Lock(), asyncio.Event(), asyncio.Event()

    async def by_the_owner() -> None:
        async with changing:
            is_the_owners_turn.set()
            await change()

    neighbours = Neighbours(
        stores,
        pool,
        ring,
        Gate(SystemClock()),
        SystemClock(),
        holder="one",
        changing=changing,
        on_keys=looked.set,
        on_slices=lambda: None,
        on_prices=stores.prices.load,
    )
    tasks = TaskGroup()
    tasks.spawn(neighbours.run(), name="neighbours")
    try:
        await answer.has_left.wait()
        owner = tasks.spawn(by_the_owner(), name="the owner")
        await until(lambda: owner.done() or (changing.locked() and not is_the_owners_turn.is_set()))
        answer.may_arrive.set()
        await owner
        await asyncio.wait_for(looked.wait(), 10)
    finally:
        await tasks.cancel()


async def test_an_account_that_is_added_while_all_are_read(postgres_url: str, tmp_path: Path) -> None:
    async with opened(postgres_url, tmp_path) as stores:
        slow = SlowAccounts(stores.database, stores.secrets, SystemClock())
        slow.answer, pool = OnItsWay(), Pool(SystemClock(), {})

        async def add() -> None:
            draft = AccountDraft(name="new", provider="anthropic", secret=Credential("sk-new"))
            pool.put(await stores.accounts.add(draft))

        await look_and_change(replace(stores, accounts=slow), pool, KeyRing(), slow.answer, add)
        assert list(pool.living) == ["new"]


async def test_an_account_that_is_removed_while_all_are_read(postgres_url: str, tmp_path: Path) -> None:
    async with opened(postgres_url, tmp_path) as stores:
        slow = SlowAccounts(stores.database, stores.secrets, SystemClock())
        slow.answer, pool = OnItsWay(), Pool(SystemClock(), {})
        draft = AccountDraft(name="old", provider="anthropic", secret=Credential("sk-old"))
        pool.put(await stores.accounts.add(draft))

        async def remove() -> None:
            await stores.accounts.remove("old")
            pool.remove("old")

        await look_and_change(replace(stores, accounts=slow), pool, KeyRing(), slow.answer, remove)
        assert list(pool.living) == []


async def test_a_key_that_is_revoked_while_all_are_read_stays_shut(postgres_url: str, tmp_path: Path) -> None:
    async with opened(postgres_url, tmp_path) as stores:
        slow = SlowKeys(stores.database, SystemClock())
        slow.answer, ring = OnItsWay(), KeyRing()
        ring.replace([await stores.client_keys.create("laptop", "hg-a-key-of-somebody", {})])

        async def revoke() -> None:
            revoked = await stores.client_keys.revoke("laptop")
            ring.put({revoked.id: revoked})

        pool = Pool(SystemClock(), {})
        await look_and_change(replace(stores, client_keys=slow), pool, ring, slow.answer, revoke)
        assert ring.by_name("laptop") is None
