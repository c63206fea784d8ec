"""Several gateways on one database change the same accounts at once: nobody waits in a ring.

Each test lets two transactions queue behind a third, in the order in which they would close a ring, where
PostgreSQL would end one of them with an error. SQLite has one writer: there is nothing to see there.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.pool.accounts import Account, Credential, Kind
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.counters import CounterStore
from headgate.storage.database import Database
from headgate.storage.drafts import SETTINGS, AccountDraft
from headgate.storage.history import delete_before
from headgate.storage.locks import CONVERSATIONS
from headgate.storage.relinking import relink
from headgate.storage.schema import accounts, conversations, request_links
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import SignInStore, Taken
from headgate.testing.sessions import coding_session
from tests.conversation.linked import truth
from tests.gateway import until
from tests.pool.sample import StillClock
from tests.record.test_links import Gateway, replayed, stored
from tests.storage.rows import attempt_row, request_row


class Gateways:
    """One database as two processes see it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        box, clock = SecretBox.open_or_create(folder), StillClock()
        self.accounts = AccountStore(database, box, clock)
        self.turns = SignInStore(database, box, self.accounts, clock)

    async def declare(self, *names: str) -> list[Account]:
        drafts = [
            AccountDraft(
                name=name,
                provider="anthropic",
                kind=Kind.OAUTH,
                secret=Credential(f"access-{name}", f"refresh-{name}", 1.0),
                origin=SETTINGS,
            )
            for name in names
        ]
        await self.accounts.declare(drafts)
        return list(await self.accounts.list())

    async def record(self, name: str, *ids: int) -> None:
        rows = Rows(
            requests=[request_row(name)],
            attempts=[attempt_row(name, at, account_id=one) for at, one in enumerate(ids)],
            health=[{"account_id": one, "at_ms": 1, "state": {"name": name}} for one in ids],
        )
        await write_batch(self.database, Step(name, "s", 0, 1), rows)

    async def one_after_the_other(self, *calls: Awaitable[Any], behind: str) -> None:
        """Each begins when the one before waits for a lock; `behind` is what holds them all back."""
        async with self._held(behind) as holder:
            tasks = []
            for number, call in enumerate(calls, 1):
                tasks.append(asyncio.ensure_future(call))
                await until(partial(_are_waiting, holder, number), what=f"The wait of {number}")
        await asyncio.gather(*tasks)

    @asynccontextmanager
    async def _held(self, statement: str) -> AsyncIterator[AsyncConnection]:
        async with self.database.engine.connect() as holder:
            await holder.execute(sa.text(statement))
            yield holder
            await holder.rollback()


async def _are_waiting(connection: AsyncConnection, wanted: int) -> bool:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return int((await connection.execute(waiting)).scalar_one()) >= wanted


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """This one alone, not each in turn."""
    return postgres_url


@pytest.fixture
def gateways(database: Database, tmp_path: Path) -> Gateways:
    return Gateways(database, tmp_path)


WHOLE_TABLE = "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"


async def test_an_account_goes_while_requests_of_it_are_recorded(gateways: Gateways) -> None:
    (account,) = await gateways.declare("one")
    await gateways.record("before", account.id)
    await gateways.one_after_the_other(
        gateways.accounts.declare([]), gateways.record("after", account.id), behind=WHOLE_TABLE
    )
    assert not await gateways.accounts.list()


async def test_an_account_changes_while_its_new_tokens_are_kept(gateways: Gateways) -> None:
    """Whoever comes first: the tokens are kept, and the change is made."""
    (account,) = await gateways.declare("one")
    assert await gateways.turns.take_turn(account.id, version=0, holder="a", seconds=60) == Taken(
        was_cut_off=False
    )
    new = Credential("access-2", "refresh-2", 2e9)
    await gateways.one_after_the_other(
        gateways.accounts.update("one", {"weight": 3}),
        gateways.turns.keep(account.id, new, version=0),
        behind=WHOLE_TABLE,
    )
    (after,) = await gateways.accounts.list()
    assert (after.weight, after.credential and after.credential.secret) == (3, "access-2")


async def test_an_account_is_signed_in_anew_while_a_refresh_takes_its_turn(gateways: Gateways) -> None:
    (account,) = await gateways.declare("one")
    await gateways.turns.take_turn(account.id, version=0, holder="a", seconds=0)
    again = {"secret": Credential("access-3", "refresh-3", 2e9), "kind": Kind.OAUTH}
    await gateways.one_after_the_other(
        gateways.accounts.update("one", again),
        gateways.turns.take_turn(account.id, version=0, holder="b", seconds=60),
        behind=WHOLE_TABLE,
    )
    (after,) = await gateways.accounts.list()
    assert after.credential is not None
    assert after.credential.secret == "access-3"


async def test_counts_are_reset_while_requests_are_recorded(gateways: Gateways) -> None:
    one, other = await gateways.declare("one", "other")
    await gateways.accounts.update("one", {"weight": 2})  # its row lies behind the other's now
    row = sa.select(accounts.c.id).where(accounts.c.id == other.id).with_for_update()
    await gateways.one_after_the_other(
        CounterStore(gateways.database).reset(),
        gateways.record("after", one.id, other.id),
        behind=str(row.compile(compile_kwargs={"literal_binds": True})),
    )


async def test_two_record_the_same_accounts_in_another_order(gateways: Gateways) -> None:
    one, other = await gateways.declare("one", "other")
    await gateways.record("before", one.id, other.id)
    await gateways.one_after_the_other(
        gateways.record("a", one.id, other.id), gateways.record("b", other.id, one.id), behind=WHOLE_TABLE
    )


async def test_all_is_linked_anew_while_requests_are_linked(
    gateways: Gateways, database: Database, tmp_path: Path
) -> None:
    """Neither works with what the other has just changed: no link is lost, and all sums are right."""
    told = coding_session(6, session="3f1c")
    *earlier, last, newest = told.in_order_of_ends()
    gateway = Gateway(tmp_path)
    for one in earlier:
        gateway.serve(one)
    await replayed(tmp_path, database)
    gateway.serve(last)
    gateway.serve(newest)
    await gateways.one_after_the_other(
        replayed(tmp_path, database),
        relink(database),
        behind=f"SELECT pg_advisory_xact_lock({CONVERSATIONS})",
    )
    assert await stored(database) == truth(told)
    async with database.read() as connection:
        counted = (await connection.execute(sa.select(sa.func.sum(conversations.c.requests)))).scalar()
        linked = (await connection.execute(sa.select(sa.func.count()).select_from(request_links))).scalar()
    assert counted == linked == len(told.sent)


async def test_all_is_linked_anew_while_old_requests_go(
    gateways: Gateways, database: Database, tmp_path: Path
) -> None:
    told = coding_session(6)
    gateway = Gateway(tmp_path)
    for one in told.in_order_of_ends():
        gateway.serve(one)
    await replayed(tmp_path, database)
    await gateways.one_after_the_other(
        relink(database),
        delete_before(database, told.sent[-1].began_at + 1, most=1_000),
        behind="LOCK TABLE turns IN ACCESS EXCLUSIVE MODE",
    )
    async with database.read() as connection:
        assert (await connection.execute(sa.select(request_links))).first() is None
