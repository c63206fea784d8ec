"""Whether the roll-ups say what the requests say, to the last number: a day at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.rollup_rebuild import SELECTS, folded
from headgate.storage.rollup_tables import BY_CLIENT, DAY, FINER, LAYOUT, OTHERS
from headgate.storage.schema import requests

MOST_NAMED = 10
_DAY_MS = DAY * 1000


async def differing_days(connection: AsyncConnection) -> list[str]:
    """In words, the newest first. The day of the oldest request is left out: part of it may be gone already.

    Each comparison is one statement, so a recorder that goes on writing makes no difference.
    """
    if connection.dialect.name == "postgresql":
        # To compile statements of eighty sums takes it a second each, many times what they run for.
        await connection.exec_driver_sql("SET LOCAL jit = off")
    oldest = (await connection.execute(sa.select(sa.func.min(requests.c.timestamp)))).scalar()
    at = (await connection.execute(sa.select(sa.func.max(requests.c.timestamp)))).scalar()
    found: list[str] = []
    while oldest is not None and at is not None and at // _DAY_MS > oldest // _DAY_MS:
        day = at // _DAY_MS * _DAY_MS
        for table in LAYOUT:
            if len(found) < MOST_NAMED and await _differs(connection, table, day):
                date = datetime.fromtimestamp(day / 1000, UTC).strftime("%Y-%m-%d")
                found.append(f"roll-ups: {table} of {date} is not what its requests say")
        before = sa.select(sa.func.max(requests.c.timestamp)).where(requests.c.timestamp < day)
        at = (await connection.execute(before)).scalar()
    return found


async def _differs(connection: AsyncConnection, table: str, day: int) -> bool:
    by, counts = LAYOUT[table]
    its = f"resolution = {DAY} AND at = {day}"
    columns = ", ".join((*by, *counts))
    stored = f"SELECT {columns} FROM {table} WHERE {its} AND by_key = {BY_CLIENT}"
    made = SELECTS[table](DAY, day, day + _DAY_MS, connection.dialect.name)
    with_others = []
    for kind, word in OTHERS.items():
        others = f"SELECT 1 FROM rollups WHERE {its} AND by_key = {BY_CLIENT} AND {kind} = '{word}' LIMIT 1"
        if (await connection.exec_driver_sql(others)).first() is not None:
            with_others.append(kind)
    if with_others:
        made, stored = (_over_names(one, by, counts, with_others) for one in (made, stored))
    pairs = [(made, stored), (stored, made)]
    for family in FINER:
        there = f"SELECT {columns} FROM {table} WHERE {its} AND by_key = {family}"
        of_finer = folded(table, DAY, day, day + _DAY_MS, family)
        pairs += [(of_finer, there), (there, of_finer)]
    for one, other in pairs:
        rest = f"SELECT * FROM ({one}) AS one EXCEPT SELECT * FROM ({other}) AS other"
        differing = await connection.exec_driver_sql(f"SELECT 1 FROM ({rest}) AS rest LIMIT 1")
        if differing.first() is not None:
            return True
    return False


def _over_names(select: str, by: Sequence[str], counts: Sequence[str], kinds: Sequence[str]) -> str:
    """On a day that had too many of them, the requests know more than the sums."""
    groups = ", ".join(name for name in by if name not in kinds)
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in counts)
    named = f"WITH of_names ({', '.join((*by, *counts))}) AS ({select})"
    return f"{named} SELECT {groups}, {sums} FROM of_names GROUP BY {groups}"
