"""What other gateways on the same database did, brought into this one's pool."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from headgate.access.client_keys import ClientKey
from headgate.access.gate import Gate
from headgate.access.ring import KeyRing
from headgate.assembly.stores import Stores
from headgate.clock import Clock
from headgate.errors import StorageError
from headgate.pool.pool import Pool
from headgate.storage.news import News, NewsListener
from headgate.tasks import TaskGroup

_AGAIN_SECONDS = 1.0

_log = logging.getLogger("headgate.accounts")


class Neighbours:
    """Looks where the news point to. Its own gateway's news are among them: they change nothing."""

    def __init__(
        self,
        stores: Stores,
        pool: Pool,
        ring: KeyRing,
        gate: Gate,
        clock: Clock,
        *,
        holder: str,
        changing: asyncio.Lock,
        on_keys: Callable[[], None],
        on_slices: Callable[[], None],
        on_prices: Callable[[], Awaitable[None]],
    ) -> None:
        """`changing` is held by whoever changes accounts or keys, in tables and here: what was read meanwhile
        would take that back. `on_keys`: other keys open now than a moment ago; `on_slices`: parts of
        limits may be others; `on_prices`: others hold."""
        self._stores = stores
        self._pool = pool
        self._ring = ring
        self._gate = gate
        self._clock = clock
        self._on_keys = on_keys
        self._on_slices = on_slices
        self._on_prices = on_prices
        self._holder = holder
        self._changing = changing
        self._listener = NewsListener(stores.database, on_news=self._note, on_gap=self._note_gap)
        self._pending: dict[str, set[int] | None] = {}
        """What to look at; None: at all."""
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        tasks = TaskGroup()
        try:
            tasks.spawn(self._listener.run(), name="news of the database")
            while True:
                await self._news.wait()
                self._news.clear()
                pending, self._pending = self._pending, {}
                try:
                    await self._look(pending)
                except StorageError as error:
                    _log.debug("Cannot see what changed: %s", error.message)
                    self._put_back(pending)
                    await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            await tasks.cancel()

    def _note(self, news: News) -> None:
        if news.pop("slices", None) is not None:
            self._on_slices()
        if not news:
            return
        for what, ids in news.items():
            known = self._pending.setdefault(what, set())
            self._pending[what] = None if known is None or not ids else known | set(ids)
        self._news.set()

    def _note_gap(self) -> None:
        self._note({"accounts": [], "health": [], "keys": [], "spending": [], "slices": [], "prices": []})

    def _put_back(self, pending: dict[str, set[int] | None]) -> None:
        for what, ids in pending.items():
            self._note({what: sorted(ids) if ids else []})

    async def _look(self, pending: dict[str, set[int] | None]) -> None:
        if "accounts" in pending:
            async with self._changing:
                await self._look_at_accounts(pending["accounts"])
        for account_id in pending.get("resumed") or ():
            if (living := self._pool.by_id(account_id)) is not None:
                self._pool.resume(living.account.name)
        if "health" in pending:
            await self._look_at_health(pending["health"])
        if "keys" in pending:
            async with self._changing:
                await self._look_at_keys(pending["keys"])
        if "prices" in pending:
            await self._on_prices()
        if "spending" in pending:
            self._gate.restore(await self._stores.spending.load(self._clock.now(), pending["spending"]))

    async def _look_at_accounts(self, ids: Iterable[int] | None) -> None:
        found = {account.id: account for account in await self._stores.accounts.list(ids)}
        if ids is None:
            self._pool.replace(found.values())
            return
        for account_id in ids:
            if account_id in found:
                self._pool.put(found[account_id])
            elif (living := self._pool.by_id(account_id)) is not None:
                self._pool.remove(living.account.name)

    async def _look_at_health(self, ids: Iterable[int] | None) -> None:
        for account_id, state in (await self._stores.health.load(ids)).items():
            if state.get("writer") != self._holder:
                self._pool.join_health(account_id, state)

    async def _look_at_keys(self, ids: Iterable[int] | None) -> None:
        keys = await self._stores.client_keys.list(ids)
        if ids is None:
            self._ring.replace(keys)
        else:
            found: dict[int, ClientKey | None] = dict.fromkeys(ids)
            self._ring.put({**found, **{key.id: key for key in keys}})
        self._on_keys()
        self._on_slices()  # of another limit there is more to take, or less to hold
