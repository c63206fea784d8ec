"""What one gateway changes, told to the others on the same database (PostgreSQL's LISTEN and NOTIFY).

News are part of the transaction that makes them: who hears them finds the change in the tables. They say
what to look at, never how it is: late, repeated and lost ones do no harm. After a gap all is looked at.
On SQLite a gateway is alone, and nothing is told.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import Database, driver_errors

if TYPE_CHECKING:
    import asyncpg

_CHANNEL = "headgate"
_MOST_IDS = 500
"""A notification holds 8000 bytes; who changes more says that everything is to be looked at."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0

_log = logging.getLogger("headgate.storage")

News = dict[str, list[int]]
"""Ids, of accounts (`accounts`, `health`, `resumed`) or client keys (`keys`, `spending`,
`slices`); empty: all. `prices` has none."""


async def tell(connection: AsyncConnection, what: str, ids: Sequence[int]) -> None:
    """Heard when the transaction commits."""
    if connection.dialect.name == "postgresql":
        news = json.dumps({what: list(ids) if len(ids) <= _MOST_IDS else []})
        await connection.execute(sa.select(sa.func.pg_notify(_CHANNEL, news)))


class NewsListener:
    """Keeps one connection of the database for it, and gets another when that is lost."""

    def __init__(
        self, database: Database, *, on_news: Callable[[News], None], on_gap: Callable[[], None]
    ) -> None:
        """`on_gap` is called whenever news may have been missed, also at the beginning."""
        self._database = database
        self._on_news = on_news
        self._on_gap = on_gap

    async def run(self) -> None:
        """Until it is cancelled. A database that is away is told by others; here it is waited for."""
        if self._database.dialect != "postgresql":
            return
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._listen()
                pause = _FIRST_PAUSE_SECONDS
            except driver_errors() as error:
                _log.debug("No news from the database: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> None:
        """Returns when the connection is lost."""
        async with self._database.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            lost = asyncio.Event()
            driver.add_termination_listener(lambda _: lost.set())
            try:
                await driver.add_listener(_CHANNEL, self._heard)
                self._on_gap()
                await lost.wait()
            finally:
                # Not back to the pool: it listens.
                with suppress(*driver_errors()):
                    await connection.invalidate()

    def _heard(self, _: "asyncpg.Connection[Any]", pid: int, channel: str, payload: str) -> None:
        """Raises nothing: a payload that does not read is another version's."""
        try:
            news = json.loads(payload)
        except ValueError:
            return
        if isinstance(news, dict):
            self._on_news({what: ids for what, ids in news.items() if _are_ids(ids)})


def _are_ids(ids: object) -> bool:
    return isinstance(ids, list) and all(isinstance(one, int) for one in ids)
