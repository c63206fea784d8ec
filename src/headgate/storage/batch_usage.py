"""What the results of a batch used, counted once: however often and by whom they are fetched.

The row of the batch in `objects` remembers what was counted of it, by model. A download that brings more than
that adds what is more, in the transaction of its own row: a crash leaves both or neither. So half a download
is counted as half, and the whole one after it as the other half.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.dialects.batch_results import TIER
from headgate.dialects.parts import joined, on_top, parts_from_json, parts_to_json, sum_of
from headgate.dialects.usage import Part, Usage
from headgate.pricing.prices import PriceTable
from headgate.storage.bulk import insert_new
from headgate.storage.database import Database
from headgate.storage.schema import objects
from headgate.storage.sums import usage_columns

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Results that a request brought."""

    row: Row
    """Of the request, without usage."""
    batch_id: str
    usage: Usage
    """Of all of them."""


async def count_results(
    connection: AsyncConnection, fetched: Iterable[Fetched], prices: PriceTable
) -> list[Row]:
    """Writes into each row what is new, and gives the rows of further models: a row is of one."""
    others: list[Row] = []
    counted = await _lock(connection, {one.batch_id for one in fetched})
    before = dict(counted)
    for one in fetched:
        known = counted[one.batch_id]
        parts = one.usage.parts or ()
        counted[one.batch_id] = joined(parts, known)
        others += _fill(one, on_top(parts, known), prices)
    changed = [
        {"its_id": batch_id, "its_parts": parts_to_json(parts)}
        for batch_id, parts in sorted(counted.items())
        if parts != before[batch_id]
    ]
    if changed:
        this = sa.update(objects).where(objects.c.object_id == sa.bindparam("its_id"))
        await connection.execute(this.values(counted=sa.bindparam("its_parts")), changed)
    return others


async def _lock(connection: AsyncConnection, ids: set[str]) -> dict[str, tuple[Part, ...]]:
    """What was counted of each, which nobody else changes until the commit. The rows are there."""
    its = sa.select(objects.c.object_id, objects.c.counted).where(objects.c.object_id.in_(sorted(ids)))
    found = await connection.execute(its.order_by(objects.c.object_id).with_for_update())
    return {row.object_id: parts_from_json(row.counted or []) for row in found}


async def add_objects(connection: AsyncConnection, rows: Iterable[Row], fetched: Iterable[Fetched]) -> None:
    """`rows`: of `objects`, without those that results were fetched of: some may have been made elsewhere."""
    known = {row["object_id"]: row for row in rows}
    for one in fetched:
        place = {"account_id": one.row["account_id"] or 0, "at_ms": one.row["timestamp"]}
        known.setdefault(one.batch_id, {"object_id": one.batch_id, **place})
    await insert_new(connection, objects, sorted(known.values(), key=itemgetter("object_id")))


def _fill(fetched: Fetched, news: tuple[Part, ...], prices: PriceTable) -> list[Row]:
    row = fetched.row
    by_model: dict[str | None, list[Part]] = {}
    for part in news:
        by_model.setdefault(part.model, []).append(part)
    if not by_model:
        row |= {"service_tier": TIER, "other_usage": {"counted_before": fetched.usage.requests or 0}}
        return []
    of_models = []
    for number, (model, parts) in enumerate(by_model.items()):
        usage = sum_of(tuple(parts))
        requests = sum(part.usage.requests or 0 for part in parts)
        told = msgspec.structs.replace(usage, service_tier=TIER, requests=requests)
        of_models.append(
            {
                **row,
                "id": f"{row['id']}-{number + 1}" if number else row["id"],
                "model": model,
                "response_bytes": 0 if number else row["response_bytes"],
                "nano_usd": prices.known_cost_of(row["provider"], model, told, row["account"]),
                **usage_columns(msgspec.structs.replace(told, parts=None)),
            }
        )
    first, *others = of_models
    row.update(first)
    return others


class CountedResults:
    """What was counted of batches, for who starts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, limit: int) -> dict[str, tuple[Part, ...]]:
        """By batch, of the newest, oldest first."""
        newest = (
            sa.select(objects.c.object_id, objects.c.counted)
            .where(objects.c.counted.is_not(None))
            .order_by(objects.c.at_ms.desc(), objects.c.object_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).all()
        return {row.object_id: parts_from_json(row.counted) for row in reversed(rows)}
