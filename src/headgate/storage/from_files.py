"""Accounts that other programs keep in files, brought into the database and kept in step with it.

A file says which accounts there are; the database holds the tokens that are in force. Where both have tokens
of one account the newer ones win: a file that has what we had earlier is behind and is to be written, tokens
that we have never seen come from a sign-in or a refresh of somebody else and are taken over, unless they end
before those in force do. What cannot be taken leaves the others alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.errors import Conflict, SecretUnreadable
from headgate.pool.accounts import Credential, Kind
from headgate.storage import credentials
from headgate.storage.accounts import AccountStore, delete_rows
from headgate.storage.drafts import FILES, OWNER, SETTINGS, AccountDraft, declared_values
from headgate.storage.news import tell
from headgate.storage.schema import accounts, refreshes
from headgate.storage.sign_ins import turn_ms

_REMEMBERED = 16
"""Refresh tokens that a file is known to have had, by their digests: one of them in it means that it is
behind, an old copy put back for example."""
_OFF = "off"


@dataclass(frozen=True, slots=True)
class FileAccount:
    """One account as a file has it. The draft's origin begins with `FILES` and names the file."""

    draft: AccountDraft
    is_off: bool = False
    """The file says that it is not to be used."""


@dataclass(slots=True)
class Taken:
    """What came of it."""

    is_changed: bool = False
    """Some account is another one now, or is gone."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Name -> in words, why an account of a file was not taken as it stands there."""
    behind: set[str] = field(default_factory=set)
    """Names of those whose file has older tokens than those in force."""
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class _Side(Enum):
    """Who has the newer tokens."""

    BOTH = auto()
    FILE = auto()
    RENEWED = auto()
    """The file, with another access token of the same sign-in."""
    OURS = auto()
    UNCLEAR = auto()
    """Neither came from the other, as far as we know, and the file's end earlier."""


