"""Client keys whose days are counted from their first use: when that was, written down."""

import asyncio
import dataclasses
import logging

from headgate.access.client_keys import ClientKey
from headgate.access.ring import KeyRing
from headgate.clock import Clock
from headgate.errors import StorageError
from headgate.storage.client_keys import KeyStore
from headgate.tasks import TaskGroup

_AGAIN_SECONDS = 1.0

_log = logging.getLogger("headgate.server")


class FirstUses:
    """In the ring at once, in the database in a moment: no request waits for that."""

    def __init__(self, store: KeyStore, clock: Clock, tasks: TaskGroup) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._unsaved: dict[int, float] = {}
        self.ring = KeyRing(on_first_use=self._note)

    def _note(self, key: ClientKey) -> None:
        at = self._clock.now()
        self.ring.put({key.id: dataclasses.replace(key, first_used_at=at)})
        self._unsaved[key.id] = at
        self._tasks.spawn(self._save(key.id, at), name="first use of a key")

    async def finish(self) -> None:
        """At a stop, when the tasks are cancelled: what they had no time for."""
        for key_id, at in list(self._unsaved.items()):
            try:
                await self._store.note_first_use(key_id, at)
            except StorageError as error:
                _log.warning("The first use of a client key is not written down: %s", error.message)

    async def _save(self, key_id: int, at: float) -> None:
        """As long as it takes: the days of the key have begun."""
        while True:
            try:
                self.ring.put({key_id: await self._store.note_first_use(key_id, at)})
                self._unsaved.pop(key_id, None)
                return
            except StorageError as error:
                _log.debug("The first use of a client key is not written down yet: %s", error.message)
            await asyncio.sleep(_AGAIN_SECONDS)
