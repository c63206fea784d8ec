"""Another system's requests into our own history: once each, a piece at a time, behind what is recorded.

Rows are known by their id, so a second time adds nothing. Their `seq` lies below every recorded one: a live
view, which follows the order of recording, is not flooded with the past.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock
from headgate.dialects.usage import Usage
from headgate.moving.found import FoundAccount, History, PastRequest
from headgate.pricing.prices import PriceTable
from headgate.storage.database import Database
from headgate.storage.partitions import dated, make_months
from headgate.storage.prices import PriceStore
from headgate.storage.rollups import add_rollups
from headgate.storage.schema import accounts, attempts, requests
from headgate.wire.user_agents import client_of

PIECE = 500
"""Requests in one transaction: some ten milliseconds, during which the recorder waits."""

_LOCK = 0x6865_6164
"""PostgreSQL's advisory lock: one import at a time."""


@dataclass(slots=True)
class Moved:
    added: int = 0
    there: int = 0
    """Known by their id already."""
    older: int = 0
    """Than what is kept: they would be deleted at once."""

    @property
    def seen(self) -> int:
        return self.added + self.there + self.older


@dataclass(frozen=True, slots=True)
class Accounts:
    """How their accounts are found among ours."""

    names: Mapping[str, str]
    """Our name by their key; what is missing did not come along."""
    providers: Mapping[str, str]
    """By their key."""

    @classmethod
    def of(cls, taken: Sequence[FoundAccount], here_as: Mapping[str, str], absent: set[str]) -> "Accounts":
        """`taken` under their fitted names; `here_as`: what they are called here instead."""
        return cls(
            {one.key: here_as.get(one.name, one.name) for one in taken if one.name not in absent},
            {one.key: one.provider for one in taken},
        )


@dataclass(frozen=True, slots=True)
class _Here:
    """What rows are made with."""

    ids: Mapping[str, int]
    """Of our accounts, by name."""
    prices: PriceTable


async def add_history(
    database: Database,
    history: History,
    theirs: Accounts,
    *,
    moved: Moved,
    clock: Clock,
    since_ms: int,
    writes: bool,
    gently: bool,
    tell: Callable[[Moved], None],
) -> None:
    """Counts into `moved`. Raises ForeignDataUnreadable and StorageError: what was added until then stays,
    and a second run goes on.

    `since_ms`: what began earlier is left out. `gently`: a gateway is at work on this database, so every
    other moment is left to its recorder.
    """
    prices = PriceStore(database, clock)
    await prices.load()
    here = _Here(await _ids_by_name(database), prices.prices.table)
    async for batch in history.batches(PIECE):
        began = clock.monotonic()
        kept = [one for one in batch if one.at_ms >= since_ms]
        moved.older += len(batch) - len(kept)
        await _add(database, kept, theirs, here, moved, writes=writes)
        tell(moved)
        if writes and gently:
            await asyncio.sleep(clock.monotonic() - began)


async def _ids_by_name(database: Database) -> dict[str, int]:
    async with database.read() as connection:
        found = await connection.execute(sa.select(accounts.c.name, accounts.c.id))
        return {row.name: row.id for row in found}


async def _add(
    database: Database,
    batch: list[PastRequest],
    theirs: Accounts,
    here: _Here,
    moved: Moved,
    *,
    writes: bool,
) -> None:
    by_id = {one.id: one for one in batch}
    async with database.write() if writes else database.read() as connection:
        if writes and connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        known = sa.select(requests.c.id).where(requests.c.id.in_(list(by_id)))
        there = set((await connection.execute(known)).scalars())
        new = [one for request_id, one in by_id.items() if request_id not in there]
        if writes and new:
            await make_months(connection, [one.at_ms for one in new])
            await _insert(connection, new, theirs, here)
    moved.added += len(new)
    moved.there += len(batch) - len(new)


async def _insert(connection: AsyncConnection, new: list[PastRequest], theirs: Accounts, here: _Here) -> None:
    lowest = (await connection.execute(sa.select(sa.func.min(requests.c.seq)))).scalar() or 0
    first = min(lowest, 0) - len(new)
    rows = [
        {"seq": first + place, **_row(one, theirs, here)}
        for place, one in enumerate(sorted(new, key=lambda one: one.at_ms))
    ]
    await connection.execute(sa.insert(requests), rows)
    await add_rollups(connection, rows)
    by_id = {row["id"]: row for row in rows}
    told = [
        _attempt(one, row) for one in new if one.reason and (row := by_id[one.id])["account_id"] is not None
    ]
    if told:
        await connection.execute(sa.insert(attempts), dated(connection, told, rows))


def _row(one: PastRequest, theirs: Accounts, here: _Here) -> dict[str, Any]:
    key = one.account_key or ""
    ours = theirs.names.get(key)
    provider = theirs.providers.get(key) or one.provider or "anthropic"
    usage = Usage(one.input_tokens, one.output_tokens, one.cache_read_tokens, one.cache_write_tokens)
    return {
        "id": one.id,
        "timestamp": one.at_ms,
        "dialect": "openai" if "/responses" in one.path or "/chat/" in one.path else "anthropic",
        "provider": provider,
        "method": one.method,
        "path": one.path,
        "caller": one.caller,
        "client_address": "",
        "user_agent": one.user_agent,
        "client": client_of(one.user_agent),
        "project": None,
        "session": one.session,
        "model": one.model,
        "stream": one.stream,
        "account_id": None if ours is None else here.ids.get(ours),
        "account": ours or one.account_name or one.account_key,
        "status": one.status,
        "error": one.error,
        "first_byte_ms": one.first_byte_ms,
        "duration_ms": one.duration_ms,
        "overhead_ms": 0.0,
        "request_bytes": 0,
        "response_bytes": 0,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "cache_read_tokens": one.cache_read_tokens,
        # Theirs are not told apart by how long they are kept; five minutes is what a provider does unasked.
        "cache_write_5m_tokens": one.cache_write_tokens,
        "cache_write_1h_tokens": None,
        "provider_request_id": None,
        "key_id": None,
        "reasoning_tokens": None,
        "service_tier": None,
        "tool_calls": None,
        # What their books do not know costs what it would today.
        "nano_usd": one.nano_usd or here.prices.known_cost_of(provider, one.model, usage),
    }


def _attempt(one: PastRequest, row: Mapping[str, Any]) -> dict[str, Any]:
    """So that a request shows why it failed."""
    return {
        "request_id": one.id,
        "position": 0,
        "account_id": row["account_id"],
        "account": row["account"],
        "started_ms": 0.0,
        "duration_ms": one.duration_ms,
        "status": one.status,
        "error": one.error,
        "reason": one.reason,
        "until_at": None,
    }
