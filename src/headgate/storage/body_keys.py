"""The keys that bodies are sealed with: made at random, kept sealed by the key of the accounts.

So a change of that key (`rotation.py`) seals a few bytes anew and not gigabytes, and whoever loses it loses
the bodies. From each key three others are made, so that none is used for two purposes.
"""

import hashlib
import hmac
import os
from functools import cached_property

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.errors import SecretUnreadable
from headgate.storage.database import Database
from headgate.storage.locks import Lock, lock_accounts
from headgate.storage.schema import body_keys
from headgate.storage.secrets import SecretBox

NONCE_BYTES = 12
_KEY_BYTES = 32
_WORD_BYTES = 8


class BodyKey:
    """AES-256-GCM for bodies in the journal and in the database, and a keyed hash of words."""

    def __init__(self, key_id: int, key: bytes) -> None:
        self.id = key_id
        self._key = key

    @cached_property
    def journal(self) -> AESGCM:
        return AESGCM(self._derived(b"journal"))

    @cached_property
    def _stored(self) -> AESGCM:
        return AESGCM(self._derived(b"stored"))

    @cached_property
    def _words(self) -> bytes:
        return self._derived(b"words")

    def seal(self, body: bytes, *, of: str) -> bytes:
        """`of` says whose it is: only there it opens."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._stored.encrypt(nonce, body, of.encode())

    def open(self, data: bytes, *, of: str) -> bytes:
        """Raises `cryptography.exceptions.InvalidTag`."""
        return self._stored.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], of.encode())

    def token(self, word: str) -> int:
        """What stands for a word in the index: 64 bits, signed, by which nobody without the key knows it."""
        digest = hashlib.blake2b(word.encode(), digest_size=_WORD_BYTES, key=self._words).digest()
        return int.from_bytes(digest, "big", signed=True)

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.new(self._key, b"headgate bodies " + purpose, hashlib.sha256).digest()


class BodyKeys:
    """Of one database, as far as the key in force opens them."""

    def __init__(self, database: Database, box: SecretBox, clock: Clock) -> None:
        self._database = database
        self._box = box
        self._clock = clock
        self._known: dict[int, BodyKey] = {}
        self._closed: set[int] = set()

    async def current(self) -> BodyKey | None:
        """That new bodies are sealed with: the newest that opens, else a new one. None: the key of the
        accounts is missing."""
        if not self._box.has_key:
            return None
        if opens := await self.all():
            return opens[-1]
        async with self._database.write(durable=True) as connection:
            await lock_accounts(connection, Lock.CHANGE)  # nobody changes the key that seals, nor makes one
            if opens := await self._all(connection):
                return opens[-1]
            new = os.urandom(_KEY_BYTES)
            values = {"sealed": self._box.seal(new.hex()), "created_at": round(self._clock.now() * 1000)}
            made = await connection.execute(sa.insert(body_keys).values(values))
            key_id = made.inserted_primary_key
        assert key_id is not None
        return self._known.setdefault(key_id[0], BodyKey(key_id[0], new))

    async def get(self, key_id: int) -> BodyKey | None:
        """None: it is gone, or the key in force does not open it."""
        if key_id in self._known or key_id in self._closed:
            return self._known.get(key_id)
        async with self._database.read() as connection:
            sealed = (
                await connection.execute(sa.select(body_keys.c.sealed).where(body_keys.c.id == key_id))
            ).scalar()
        if sealed is None or self._opened(key_id, sealed) is None:
            self._closed.add(key_id)  # it stays closed until the next life: a key put back wants a restart
        return self._known.get(key_id)

    async def all(self) -> list[BodyKey]:
        """Those that open, the newest last."""
        async with self._database.read() as connection:
            return await self._all(connection)

    async def _all(self, connection: AsyncConnection) -> list[BodyKey]:
        rows = (await connection.execute(sa.select(body_keys).order_by(body_keys.c.id))).all()
        return [key for row in rows if (key := self._opened(row.id, row.sealed)) is not None]

    def _opened(self, key_id: int, sealed: str) -> BodyKey | None:
        if key_id not in self._known:
            try:
                opened = bytes.fromhex(self._box.open(sealed, of="the key of kept bodies"))
            except (SecretUnreadable, ValueError):
                return None
            self._known[key_id] = BodyKey(key_id, opened)
        return self._known[key_id]


async def seal_anew(connection: AsyncConnection, box: SecretBox) -> None:
    """With the key in front; what no key opens stays as it is."""
    for row in (await connection.execute(sa.select(body_keys))).all():
        try:
            sealed = box.seal(box.open(row.sealed))
        except SecretUnreadable:
            continue
        await connection.execute(sa.update(body_keys).where(body_keys.c.id == row.id).values(sealed=sealed))
