"""The hosts of the owner's files, brought to those who ask: the planner for accounts, the ring for keys."""

import asyncio
import logging
from collections.abc import Callable

from headgate.access.hosts import Doors
from headgate.access.ring import KeyRing
from headgate.errors import StorageError
from headgate.relay.plan import Planner
from headgate.sources.hosts import Hosts
from headgate.storage.client_keys import KeyStore
from headgate.tasks import TaskGroup

_AGAIN_SECONDS = 1.0

_log = logging.getLogger("headgate.server")


class FollowDoors:
    """Called with the hosts in force whenever a file has changed: from the next request on they count."""

    def __init__(
        self, planner: Planner, ring: KeyRing, store: KeyStore, tasks: TaskGroup, *, changing: asyncio.Lock
    ) -> None:
        """`changing` is held by whoever changes keys on the owner's word."""
        self._changing = changing
        self._planner = planner
        self._ring = ring
        self._store = store
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self.forget_heads: Callable[[], None] = lambda: None

    def __call__(self, hosts: Hosts | None, doors: Doors | None) -> None:
        self._planner.follow_hosts(hosts)
        self._ring.follow_doors(doors)
        self.forget_heads()
        if self._ring.without_row() and (self._task is None or self._task.done()):
            self._task = self._tasks.spawn(self._adopt(), name="client keys of domains")

    async def _adopt(self) -> None:
        """A row for each key, so that what it uses is remembered; they open before that."""
        while self._ring.without_row():
            try:
                async with self._changing:
                    keys = self._ring.without_row()
                    adopted = await self._store.adopt_of_hosts(keys, self._ring.is_in_force)
                    self._ring.put({key.id: key for key in adopted})
            except StorageError as error:
                _log.debug("What new client keys of domains use is not added up yet: %s", error.message)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            self.forget_heads()
            if not adopted:
                return
