"""Messages that gateways have handed over once, by their hashes: what the recorder kept of each."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.bulk import put
from headgate.storage.database import Database
from headgate.storage.schema import spans

_AT_ONCE = 500
KEPT_MS = 7 * 86_400_000
"""A gateway takes a message for known for a day at most (`record/spans.py`), then hands it over again."""


async def facts_by_hash(connection: AsyncConnection, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Those that are known."""
    found: dict[bytes, bytes] = {}
    asked = list(hashes)
    for start in range(0, len(asked), _AT_ONCE):
        query = sa.select(spans.c.hash, spans.c.facts).where(
            spans.c.hash.in_(asked[start : start + _AT_ONCE])
        )
        found |= {row.hash: row.facts for row in await connection.execute(query)}
    return found


async def keep_facts(connection: AsyncConnection, facts: Mapping[bytes, bytes], seen_at: int) -> None:
    rows = [{"hash": key, "facts": facts[key], "seen_at": seen_at} for key in sorted(facts)]
    await put(connection, spans, rows)


async def forget_spans(database: Database, now_ms: int, *, most: int = 5_000) -> bool:
    """A piece of those that no gateway takes for known any more; whether there may be others."""
    old = sa.select(spans.c.hash).where(spans.c.seen_at < now_ms - KEPT_MS).limit(most)
    async with database.write() as connection:
        gone = await connection.execute(sa.delete(spans).where(spans.c.hash.in_(old)))
    return gone.rowcount >= most
