"""The client keys that the owner has given out; of the keys themselves only digests are here."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.client_keys import ClientKey, beginning_of, digest_of, name_of
from headgate.access.limits import Limits
from headgate.clock import Clock
from headgate.errors import ChangedMeanwhile, Conflict, NotFound
from headgate.storage.changes import Change
from headgate.storage.database import Database
from headgate.storage.locks import lock_client_keys
from headgate.storage.news import tell
from headgate.storage.schema import client_keys

_COLUMNS = {"is_enabled": "enabled", "is_declared": "declared"}
"""Where a field of a key and its column differ."""
_TIMES = frozenset({"expires_at", "previous_until", "first_used_at", "revoked_at"})
_NAMES_IN_USE = sa.select(client_keys.c.name).where(client_keys.c.revoked_at.is_(None))
_LISTS = frozenset({"tags", "models", "refused_models", "providers", "accounts"})


class KeyStore:
    """Every change is on the disk before it is answered, and told to the other gateways."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(self, ids: Iterable[int] | None = None) -> tuple[ClientKey, ...]:
        """In order of id, revoked ones too; all, or those in `ids`."""
        query = sa.select(client_keys).order_by(client_keys.c.id)
        if ids is not None:
            query = query.where(client_keys.c.id.in_([*ids]))
        return tuple(map(_key_of, await self._read(query)))

    async def revoked(self, *, after: int, limit: int) -> tuple[ClientKey, ...]:
        """So many, in order of id, behind that one."""
        gone = client_keys.c.revoked_at.is_not(None) & (client_keys.c.id > after)
        query = sa.select(client_keys).where(gone).order_by(client_keys.c.id).limit(limit)
        return tuple(map(_key_of, await self._read(query)))

    async def named(self, name: str) -> ClientKey | None:
        """The one that goes by this name, else the last that did and was revoked."""
        is_revoked = client_keys.c.revoked_at.is_not(None)
        query = sa.select(client_keys).where(client_keys.c.name == name)
        rows = await self._read(query.order_by(is_revoked, client_keys.c.id.desc()).limit(1))
        return _key_of(rows[0]) if rows else None

    async def create(
        self, name: str, secret: str, fields: Mapping[str, Any], *, change: Change | None = None
    ) -> ClientKey:
        """Raises Conflict when the name, or the same key under another one, is there."""
        fields = {**fields, "beginning": beginning_of(secret)}
        return await self._insert(name, digest_of(secret), fields, change)

    async def adopt(
        self, declared: ClientKey, fields: Mapping[str, Any], *, change: Change | None = None
    ) -> ClientKey:
        """A key of the settings, of which the owner now says more."""
        fields = {"may_choose_account": declared.may_choose_account, "is_declared": True, **fields}
        return await self._insert(fields.pop("name", declared.name), declared.digest, fields, change)

    async def adopt_all(self, digests: Iterable[bytes]) -> tuple[ClientKey, ...]:
        """A row for each key of the settings that has none, so that what it uses is remembered; theirs."""
        wanted = {digest.hex(): digest for digest in digests}
        query = sa.select(client_keys).where(client_keys.c.digest.in_([*wanted])).order_by(client_keys.c.id)
        rows = await self._read(query)
        if len(rows) < len(wanted):
            async with self._changing() as connection:
                names = set((await connection.execute(_NAMES_IN_USE)).scalars())
                known = {row["digest"] for row in (await connection.execute(query)).mappings()}
                missing = [
                    self._row_of(name_of(digest), digest, {"is_declared": True, "may_choose_account": True})
                    for text, digest in wanted.items()
                    if text not in known and name_of(digest) not in names
                ]
                if missing:
                    await connection.execute(sa.insert(client_keys), missing)
                await tell(connection, "keys", [])
            rows = await self._read(query)
        return tuple(map(_key_of, rows))

    async def adopt_of_hosts(
        self, keys: Iterable[ClientKey], is_in_force: Callable[[bytes], bool]
    ) -> tuple[ClientKey, ...]:
        """The same for keys that stand in the files of domains. Where one has taken another's place in its
        file it gets that one's row: limits and what was used stay.

        `is_in_force`: whether a digest still stands somewhere, so that its row is not to be had."""
        wanted = {key.digest.hex(): key for key in keys}
        query = sa.select(client_keys).where(client_keys.c.digest.in_([*wanted])).order_by(client_keys.c.id)
        async with self._changing() as connection:
            known = {row["digest"] for row in (await connection.execute(query)).mappings()}
            named = sa.select(client_keys).where(client_keys.c.revoked_at.is_(None))
            rows = (await connection.execute(named)).mappings()
            by_name: dict[str, dict[str, Any]] = {row["name"]: {**row} for row in rows}
            for text, key in wanted.items():
                if text in known:
                    continue
                old = by_name.get(key.name)
                name = key.name if old is None else f"{key.name}-{text[:8]}"
                if old is not None and old["declared"] and not is_in_force(bytes.fromhex(old["digest"])):
                    await self._update(connection, old["id"], {"digest": text})
                    by_name[key.name] = {**old, "digest": text}
                elif name not in by_name:
                    by_name[name] = self._row_of(name, key.digest, {"is_declared": True})
                    await connection.execute(sa.insert(client_keys), by_name[name])
            await tell(connection, "keys", [])
        return tuple(map(_key_of, await self._read(query)))

    async def take(
        self, keys: Mapping[bytes, tuple[str, Mapping[str, Any]]], *, change: Change | None = None
    ) -> tuple[ClientKey, ...]:
        """Keys that were given out elsewhere, by digest, each with its name: all of them or none. One that
        stood in the settings and does no more opens by itself from now on. Raises Conflict for a taken name
        or key."""
        texts = {digest.hex(): digest for digest in keys}
        names = [name for name, _ in keys.values()]
        these = sa.select(client_keys).where(client_keys.c.digest.in_([*texts])).order_by(client_keys.c.id)
        taken = _NAMES_IN_USE.where(client_keys.c.name.in_(names))
        async with self._changing(change) as connection:
            rows = {row["digest"]: row for row in (await connection.execute(these)).mappings()}
            in_use = set((await connection.execute(taken)).scalars())
            new = []
            for text, digest in texts.items():
                name, fields = keys[digest]
                row = rows.get(text)
                if (row is None or row["name"] != name) and name in in_use:
                    raise _taken_name(name)
                if row is not None and not row["declared"]:
                    raise _known(row)
                if row is not None:
                    values = _values({**fields, "is_declared": False, "name": name})
                    await self._update(connection, row["id"], values)
                else:
                    new.append(self._row_of(name, digest, fields))
                in_use.add(name)
            if new:  # thousands, and everybody else who writes waits
                await connection.execute(sa.insert(client_keys), new)
            await tell(connection, "keys", [])
            kept = (await connection.execute(these)).mappings().all()
        return tuple(map(_key_of, kept))

    async def _read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        async with self._database.read() as connection:
            rows: Sequence[sa.RowMapping] = (await connection.execute(query)).mappings().all()
        return rows

    async def change(
        self,
        name: str,
        wanted: Callable[[ClientKey], Mapping[str, Any]],
        *,
        version: int | None = None,
        change: Change | None = None,
    ) -> ClientKey:
        """`wanted`: the fields that become others, told the key as it is until then. `version`: the one that
        the owner has seen. Raises NotFound, ChangedMeanwhile, and Conflict for a taken name."""
        async with self._changing(change) as connection:
            row = await _row(connection, name, version)
            fields = wanted(_key_of(row))
            if fields.get("name", name) != name:
                await _refuse_taken_name(connection, fields["name"])
            return await self._update(connection, row["id"], _values(fields))

    async def rotate(
        self,
        name: str,
        secret: str,
        *,
        overlap_seconds: float,
        version: int | None = None,
        change: Change | None = None,
    ) -> ClientKey:
        """Another key under the same name; the one from before opens for `overlap_seconds` more."""
        async with self._changing(change) as connection:
            row = await _row(connection, name, version)
            await _refuse_known(connection, digest_of(secret))
            until = int((self._clock.now() + overlap_seconds) * 1000) if overlap_seconds else None
            values = {
                "digest": digest_of(secret).hex(),
                "beginning": beginning_of(secret),
                "previous_digest": row["digest"] if until is not None else None,
                "previous_until": until,
            }
            return await self._update(connection, row["id"], values)

    async def revoke(
        self, name: str, *, version: int | None = None, change: Change | None = None
    ) -> ClientKey:
        """For ever, the key from before a rotation too. Its row stays: history names it."""
        async with self._changing(change) as connection:
            row = await _row(connection, name, version)
            values = {
                "revoked_at": int(self._clock.now() * 1000),
                "previous_digest": None,
                "previous_until": None,
            }
            return await self._update(connection, row["id"], values)

    async def note_first_use(self, key_id: int, at: float) -> ClientKey | None:
        """The first one counts, whoever saw it. None: there is no such key."""
        async with self._database.write() as connection:
            unused = (client_keys.c.id == key_id) & client_keys.c.first_used_at.is_(None)
            values = {"first_used_at": int(at * 1000)}
            await connection.execute(sa.update(client_keys).where(unused).values(values))
            found = await connection.execute(sa.select(client_keys).where(client_keys.c.id == key_id))
            row = found.mappings().one_or_none()
            await tell(connection, "keys", [key_id])
        return None if row is None else _key_of(row)

    @asynccontextmanager
    async def _changing(self, change: Change | None = None) -> AsyncIterator[AsyncConnection]:
        async with self._database.write(durable=True, change=change) as connection:
            await lock_client_keys(connection)
            yield connection

    async def _insert(
        self, name: str, digest: bytes, fields: Mapping[str, Any], change: Change | None
    ) -> ClientKey:
        async with self._changing(change) as connection:
            await _refuse_taken_name(connection, name)
            await _refuse_known(connection, digest)
            await connection.execute(sa.insert(client_keys).values(self._row_of(name, digest, fields)))
            row = await _row(connection, name, None)
            await tell(connection, "keys", [row["id"]])
        return _key_of(row)

    def _row_of(self, name: str, digest: bytes, fields: Mapping[str, Any]) -> dict[str, Any]:
        now_ms = int(self._clock.now() * 1000)
        return {
            **{column: [] for column in _LISTS},
            **{"note": "", "owner": "", "beginning": "", "limits": {}},
            **{"enabled": True, "may_choose_account": False, "declared": False},
            **_values(fields),
            **{
                "name": name,
                "digest": digest.hex(),
                "version": 1,
                "created_at": now_ms,
                "updated_at": now_ms,
            },
        }

    async def _update(self, connection: AsyncConnection, key_id: int, values: Mapping[str, Any]) -> ClientKey:
        this = client_keys.c.id == key_id
        more = {"version": client_keys.c.version + 1, "updated_at": int(self._clock.now() * 1000)}
        await connection.execute(sa.update(client_keys).where(this).values({**values, **more}))
        await tell(connection, "keys", [key_id])
        changed = await connection.execute(sa.select(client_keys).where(this))
        return _key_of(changed.mappings().one())


