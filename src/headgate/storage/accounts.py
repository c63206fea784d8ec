"""The accounts that the owner has put in."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.errors import Conflict, NotFound, SecretUnreadable
from headgate.pool.accounts import Account, Credential, Kind
from headgate.storage import credentials
from headgate.storage.changes import Change
from headgate.storage.client_keys import follow_rename
from headgate.storage.database import Database
from headgate.storage.drafts import COLUMNS, FILES, OWNER, SETTINGS, AccountDraft, declared_values
from headgate.storage.locks import Lock, lock_accounts
from headgate.storage.news import tell
from headgate.storage.schema import account_health, accounts, objects, refreshes
from headgate.storage.secrets import SecretBox


class AccountStore:
    """Every change is on the disk before it is answered. `change`: its row in the audit record."""

    def __init__(self, database: Database, secrets: SecretBox, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    async def list(self, ids: Iterable[int] | None = None) -> tuple[Account, ...]:
        """In order of id; all, or those in `ids`. One whose secret the key in force does not open comes
        without a credential."""
        query = sa.select(accounts).order_by(accounts.c.id)
        if ids is not None:
            query = query.where(accounts.c.id.in_([*ids]))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(self.account_of(row) for row in rows)

    async def get(self, name: str) -> Account:
        async with self._database.read() as connection:
            return self.account_of(await _row(connection, name))

    async def warnings(self) -> tuple[str, ...]:
        """For the owner: which accounts cannot serve because their secret does not open, and why. What
        the settings declare is not among them: a start seals it anew."""
        owned = await self.names(origin=OWNER)
        closed = [one.name for one in await self.list() if one.credential is None and one.name in owned]
        return (self._secrets.explain_closed(closed),) if closed else ()

    async def names(self, *, origin: str) -> tuple[str, ...]:
        """For telling which accounts the settings file once declared and no longer does."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(accounts.c.name).where(accounts.c.origin == origin))
            return tuple(found.scalars())

    async def beginnings(self) -> dict[str, str]:
        """By name: the digest of the token with which the present sign-in of an account began here."""
        wanted = sa.select(accounts.c.name, accounts.c.source_digest).where(
            accounts.c.source_digest.is_not(None)
        )
        async with self._database.read() as connection:
            return {row.name: row.source_digest.split()[0] for row in await connection.execute(wanted)}

    async def add(self, draft: AccountDraft, *, change: Change | None = None) -> Account:
        """Conflict when the name is taken, or the same secret is there already."""
        async with self.changing(change) as connection:
            return await self._add(connection, draft)

    async def update(self, name: str, changes: Mapping[str, Any], *, change: Change | None = None) -> Account:
        """`changes`: fields of AccountDraft; `secret` as a Credential, `kind` with it. All of them or none.

        After a change of name the id, and with it health, objects and history, is the same.
        """
        async with self.changing(change) as connection:
            return await self._update(connection, name, changes)

    async def resume(self, name: str, *, change: Change | None = None) -> Account:
        """It is not paused any more, and every gateway on the database asks it again."""
        async with self.changing(change) as connection:
            account = await self._update(connection, name, {"paused": False})
            await tell(connection, "resumed", [account.id])
        return account

    async def take(
        self,
        drafts: Iterable[AccountDraft],
        changes: Mapping[str, Mapping[str, Any]],
        *,
        change: Change | None = None,
    ) -> tuple[Account, ...]:
        """Add all `drafts` and make all `changes` (by name), or nothing at all."""
        async with self.changing(change) as connection:
            changed = [await self._update(connection, name, values) for name, values in changes.items()]
            return (*changed, *[await self._add(connection, draft) for draft in drafts])

    async def remove(self, name: str, *, change: Change | None = None) -> Account:
        """Its health and objects go with it, its history stays. Answers what was removed."""
        async with self.changing(change) as connection:
            row = await _row(connection, name)
            await delete_rows(connection, [row["id"]])
        return self.account_of(row)

    async def declare(self, drafts: Sequence[AccountDraft]) -> None:
        """These are all the accounts of the origin SETTINGS: one change, whole or not at all.

        Those of the same name are changed and keep id, health and pause; what is as it was is not
        written. Conflict when a name or a secret is one of the owner's.
        """
        async with self.changing() as connection:
            found = await connection.execute(sa.select(accounts).where(accounts.c.origin == SETTINGS))
            known = {row["name"]: row for row in found.mappings().all()}
            gone = [row["id"] for name, row in known.items() if name not in {one.name for one in drafts}]
            await delete_rows(connection, gone)
            changed = [draft for draft in drafts if not self._is_as(draft, known.get(draft.name))]
            # Two may have swapped their secrets: all of them let go of the old ones first.
            for row in (known[draft.name] for draft in changed if draft.name in known):
                await self.change_row(connection, row["id"], {"secret_digest": f"changing:{row['id']}"})
            for draft in changed:
                await self._put_declared(connection, draft, known.get(draft.name))

    @asynccontextmanager
    async def changing(self, change: Change | None = None) -> AsyncIterator[AsyncConnection]:
        """What is checked inside still holds at the commit: SQLite has one writer anyway."""
        async with self._database.write(durable=True, change=change) as connection:
            await lock_accounts(connection, Lock.CHANGE)
            yield connection

    async def _add(self, connection: AsyncConnection, draft: AccountDraft) -> Account:
        now_ms = int(self._clock.now() * 1000)
        values = {
            "name": draft.name,
            "provider": draft.provider,
            "kind": draft.kind.value,
            "priority": draft.priority,
            "weight": draft.weight,
            "account_tier": draft.tier,
            "concurrency": draft.concurrency,
            "base_url": draft.base_url,
            "proxy": self.sealed_proxy(draft.proxy),
            "email": draft.email,
            "domain": draft.domain,
            "models": list(draft.models),
            "paused": draft.paused,
            "origin": draft.origin,
            "created_at": now_ms,
            "updated_at": now_ms,
        }
        await refuse_taken_name(connection, draft.name)
        values |= await self.sealed(connection, draft.provider, draft.kind, draft.secret)
        await connection.execute(sa.insert(accounts).values(values))
        added = self.account_of(await _row(connection, draft.name))
        await tell(connection, "accounts", [added.id])
        return added

    async def _update(self, connection: AsyncConnection, name: str, changes: Mapping[str, Any]) -> Account:
        values = {COLUMNS[field]: value for field, value in changes.items() if field != "secret"}
        if "models" in values:
            values["models"] = list(values["models"])
        if "proxy" in values:
            values["proxy"] = self.sealed_proxy(values["proxy"])
        row = await _row(connection, name)
        if values.get("name", name) != name:
            await refuse_taken_name(connection, values["name"])
            await follow_rename(connection, name, values["name"])
        if "secret" in changes and "proxy" not in changes:
            self._refuse_lost_proxy(row)
        if "secret" in changes or "provider" in changes:
            secret = changes["secret"] if "secret" in changes else self.opened(row)
            provider, kind = changes.get("provider", row["provider"]), Kind(changes.get("kind", row["kind"]))
            values |= await self.sealed(connection, provider, kind, secret, row)
            await connection.execute(sa.delete(refreshes).where(refreshes.c.account_id == row["id"]))
        return self.account_of(await self.change_row(connection, row["id"], values))

    def _is_as(self, draft: AccountDraft, row: sa.RowMapping | None) -> bool:
        if row is None or not self._has_secret_of(draft, row):
            return False
        try:
            proxy = self.proxy_of(row)
        except SecretUnreadable:
            return False
        values = declared_values(draft)
        return proxy == draft.proxy and all(row[column] == value for column, value in values.items())

    def _has_secret_of(self, draft: AccountDraft, row: sa.RowMapping) -> bool:
        """What was refreshed since is still the sign-in that the declaration began."""
        if row["kind"] != draft.kind:
            return False
        if draft.kind is Kind.OAUTH and self.credential_of(row) is not None:
            return bool(row["source_digest"] == credentials.source_digest(draft.secret))
        return self.credential_of(row) == draft.secret

    async def _put_declared(
        self, connection: AsyncConnection, draft: AccountDraft, row: sa.RowMapping | None
    ) -> None:
        values = {**declared_values(draft), "proxy": self.sealed_proxy(draft.proxy)}
        if row is None or not self._has_secret_of(draft, row):
            values |= await self.sealed(connection, draft.provider, draft.kind, draft.secret, row)
        else:
            values["secret_digest"] = credentials.digests(self._secrets, self.opened(row))[0]
        if row is not None:
            await self.change_row(connection, row["id"], values)
            return
        await refuse_taken_name(connection, draft.name)
        now_ms = int(self._clock.now() * 1000)
        values |= {
            "name": draft.name,
            "paused": False,
            "origin": SETTINGS,
            "created_at": now_ms,
            "updated_at": now_ms,
        }
        await connection.execute(sa.insert(accounts).values(values))
        await tell(connection, "accounts", [])

    async def change_row(
        self, connection: AsyncConnection, account_id: int, values: Mapping[str, Any]
    ) -> sa.RowMapping:
        values = {**values, "updated_at": int(self._clock.now() * 1000)}
        this = accounts.c.id == account_id
        await connection.execute(sa.update(accounts).where(this).values(values))
        await tell(connection, "accounts", [account_id])
        return (await connection.execute(sa.select(accounts).where(this))).mappings().one()

    async def sealed(
        self,
        connection: AsyncConnection,
        provider: str,
        kind: Kind,
        credential: Credential,
        row: sa.RowMapping | None = None,
    ) -> dict[str, Any]:
        """Columns of a credential that takes the place of what `row` holds; a refresh is another matter."""
        digests = credentials.digests(self._secrets, credential)
        same = sa.select(accounts.c.name, accounts.c.origin).where(
            accounts.c.provider == provider,
            accounts.c.secret_digest.in_(digests),
            accounts.c.id != (0 if row is None else row["id"]),
        )
        if holder := (await connection.execute(same)).first():
            raise Conflict(
                f"The same secret is already there, as account {holder.name}.",
                hint=_mend_of_same(holder.name, holder.origin),
            )
        return {
            "secret": credentials.seal(self._secrets, kind, credential),
            "secret_digest": digests[0],
            "token_version": 0 if row is None else row["token_version"] + 1,
            "signed_in_at": int(self._clock.now() * 1000) if kind is Kind.OAUTH else None,
            "source_digest": _beginnings(credential, row) if kind is Kind.OAUTH else None,
            **credentials.in_the_clear(credential),
        }

    def account_of(self, row: sa.RowMapping) -> Account:
        """From a row of `accounts`."""
        credential = self.credential_of(row)
        try:
            proxy = self.proxy_of(row)
        except SecretUnreadable:
            credential = proxy = None  # it must not be used by a way that its owner has not chosen
        return Account(
            id=row["id"],
            name=row["name"],
            provider=row["provider"],
            kind=Kind(row["kind"]),
            credential=credential,
            priority=row["priority"],
            weight=row["weight"],
            tier=row["account_tier"],
            concurrency=row["concurrency"],
            base_url=row["base_url"],
            proxy=proxy,
            email=row["email"],
            domain=row["domain"],
            models=tuple(row["models"]),
            paused=row["paused"],
            origin=row["origin"],
            created_at=row["created_at"] / 1000,
            signed_in_at=None if row["signed_in_at"] is None else row["signed_in_at"] / 1000,
        )

    def digest_of(self, credential: Credential) -> str:
        """The column `secret_digest` under the key in force."""
        return credentials.digests(self._secrets, credential)[0]

    def sealed_proxy(self, proxy: str | None) -> str | None:
        return None if proxy is None else self._secrets.seal(proxy)

    def proxy_of(self, row: sa.RowMapping) -> str | None:
        sealed = row["proxy"]
        return (
            None if sealed is None else self._secrets.open(sealed, of=f"the proxy of account {row['name']}")
        )

    def _refuse_lost_proxy(self, row: sa.RowMapping) -> None:
        """A new secret alone would bring the account back to life on another way."""
        try:
            self.proxy_of(row)
        except SecretUnreadable as error:
            name = row["name"]
            mend = f"Set it again first: headgate account set {name} --proxy U; none: the general one."
            raise SecretUnreadable(error.message, hint=mend) from error

    def credential_of(self, row: sa.RowMapping) -> Credential | None:
        try:
            return self.opened(row)
        except SecretUnreadable:
            # One lost key must not take the accounts away that do not need it, nor the way to mend it.
            return None

    def opened(self, row: sa.RowMapping) -> Credential:
        of = f"the secret of account {row['name']}"
        kind, version = Kind(row["kind"]), row["token_version"]
        return credentials.open_sealed(self._secrets, kind, row["secret"], version=version, of=of)


