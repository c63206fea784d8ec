"""Prices with the time in which they hold, and the table that this process goes by.

A list that is taken again ends what it no longer says and begins what is new; what it says as before stays.
So a request's cost can be explained by the prices of its day, long after they changed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.pricing.prices import Listed, Prices, shipped, table_of
from headgate.storage.database import Database, insert
from headgate.storage.news import tell
from headgate.storage.schema import price_lists, prices

_LOCK = 0x7072_6963
"""PostgreSQL's advisory lock: one list is taken at a time."""
_PIECE = 500
_IN_FORCE = prices.c.valid_until.is_(None)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a list changed."""

    begun: int
    ended: int


class PriceStore:
    def __init__(self, database: Database, clock: Clock, own: Iterable[Listed] = ()) -> None:
        """`own`: of the settings; they come before everything that is kept."""
        self.own = list(own)
        self._kept: list[Listed] = []
        self.prices = Prices()
        """As of the last `load`."""
        self._database = database
        self._clock = clock

    async def load(self) -> None:
        """What is kept now is in force here from now on."""
        self._kept = await self.in_force()
        self.use_own(self.own)

    def use_own(self, own: Iterable[Listed]) -> None:
        """Other prices of the owner's, with what was kept at the last look."""
        self.own = list(own)
        self.prices.table = table_of(self.own, self._kept)

    async def in_force(self) -> list[Listed]:
        columns = (prices.c.origin, prices.c.provider, prices.c.model, prices.c.rates, prices.c.source)
        query = sa.select(*columns, prices.c.valid_from).where(_IN_FORCE).order_by(prices.c.id)
        async with self._database.read() as connection:
            return [Listed(*row) for row in await connection.execute(query)]

    async def past(self, model: str) -> list[dict[str, Any]]:
        """All that the lists ever said of a model, the newest first."""
        query = (
            sa.select(prices).where(prices.c.model == model).order_by(prices.c.valid_from.desc(), prices.c.id)
        )
        async with self._database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def take_shipped(self) -> Taken:
        """The list that this version of the program has."""
        return await self.take("shipped", shipped())

    async def take(self, origin: str, listed: Sequence[Listed]) -> Taken:
        """All of it, instead of what was taken of this origin before; nothing, where nothing differs."""
        wanted = {(one.provider, one.model): one for one in listed}
        if not await self._differs(origin, wanted):
            return Taken(0, 0)
        now_ms = round(self._clock.now() * 1000)
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            kept = await _kept(connection, origin)
            ended = [id_ for at, (id_, said) in kept.items() if at not in wanted or said != _said(wanted[at])]
            begun = [one for at, one in wanted.items() if at not in kept or kept[at][1] != _said(one)]
            for start in range(0, len(ended), _PIECE):
                these = prices.c.id.in_(ended[start : start + _PIECE])
                await connection.execute(sa.update(prices).where(these).values(valid_until=now_ms))
            if begun:
                await connection.execute(
                    insert(connection, prices), [_row(one, origin, now_ms) for one in begun]
                )
            await tell(connection, "prices", [])
        return Taken(len(begun), len(ended))

    async def _differs(self, origin: str, wanted: dict[tuple[str, str], Listed]) -> bool:
        async with self._database.read() as connection:
            kept = await _kept(connection, origin)
        return {at: said for at, (_, said) in kept.items()} != {at: _said(one) for at, one in wanted.items()}

    # ---- lists that are fetched ------------------------------------------------------------------

    async def claim(self, url: str, *, not_since_ms: int) -> bool:
        """Whether it is this gateway's turn to fetch: nobody has tried since then."""
        now_ms = round(self._clock.now() * 1000)
        async with self._database.write() as connection:
            new = insert(connection, price_lists).on_conflict_do_nothing()
            made = await connection.execute(new, [{"url": _named(url), "tried_at": now_ms}])
            if made.rowcount == 1:
                return True
            mine = await connection.execute(
                sa.update(price_lists)
                .where(price_lists.c.url == _named(url), price_lists.c.tried_at <= not_since_ms)
                .values(tried_at=now_ms)
            )
            return mine.rowcount == 1

    async def note(self, url: str, *, models: int | None = None, failure: str | None = None) -> None:
        """What came of it. What was taken before stays said beside a failure."""
        values: dict[str, Any] = {"failure": failure}
        if failure is None:
            values |= {"taken_at": round(self._clock.now() * 1000), "models": models}
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(price_lists).where(price_lists.c.url == _named(url)).values(**values)
            )

    async def fetched(self, url: str) -> dict[str, Any] | None:
        """When the list was asked for last, and what came of it; None: never."""
        query = sa.select(price_lists).where(price_lists.c.url == _named(url))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else dict(row)


def _named(url: str) -> str:
    """A query may hold a secret, which is kept as a digest only."""
    address, mark, query = url.partition("?")
    return address + mark + hashlib.sha256(query.encode()).hexdigest()[:16] if mark else address


async def _kept(
    connection: AsyncConnection, origin: str
) -> dict[tuple[str, str], tuple[int, tuple[dict[str, Any], str]]]:
    """By provider and model: the row's id, and what it says."""
    query = sa.select(prices).where(_IN_FORCE, prices.c.origin == origin)
    rows = (await connection.execute(query)).mappings()
    return {(row["provider"], row["model"]): (row["id"], (row["rates"], row["source"])) for row in rows}


def _said(one: Listed) -> tuple[dict[str, Any], str]:
    return dict(one.rates), one.source


def _row(one: Listed, origin: str, now_ms: int) -> dict[str, Any]:
    return {
        "origin": origin,
        "provider": one.provider,
        "model": one.model,
        "rates": dict(one.rates),
        "source": one.source,
        "valid_from": now_ms,
    }
