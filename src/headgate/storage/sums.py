"""Counts that recorders add up beside each other, and that no nonsense of a provider makes overflow."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.dialects.batch_results import TIER
from headgate.dialects.parts import parts_from_json, parts_to_json
from headgate.dialects.usage import OTHERS, USUAL, Usage
from headgate.storage.database import insert
from headgate.storage.rollup_tables import MOST_NANO_USD, MOST_OF_ONE

MOST = 2**61
"""Of anything: a provider's nonsense must not keep a batch from being written."""

Row = Mapping[str, Any]

_told = itemgetter(*USUAL)

_MAX_INTEGER = 2**63 - 1
_NOT_TOLD = (None,) * len(OTHERS)


async def add_up(connection: AsyncConnection, table: sa.Table, rows: Iterable[Row]) -> None:
    """Add each row to the one of its primary key, which has several columns; every other one of the table is
    a count, and there are several."""
    at = [column.name for column in table.c if column.primary_key]
    counts = [column.name for column in table.c if not column.primary_key]
    key_of, counts_of = itemgetter(*at), itemgetter(*counts)
    found: defaultdict[tuple[Any, ...], list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(counts_of(row))
    if not found:
        return
    values = [
        dict(
            zip(
                (*at, *counts),
                (*key, *(min(MOST, sum(column)) for column in zip(*several, strict=True))),
                strict=True,
            )
        )
        # Every recorder in one order, or two would wait for each other.
        for key, several in sorted(found.items())
    ]
    adding = insert(connection, table)
    adding = adding.on_conflict_do_update(
        index_elements=at,
        set_={name: bounded_sum(table.c[name], adding.excluded[name]) for name in counts},
    )
    await connection.execute(adding, values)


def bounded_sum(one: Any, other: Any) -> Any:
    """Of two counts that are not beyond `MOST`, one that is not either."""
    return sa.case((one > MOST - other, MOST), else_=one + other)


def usage_of(row: Row) -> Usage:
    """Of a row of `requests`."""
    others = row["other_usage"]
    if not others:
        return Usage(*_told(row))
    told = {name: others[name] for name in OTHERS if name in others}
    if (parts := told.get("parts")) is not None:
        told["parts"] = parts_from_json(parts)
    return Usage(*_told(row), **told)


def usage_columns(usage: Usage) -> dict[str, Any]:
    """A count beyond 64 bits is a provider's nonsense: not said, rather than a record refused."""
    told = msgspec.structs.astuple(usage)
    usual, others, calls = told[: len(USUAL)], told[len(USUAL) : -1], told[-1]
    if others == _NOT_TOLD and max(filter(None, usual[:-1]), default=0) <= _MAX_INTEGER:
        return {**dict(zip(USUAL, usual, strict=True)), "other_usage": None, "tool_calls": calls}
    told = tuple(None if isinstance(one, int) and one > _MAX_INTEGER else one for one in told)
    by_name = dict(zip(Usage.__struct_fields__, told, strict=True))
    found = {name: one for name in OTHERS if (one := by_name.pop(name)) is not None}
    if usage.parts is not None:
        found["parts"] = parts_to_json(usage.parts)
    return {**by_name, "other_usage": found or None}


COUNTED = (
    *("requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("nano_usd", "unpriced"),
)


def counts_of(row: Row) -> tuple[int, ...]:
    """What one request, a row of `requests`, adds to every sum, by the names of `COUNTED`.

    The one reading of it: bounded, for a sum of nonsense must not overflow; cache writes of both lifetimes.
    """
    told_in, told_out = row["input_tokens"], row["output_tokens"]
    fresh, output, read = told_in or 0, told_out or 0, row["cache_read_tokens"] or 0
    written_5m, written_1h = row["cache_write_5m_tokens"] or 0, row["cache_write_1h_tokens"] or 0
    nano_usd = row["nano_usd"]
    has_failed = 1 if row["status"] >= 400 or row["error"] is not None else 0
    unpriced = 1 if nano_usd is None and (told_in is not None or told_out is not None) else 0
    if fresh + output + read + written_5m + written_1h > MOST_OF_ONE or (nano_usd or 0) > MOST_NANO_USD:
        fresh, output, read = (min(count, MOST_OF_ONE) for count in (fresh, output, read))
        written_5m, written_1h = min(written_5m, MOST_OF_ONE), min(written_1h, MOST_OF_ONE)
        nano_usd = min(nano_usd or 0, MOST_NANO_USD)
    return 1, has_failed, fresh, output, read, written_5m + written_1h, nano_usd or 0, unpriced


def is_of_a_batch(row: Row) -> bool:
    """Of a row of `requests`: it tells what a batch used, whose answers came at some other time."""
    return bool(row["service_tier"] == TIER)