def _beginnings(credential: Credential, row: sa.RowMapping | None) -> str:
    """Of an account that a file keeps also those before: the file may still have one of them."""
    began = credentials.source_digest(credential)
    is_in_file = row is not None and row["origin"].startswith(FILES) and row["source_digest"]
    return f"{began} {row['source_digest']}" if row is not None and is_in_file else began


def _mend_of_same(holder: str, origin: str) -> str:
    if origin == SETTINGS:
        return f"Use that account, or give {holder} another `api_key` in the settings."
    if origin.startswith(FILES):
        return f"Use that account, or take it out of {origin.removeprefix(FILES)}."
    return f"Use that account, or remove it first: `headgate account remove {holder}`."


async def delete_rows(connection: AsyncConnection, ids: Sequence[int]) -> None:
    for table in (account_health, objects, refreshes):
        await connection.execute(sa.delete(table).where(table.c.account_id.in_(ids)))
    await connection.execute(sa.delete(accounts).where(accounts.c.id.in_(ids)))
    if ids:
        await tell(connection, "accounts", ids)


async def _row(connection: AsyncConnection, name: str) -> sa.RowMapping:
    found = await connection.execute(sa.select(accounts).where(accounts.c.name == name))
    if (row := found.mappings().one_or_none()) is None:
        raise NotFound(f"No account is called {name}.", hint="`headgate account list` names them.")
    return row


async def refuse_taken_name(connection: AsyncConnection, name: str) -> None:
    taken = sa.select(accounts.c.id).where(accounts.c.name == name)
    if (await connection.execute(taken)).scalar() is not None:
        raise Conflict(f"An account is already called {name}.", hint="Choose another name.")
