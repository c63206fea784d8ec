"""Whose turn it is to renew an account's tokens, across processes, and the tokens that come of it.

A turn is a row with an end: a process that dies in the middle keeps nobody out for longer. Taking one is a
durable write, so a store that could not keep the new tokens is noticed before the old ones are spent.
Times are the database's own where it has a clock: processes on other machines count by the same.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.pool.accounts import Account, Credential, Kind
from headgate.storage import credentials
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database, insert
from headgate.storage.locks import Lock, lock_accounts
from headgate.storage.news import tell
from headgate.storage.schema import accounts, refreshes
from headgate.storage.secrets import SecretBox


@dataclass(frozen=True, slots=True)
class Taken:
    """The turn is the caller's."""

    was_cut_off: bool
    """An earlier turn never ended: what the provider gave out then may be lost."""


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else is at it."""

    seconds: float
    """After which the turn is anybody's."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """It was done in the meantime."""

    account: Account


@dataclass(frozen=True, slots=True)
class Failed:
    """The last turn failed, and it is too early for another."""

    reason: str
    seconds: float | None
    """Until the next try; None: only a new sign-in helps."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such account any more, or it holds a key instead."""


Turn = Taken | Held | Renewed | Failed | Gone


class SignInStore:
    def __init__(self, database: Database, secrets: SecretBox, accounts: AccountStore, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._accounts = accounts
        self._clock = clock

    async def take_turn(
        self, account_id: int, *, version: int, holder: str, seconds: float, insists: bool = False
    ) -> Turn:
        """`version` is that of the tokens the caller knows; `insists`: an earlier failure does not count."""
        async with self._database.write(durable=True) as connection:
            now_ms = await turn_ms(connection, self._clock)
            row = await self._locked(connection, account_id)
            if row is None or row["kind"] != Kind.OAUTH:
                return Gone()
            if row["token_version"] != version:
                return Renewed(self._accounts.account_of(row))
            last = await self._last(connection, account_id)
            if last is not None and last["holder"] not in (None, holder) and last["held_until"] > now_ms:
                return Held((last["held_until"] - now_ms) / 1000)
            if last is not None and last["failed_at"] is not None and not insists:
                retry_at = last["retry_at"]
                if retry_at is None or retry_at > now_ms:
                    seconds_left = None if retry_at is None else (retry_at - now_ms) / 1000
                    return Failed(last["failure"] or "", seconds_left)
            await self._put(
                connection,
                {
                    "account_id": account_id,
                    "holder": holder,
                    "held_until": now_ms + round(seconds * 1000),
                    "began_at": now_ms,
                },
            )
            return Taken(was_cut_off=last is not None and last["holder"] is not None)

    async def keep(self, account_id: int, credential: Credential, *, version: int) -> Account | None:
        """The new tokens, on the disk when this returns, and the end of the turn. None: a new sign-in, or a
        removal, came first, and its tokens stay."""
        async with self._database.write(durable=True) as connection:
            row = await self._locked(connection, account_id)
            if row is None or row["token_version"] != version or row["kind"] != Kind.OAUTH:
                return None
            values = {
                "secret": credentials.seal(self._secrets, Kind.OAUTH, credential),
                "secret_digest": credentials.digests(self._secrets, credential)[0],
                "token_version": version + 1,
                "updated_at": int(self._clock.now() * 1000),
                **credentials.in_the_clear(credential),
            }
            this = accounts.c.id == account_id
            await connection.execute(sa.update(accounts).where(this).values(values))
            await connection.execute(sa.delete(refreshes).where(refreshes.c.account_id == account_id))
            await tell(connection, "accounts", [account_id])
            kept = (await connection.execute(sa.select(accounts).where(this))).mappings().one()
        return self._accounts.account_of(kept)

    async def fail(
        self, account_id: int, *, version: int, holder: str, reason: str, retry_seconds: float | None
    ) -> None:
        """The turn ends without tokens. `retry_seconds` None: only a new sign-in helps."""
        async with self._database.write(durable=True) as connection:
            now_ms = await turn_ms(connection, self._clock)
            row = await self._locked(connection, account_id)
            if row is None or row["token_version"] != version:
                return
            retry_at = None if retry_seconds is None else now_ms + round(retry_seconds * 1000)
            values = {"holder": None, "held_until": None, "failed_at": now_ms, "failure": reason}
            await connection.execute(
                sa.update(refreshes)
                .where(refreshes.c.account_id == account_id, refreshes.c.holder == holder)
                .values(**values, retry_at=retry_at)
            )

    async def give_back(self, account_id: int, *, holder: str) -> None:
        """The turn ends before anything was asked."""
        async with self._database.write() as connection:
            mine = sa.and_(refreshes.c.account_id == account_id, refreshes.c.holder == holder)
            await connection.execute(
                sa.update(refreshes).where(mine).values(holder=None, held_until=None, began_at=None)
            )

    async def extend(self, account_id: int, *, holder: str, seconds: float) -> None:
        """The holder is alive and still at it."""
        async with self._database.write() as connection:
            until = await turn_ms(connection, self._clock) + round(seconds * 1000)
            mine = sa.and_(refreshes.c.account_id == account_id, refreshes.c.holder == holder)
            await connection.execute(sa.update(refreshes).where(mine).values(held_until=until))

    async def end_turns_of_the_dead(self) -> None:
        """For a process that has the store to itself: whoever held a turn is gone."""
        async with self._database.write() as connection:
            held = refreshes.c.holder.is_not(None)
            await connection.execute(sa.update(refreshes).where(held).values(held_until=0))

    async def forget_failures(self) -> None:
        """Another client id, another address: what failed is tried anew."""
        async with self._database.write() as connection:
            failed = sa.and_(refreshes.c.failed_at.is_not(None), refreshes.c.retry_at.is_not(None))
            await connection.execute(
                sa.update(refreshes).where(failed).values(failed_at=None, failure=None, retry_at=None)
            )

    # ---- inside ------------------------------------------------------------------------------------

    async def _locked(self, connection: AsyncConnection, account_id: int) -> sa.RowMapping | None:
        await lock_accounts(connection, Lock.ROWS)
        query = sa.select(accounts).where(accounts.c.id == account_id).with_for_update()
        return (await connection.execute(query)).mappings().one_or_none()

    async def _last(self, connection: AsyncConnection, account_id: int) -> sa.RowMapping | None:
        query = sa.select(refreshes).where(refreshes.c.account_id == account_id)
        return (await connection.execute(query)).mappings().one_or_none()

    async def _put(self, connection: AsyncConnection, values: dict[str, object]) -> None:
        new = insert(connection, refreshes).values(**values)
        taken = {"failed_at": None, "failure": None, "retry_at": None}
        changed = {name: value for name, value in values.items() if name != "account_id"} | taken
        await connection.execute(new.on_conflict_do_update(index_elements=["account_id"], set_=changed))


async def turn_ms(connection: AsyncConnection, clock: Clock) -> int:
    """By the clock that turns are counted by: the database's own, where it has one."""
    if connection.dialect.name != "postgresql":
        return int(clock.now() * 1000)
    query = sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")
    return int((await connection.execute(query)).scalar_one())
