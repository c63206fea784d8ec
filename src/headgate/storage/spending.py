"""What client keys have used: added up with the records of their requests, in one transaction with them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.limits import WINDOW_SECONDS, Spending, day_of, week_begin
from headgate.access.meter import tokens_of
from headgate.dialects.usage import Usage
from headgate.pricing.prices import PriceTable
from headgate.storage.database import Database, insert
from headgate.storage.news import tell
from headgate.storage.schema import key_days, key_windows
from headgate.storage.sums import MOST, Row, add_up, bounded_sum, is_of_a_batch, usage_of

_MOST_OF_A_DAY = 2**52
"""Nano-USD, four million dollars: what is beyond is a provider's nonsense, and no sum may overflow."""
_MEAN_DAYS = 7
"""Of them a key's next request is guessed after a start."""


class SpendingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, now: float, ids: Iterable[int] | None = None) -> dict[int, Spending]:
        """By the key's id, for the day and the week of `now`."""
        today = day_of(now)
        monday = week_begin(today)
        day = key_days.c.day
        nano = sa.case((key_days.c.nano_usd > _MOST_OF_A_DAY, _MOST_OF_A_DAY), else_=key_days.c.nano_usd)
        week = (day >= monday) & (day <= today)
        sums = sa.select(
            key_days.c.key_id,
            sa.func.sum(nano),
            sa.func.sum(sa.case((week, nano), else_=0)),
            sa.func.sum(sa.case((day == today, nano), else_=0)),
        ).group_by(key_days.c.key_id)
        windows = sa.select(key_windows)
        if ids is not None:
            wanted = [*ids]
            sums = sums.where(key_days.c.key_id.in_(wanted))
            windows = windows.where(key_windows.c.key_id.in_(wanted))
        found: dict[int, Spending] = {}
        async with self._database.read() as connection:
            for key_id, total, of_week, of_day in await connection.execute(sums):
                found[key_id] = _spending(now, int(of_day), int(of_week), int(total))
            for key_id, began_at, tokens in await connection.execute(windows):
                spending = found.setdefault(key_id, _spending(now, 0, 0, 0))
                spending.window_at, spending.window_tokens = began_at / 1000, tokens
        return found

    async def means(self, now: float) -> dict[int, int]:
        """By the key's id, nano-USD of one request, of the last seven days."""
        days = sa.select(key_days).where(key_days.c.day > day_of(now) - _MEAN_DAYS, key_days.c.requests > 0)
        counts: Counter[int] = Counter()
        costs: Counter[int] = Counter()
        async with self._database.read() as connection:
            for row in await connection.execute(days):
                counts[row.key_id] += row.requests
                costs[row.key_id] += row.nano_usd
        return {key: costs[key] // count for key, count in counts.items()}


def _spending(now: float, of_day: int, of_week: int, total: int) -> Spending:
    spending = Spending()
    spending.roll(now)
    spending.day_nano, spending.week_nano, spending.total = of_day, of_week, total
    return spending


async def add_spending(connection: AsyncConnection, rows: Sequence[Row], prices: PriceTable) -> None:
    """`rows`: of `requests`, in the order of their records."""
    used = [(row, usage_of(row)) for row in rows if row["key_id"] is not None]
    if not used:
        return
    await add_up(connection, key_days, (_use_of(row, usage, prices) for row, usage in used))
    # What ran as a batch did so at some other time, and not beside the others.
    await _add_to_windows(connection, [one for one in used if not is_of_a_batch(one[0])])
    await tell(connection, "spending", sorted({row["key_id"] for row, _ in used}))


def _use_of(row: Row, usage: Usage, prices: PriceTable) -> Row:
    return {
        "key_id": row["key_id"],
        "day": day_of(row["timestamp"] / 1000),
        # One that was refused says nothing of what a request costs.
        "requests": usage.requests or int(usage.input_tokens is not None or usage.output_tokens is not None),
        "tokens": tokens_of(usage),
        "nano_usd": prices.budget_cost_of(row["provider"], row["model"], usage, row["account"])
        if row["nano_usd"] is None
        else row["nano_usd"],
    }


async def _add_to_windows(connection: AsyncConnection, used: Sequence[tuple[Row, Usage]]) -> None:
    """Request by request: one that began after the five hours begins others."""
    if not used:
        return
    ids = sorted({row["key_id"] for row, _ in used})  # every recorder in one order
    known = sa.select(key_windows).where(key_windows.c.key_id.in_(ids)).order_by(key_windows.c.key_id)
    rows = await connection.execute(known.with_for_update())
    windows = {row.key_id: (row.began_at, row.tokens) for row in rows}
    changed: set[int] = set()
    new: list[Row] = []
    for row, usage in used:
        key_id, at, tokens = row["key_id"], row["timestamp"], min(MOST, tokens_of(usage))
        if key_id not in windows:
            new.append({"key_id": key_id, "began_at": at, "tokens": tokens})
            continue
        began_at, before = windows[key_id]
        is_over = at >= began_at + WINDOW_SECONDS * 1000
        windows[key_id] = (at, tokens) if is_over else (began_at, min(MOST, before + tokens))
        changed.add(key_id)
    if changed:
        setting = sa.update(key_windows).where(key_windows.c.key_id == sa.bindparam("which"))
        values = [
            {"which": key_id, "began_at": windows[key_id][0], "tokens": windows[key_id][1]}
            for key_id in sorted(changed)
        ]
        await connection.execute(setting, values)
    if new:
        await _add_to_new_windows(connection, sorted(new, key=itemgetter("key_id")))


async def _add_to_new_windows(connection: AsyncConnection, values: Sequence[Row]) -> None:
    """Of keys that had no row a moment ago: another recorder may be making one just now."""
    adding = insert(connection, key_windows)
    new, old = adding.excluded, key_windows.c
    is_over = new.began_at >= old.began_at + WINDOW_SECONDS * 1000
    adding = adding.on_conflict_do_update(
        index_elements=["key_id"],
        set_={
            "began_at": sa.case((is_over, new.began_at), else_=old.began_at),
            "tokens": sa.case((is_over, new.tokens), else_=bounded_sum(old.tokens, new.tokens)),
        },
    )
    await connection.execute(adding, values)