async def follow_rename(connection: AsyncConnection, old: str, new: str) -> None:
    """Keys that are bound to an account by its name stay bound to it."""
    found = await connection.execute(sa.select(client_keys.c.id, client_keys.c.accounts))
    bound = {row.id: row.accounts for row in found if old in row.accounts}
    for key_id, names in bound.items():
        renamed = [new if name == old else name for name in names]
        await connection.execute(
            sa.update(client_keys).where(client_keys.c.id == key_id).values(accounts=renamed)
        )
    if bound:
        await tell(connection, "keys", [*bound])


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Columns, times in milliseconds."""
    values: dict[str, Any] = {}
    for field, value in fields.items():
        if isinstance(value, Limits):
            value = value.to_json()
        if field in _TIMES and value is not None:
            value = int(value * 1000)
        values[_COLUMNS.get(field, field)] = [*value] if field in _LISTS else value
    return values


def _key_of(row: sa.RowMapping) -> ClientKey:
    plain = ("id", "name", "beginning", "note", "owner", "days_from_first_use", "domain", "version")
    fields: dict[str, Any] = {name: row[name] for name in plain}
    fields |= {name: None if row[name] is None else row[name] / 1000 for name in _TIMES}
    fields |= {name: tuple(row[name]) for name in _LISTS}
    previous = row["previous_digest"]
    return ClientKey(
        **fields,
        digest=bytes.fromhex(row["digest"]),
        previous_digest=None if previous is None else bytes.fromhex(previous),
        limits=Limits.from_json(row["limits"]),
        is_enabled=row["enabled"],
        is_declared=row["declared"],
        may_choose_account=row["may_choose_account"],
        created_at=row["created_at"] / 1000,
    )


async def _row(connection: AsyncConnection, name: str, version: int | None) -> sa.RowMapping:
    this = (client_keys.c.name == name) & client_keys.c.revoked_at.is_(None)
    found = await connection.execute(sa.select(client_keys).where(this))
    if (row := found.mappings().one_or_none()) is None:
        raise NotFound(f"No client key is called {name}.", hint="`headgate key list` names them.")
    if version is not None and row["version"] != version:
        raise ChangedMeanwhile(
            f"The client key {name} was changed meanwhile: it is at version {row['version']}, not {version}",
            hint="Look at it again (`headgate key show`), then repeat the change.",
        )
    return row


async def _refuse_taken_name(connection: AsyncConnection, name: str) -> None:
    taken = sa.select(client_keys.c.id).where(client_keys.c.name == name, client_keys.c.revoked_at.is_(None))
    if (await connection.execute(taken)).first() is not None:
        raise _taken_name(name)


def _taken_name(name: str) -> Conflict:
    return Conflict(f"A client key is already called {name}.", hint="Choose another name.")


async def _refuse_known(connection: AsyncConnection, digest: bytes) -> None:
    same = sa.select(client_keys.c.name, client_keys.c.revoked_at).where(client_keys.c.digest == digest.hex())
    if (row := (await connection.execute(same)).mappings().first()) is not None:
        raise _known(row)


def _known(row: sa.RowMapping) -> Conflict:
    name = row["name"]
    if row["revoked_at"] is not None:
        return Conflict(
            f"The same key was there, as {name}, and was revoked.", hint="Make a new one; it stays closed."
        )
    return Conflict(f"The same key is already there, as {name}.", hint=f"headgate key show {name}")