class FileAccounts:
    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(
        self, found: Sequence[FileAccount], *, unread: Collection[str] = (), kept: Collection[str] = ()
    ) -> Taken:
        """These are all the accounts that files keep, in one change; doing it twice changes nothing.

        Accounts of the origins `unread` (see `is_among`), and those named in `kept`, stay as they are.
        """
        taken = Taken()
        async with self._store.changing() as connection:
            query = sa.select(accounts).where(accounts.c.origin.startswith(FILES))
            rows = {row["name"]: row for row in (await connection.execute(query)).mappings().all()}
            wanted = {one.draft.name for one in found}
            for name, row in list(rows.items()):
                if is_among(row["origin"], unread) or name in kept:
                    del rows[name]
                elif name not in wanted:
                    await delete_rows(connection, [row["id"]])
                    taken.removed.append(name)
                    del rows[name]
            moved = [one for one in found if self._has_other_secret(one, rows.get(one.draft.name))]
            # Two may have swapped their secrets: all of them let go of the old ones first.
            for row in (rows[one.draft.name] for one in moved if one.draft.name in rows):
                await self._store.change_row(
                    connection, row["id"], {"secret_digest": f"changing:{row['id']}"}
                )
            for one in found:
                await self._take_one(connection, one, rows.get(one.draft.name), taken)
        taken.is_changed = bool(taken.added or taken.changed or taken.removed)
        return taken

    async def _take_one(
        self, connection: AsyncConnection, one: FileAccount, row: sa.RowMapping | None, taken: Taken
    ) -> None:
        name = one.draft.name
        try:
            if row is None:
                await self._refuse_taken_name(connection, name)
                await self._add(connection, one)
                taken.added.append(name)
            elif values := await self._changes(connection, one, row, taken):
                if _is_worth_telling(values):
                    taken.changed.append(name)
                await self._store.change_row(connection, row["id"], values)
        except Conflict as conflict:
            taken.left_out[name] = f"{conflict.message} {conflict.hint}"
            current = None if row is None else self._store.credential_of(row)
            if row is not None and current is not None:
                digest = self._store.digest_of(current)
                await self._store.change_row(connection, row["id"], {"secret_digest": digest})

    async def _add(self, connection: AsyncConnection, one: FileAccount) -> None:
        draft, now_ms = one.draft, int(self._clock.now() * 1000)
        values = {
            **_values(draft),
            **await self._store.sealed(connection, draft.provider, draft.kind, draft.secret),
            "name": draft.name,
            "proxy": self._store.sealed_proxy(draft.proxy),
            "paused": one.is_off,
            "source_digest": _note([credentials.source_digest(draft.secret)], is_off=one.is_off),
            "created_at": now_ms,
            "updated_at": now_ms,
        }
        await connection.execute(sa.insert(accounts).values(values))
        await tell(connection, "accounts", [])

    async def _changes(
        self, connection: AsyncConnection, one: FileAccount, row: sa.RowMapping, taken: Taken
    ) -> dict[str, Any]:
        """Columns that become others; empty for an account that is as its file says."""
        draft = one.draft
        seen, was_off = _read_note(row["source_digest"])
        values = {column: new for column, new in _values(draft).items() if row[column] != new}
        if not self._has_proxy_of(draft, row):
            values["proxy"] = self._store.sealed_proxy(draft.proxy)
        if one.is_off is not was_off:
            values["paused"] = one.is_off
        digest = credentials.source_digest(draft.secret)
        current = self._store.credential_of(row)
        side = self._side(one, row)
        if side is _Side.UNCLEAR and await self._is_refused(connection, row["id"]):
            side = _Side.FILE
        if side in (_Side.FILE, _Side.RENEWED):
            if await self._is_being_renewed(connection, row["id"]):
                # Its new tokens come in a moment; whose are newer shows then.
                taken.left_out[draft.name] = BUSY
                if current is not None:
                    values["secret_digest"] = self._store.digest_of(current)
                return values
            sealed = await self._store.sealed(connection, draft.provider, draft.kind, draft.secret, row)
            if side is _Side.RENEWED:
                del sealed["signed_in_at"]
            values |= sealed
            await connection.execute(sa.delete(refreshes).where(refreshes.c.account_id == row["id"]))
        elif side is _Side.OURS:
            taken.behind.add(draft.name)
        elif side is _Side.UNCLEAR:
            taken.left_out[draft.name] = (
                "Its tokens in the file end before those in force, which stay. To have the file's: take the "
                "account out of the file, save it, and put it in again."
            )
        elif current is not None and row["secret_digest"] != (ours := self._store.digest_of(current)):
            values["secret_digest"] = ours
        if side is not _Side.UNCLEAR:
            note = _note([digest, *(old for old in seen if old != digest)], is_off=one.is_off)
            if note != row["source_digest"]:
                values["source_digest"] = note
        return values

    def _has_proxy_of(self, draft: AccountDraft, row: sa.RowMapping) -> bool:
        try:
            return self._store.proxy_of(row) == draft.proxy
        except SecretUnreadable:
            return False

    def _has_other_secret(self, one: FileAccount, row: sa.RowMapping | None) -> bool:
        return row is not None and self._side(one, row) in (_Side.FILE, _Side.RENEWED)

    def _side(self, one: FileAccount, row: sa.RowMapping) -> _Side:
        draft, current = one.draft, self._store.credential_of(row)
        if current is None or Kind(row["kind"]) is not draft.kind or row["provider"] != draft.provider:
            return _Side.FILE
        if draft.kind is Kind.API_KEY:
            return _Side.BOTH if current.secret == draft.secret.secret else _Side.FILE
        return _newer(draft.secret, current, _read_note(row["source_digest"])[0])

    async def _refuse_taken_name(self, connection: AsyncConnection, name: str) -> None:
        query = sa.select(accounts.c.origin).where(accounts.c.name == name)
        if (origin := (await connection.execute(query)).scalar()) is not None:
            where = {OWNER: "one that you added", SETTINGS: "one of the settings"}
            raise Conflict(
                f"There is an account of that name: {where.get(origin, f'one of {origin[len(FILES) :]}')}.",
                hint="Give one of them another name.",
            )

    async def _is_being_renewed(self, connection: AsyncConnection, account_id: int) -> bool:
        query = sa.select(refreshes.c.held_until).where(
            refreshes.c.account_id == account_id, refreshes.c.holder.is_not(None)
        )
        held_until = (await connection.execute(query)).scalar()
        return held_until is not None and held_until > await turn_ms(connection, self._clock)

    async def _is_refused(self, connection: AsyncConnection, account_id: int) -> bool:
        """The provider gives nothing more for the tokens in force."""
        is_final = sa.and_(refreshes.c.failed_at.is_not(None), refreshes.c.retry_at.is_(None))
        query = sa.select(refreshes.c.account_id).where(refreshes.c.account_id == account_id, is_final)
        return (await connection.execute(query)).first() is not None


BUSY = "Its tokens are being renewed just now."
"""Among the words of `Taken.left_out`: look again in a moment."""


def is_among(origin: str, origins: Collection[str]) -> bool:
    """One of `origins` that ends in `/` stands for all that begin so."""
    return any(origin == one or (one.endswith("/") and origin.startswith(one)) for one in origins)


def _newer(file: Credential, ours: Credential, seen: Sequence[str]) -> _Side:
    """Of two sign-ins; `seen` are digests of tokens that the file had."""
    if file.refresh_token == ours.refresh_token and file.secret == ours.secret:
        return _Side.BOTH
    is_later = file.expires_at is None or ours.expires_at is None or file.expires_at >= ours.expires_at
    if file.refresh_token is not None and file.refresh_token == ours.refresh_token:
        return _Side.RENEWED if is_later else _Side.OURS
    if credentials.source_digest(file) in seen:
        return _Side.OURS
    return _Side.FILE if is_later else _Side.UNCLEAR


def _values(draft: AccountDraft) -> dict[str, Any]:
    return {**declared_values(draft), "email": draft.email, "origin": draft.origin}


def _is_worth_telling(values: dict[str, Any]) -> bool:
    return bool(values.keys() - {"source_digest", "secret_digest"})


def _note(digests: Sequence[str], *, is_off: bool) -> str:
    """The column `source_digest`: what the file is known to have had, the newest first."""
    return " ".join([*digests[:_REMEMBERED], *([_OFF] if is_off else [])])


def _read_note(note: str | None) -> tuple[list[str], bool]:
    words = (note or "").split()
    return [word for word in words if word != _OFF], _OFF in words
