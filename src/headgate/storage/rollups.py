"""The recorder's part of the roll-ups: rows of a batch summed in memory, then added in their transaction.

So the sums are exact after any crash: they come with the rows, or neither does.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import add, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import Database
from headgate.storage.rollup_tables import (
    BUCKETS,
    BY,
    BY_CLIENT,
    CLIENTS_ALONE,
    DAY,
    DURATIONS,
    FAMILIES,
    FINER,
    FIRST_BYTES,
    FOLDED,
    KEPT_SECONDS,
    KINDS,
    LAYOUT,
    LEAST_SPOKEN_US,
    MINUTE,
    MOST_NAMES,
    MOST_OF_A_MODEL,
    MOST_OF_A_NAME,
    MOST_OF_AN_ERROR,
    MOST_OF_ONE,
    MOST_SPOKEN,
    OF_DAYS,
    OTHERS,
    OVER_KEYS,
    RESOLUTIONS,
    SPEED_BOUNDS,
    SUMS,
    TIME_BOUNDS_US,
    TIME_SUMS,
)
from headgate.storage.schema import rollup_failures, rollup_times, rollups
from headgate.storage.sums import MOST, counts_of, is_of_a_batch

Row = Mapping[str, Any]
Key = tuple[Any, ...]

_OUTPUT_PATHS = frozenset(
    {"/v1/messages", "/api/v1/messages", "/v1/chat/completions", "/v1/completions", "/v1/responses"}
)
_OUTPUT_ENDINGS = (":generatecontent", ":streamgeneratecontent")
_COUNTING_ENDINGS = ("/count_tokens", ":counttokens")

_FIRST_BYTE_AT = len(TIME_SUMS) + len(DURATIONS)
_SPEED_AT = _FIRST_BYTE_AT + len(FIRST_BYTES)
_DAY_MS = DAY * 1000
_TIMES = (*TIME_SUMS, *BUCKETS)

_LONGEST = {"model": MOST_OF_A_MODEL, "client": MOST_OF_A_NAME, "project": MOST_OF_A_NAME}
_MOST_MET = 64
"""Days and kinds whose names a connection keeps: a history that is brought in has many days."""

_PIECES = {60: 60, 3_600: 24}
"""How many minutes, or hours, are forgotten in one transaction."""


def kind_of(path: str) -> str:
    """What a request was for: `inference`, `count_tokens`, `embeddings` or `other`."""
    if path in _OUTPUT_PATHS:
        return "inference"
    lower = path.lower()
    if lower.endswith(_COUNTING_ENDINGS):
        return "count_tokens"
    if lower.endswith(_OUTPUT_ENDINGS):
        return "inference"
    return "embeddings" if path == "/v1/embeddings" else "other"


Sums = dict[Key, list[int]]


def roll_up(rows: Iterable[Row]) -> dict[str, Sums]:
    """Of rows of `requests`, by minute and all that is told apart: for each table the counts, by its key from
    `at` on."""
    sums: Sums = {}
    failures: Sums = {}
    times: Sums = {}
    for row in rows:
        timestamp, status, error = row["timestamp"], row["status"], row["error"]
        key = (
            timestamp - timestamp % (MINUTE * 1000),
            row["account_id"] or 0,
            row["account"] or "",
            row["key_id"] or 0,
            row["caller"],
            _name_of(row["model"], MOST_OF_A_MODEL),
            row["provider"],
            _name_of(row["client"]),
            _name_of(row["project"]),
        )
        counts, duration = counts_of(row), _microseconds(row["duration_ms"])
        has_failed = counts[1]
        _add(sums.setdefault((*key, has_failed), [0] * len(SUMS)), _used(row, counts, duration))
        if has_failed:
            what = (*key, status, (error or "")[:MOST_OF_AN_ERROR])
            failures.setdefault(what, [0])[0] += 1
        else:
            _add_times(times.setdefault(key, [0] * len(_TIMES)), row, duration)
    return {"rollups": sums, "rollup_failures": failures, "rollup_times": times}


def _name_of(name: str | None, most: int = MOST_OF_A_NAME) -> str:
    return (name or "")[:most]


def _used(row: Row, counts: tuple[int, ...], duration: int) -> tuple[int, ...]:
    requests, _, fresh, output, read, written, nano_usd, unpriced = counts
    kind = kind_of(row["path"])
    return (
        requests,
        fresh,
        output,
        read,
        written,
        min(row["reasoning_tokens"] or 0, MOST_OF_ONE),
        nano_usd,
        unpriced,
        duration,
        *(int(kind == one) for one in KINDS),
        row["tool_calls"] or 0,
    )


def _add_times(times: list[int], row: Row, duration: int) -> None:
    first_byte_ms, tokens = row["first_byte_ms"], min(row["output_tokens"] or 0, MOST_SPOKEN)
    spoken = duration
    times[0] += 1
    times[1] += duration
    times[len(TIME_SUMS) + bisect_right(TIME_BOUNDS_US, duration)] += 1
    if first_byte_ms is not None:
        first_byte = _microseconds(first_byte_ms)
        times[2] += 1
        times[3] += first_byte
        times[_FIRST_BYTE_AT + bisect_right(TIME_BOUNDS_US, first_byte)] += 1
        # An answer in one piece was made before its first byte.
        if row["stream"] and duration - first_byte >= LEAST_SPOKEN_US:
            spoken = duration - first_byte
    if tokens > 0 and spoken >= LEAST_SPOKEN_US and not is_of_a_batch(row):
        times[4] += tokens
        times[5] += spoken
        times[_SPEED_AT + bisect_right(SPEED_BOUNDS, tokens * 10**9 // spoken)] += 1


def _microseconds(milliseconds: float) -> int:
    return int(min(milliseconds * 1000, MOST_OF_ONE))


def _add(sums: list[int], more: Sequence[int]) -> None:
    sums[:] = map(add, sums, more)


# ---- into the database ---------------------------------------------------------------------------------


async def add_rollups(connection: AsyncConnection, rows: Iterable[Row]) -> None:
    """`rows`: of `requests`, inserted in this transaction."""
    for table, found in roll_up(await _with_known_names(connection, list(rows))).items():
        if found:
            values = sorted(_values(found))  # every recorder in one order
            statement = _addition(table, *LAYOUT[table], connection.dialect.name)
            await connection.exec_driver_sql(statement, values)


async def _with_known_names(connection: AsyncConnection, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows as the roll-ups count them: of each day no more than `MOST_NAMES` of a kind."""
    said = {(row["timestamp"] // _DAY_MS, row["model"], row["client"], row["project"]) for row in rows}
    names: dict[tuple[int, str], set[str]] = {}
    for day, *its in said:
        for kind, name in zip(OTHERS, its, strict=True):
            if name:
                names.setdefault((day, kind), set()).add(_name_of(name, _LONGEST[kind]))
    others: set[tuple[int, str, str]] = set()
    # What this connection has met is not asked for again with every batch.
    met: dict[tuple[int, str], set[str]] = connection.info.setdefault("names in the roll-ups", {})
    for (day, kind), new in names.items():
        if new <= met.get((day, kind), set()):
            continue
        known = await _known_names(connection, day, kind)
        late = sorted(new - known)[max(0, MOST_NAMES - len(known)) :]
        others |= {(day, kind, name) for name in late}
        if len(met) >= _MOST_MET:
            met.clear()
        met[day, kind] = (known | new) - set(late)
    return [_with_others(row, others) for row in rows] if others else rows


async def _known_names(connection: AsyncConnection, day: int, kind: str) -> set[str]:
    family = OVER_KEYS if kind == "model" else CLIENTS_ALONE
    of_day = f"resolution = {DAY} AND by_key = {family} AND at = {day * _DAY_MS}"
    found = await connection.exec_driver_sql(f"SELECT DISTINCT {kind} FROM rollups WHERE {of_day}")
    return set(found.scalars()) - {"", OTHERS[kind]}


def _with_others(row: Row, others: set[tuple[int, str, str]]) -> Row:
    day = row["timestamp"] // _DAY_MS
    late = {
        kind: word
        for kind, word in OTHERS.items()
        if (day, kind, _name_of(row[kind], _LONGEST[kind])) in others
    }
    return {**row, **late} if late else row


def _values(by_minute: Sums) -> Iterator[Key]:
    """Whole rows: of minutes, hours and days, of each family."""
    by_day = _coarser(by_minute, _DAY_MS)
    families = {BY_CLIENT: by_minute}
    for family, finer in FINER.items():
        families[family] = _folded(by_day if family in OF_DAYS else families[finer], family)
    for family, sums in families.items():
        for resolution in RESOLUTIONS:
            if family in OF_DAYS and resolution < DAY:
                continue
            if resolution > MINUTE:
                sums = _coarser(sums, resolution * 1000)
            for key, counts in sums.items():
                yield (resolution, family, *key, *counts)


def _folded(sums: Sums, family: int) -> Sums:
    """Into those of a family that tells less apart."""
    found: Sums = {}
    for key, counts in sums.items():
        _put(found, _folding(family, len(key))(key + _NOTHING), counts)
    return found


_NOTHING = (0, "")


@cache
def _folding(family: int, length: int) -> Callable[[Key], Key]:
    """Of a key from `at` on, with `_NOTHING` behind it: that of the family."""
    nothing = {"0": length, "''": length + 1}
    names = dict(enumerate(BY[2:]))
    places = [nothing.get(FOLDED[family].get(names.get(one, ""), ""), one) for one in range(length)]
    return itemgetter(*places)


def _coarser(sums: Sums, step_ms: int) -> Sums:
    found: Sums = {}
    for (at, *rest), counts in sums.items():
        _put(found, (at - at % step_ms, *rest), counts)
    return found


def _put(found: Sums, key: Key, counts: list[int]) -> None:
    if (known := found.get(key)) is None:
        found[key] = list(counts)
    else:
        _add(known, counts)


@cache
def _addition(table: str, by: tuple[str, ...], counts: tuple[str, ...], dialect: str) -> str:
    """In words: SQLAlchemy's own statement of eighty columns costs a row as much as the database does."""
    bounded = {column for column in counts if column.endswith(("_tokens", "_usd", "_us"))}
    sums = ", ".join(
        f"{one} = CASE WHEN {table}.{one} > {MOST} - excluded.{one} THEN {MOST} "
        f"ELSE {table}.{one} + excluded.{one} END"
        if one in bounded
        else f"{one} = {table}.{one} + excluded.{one}"
        for one in counts
    )
    columns = (*by, *counts)
    values = ("?" if dialect == "sqlite" else f"${place + 1}" for place in range(len(columns)))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)}) "
        f"ON CONFLICT ({', '.join(by)}) DO UPDATE SET {sums}"
    )


# ---- what is forgotten ---------------------------------------------------------------------------------


async def forget_rollups(database: Database, now_ms: int) -> bool:
    """One step: the oldest hour of minutes and day of hours that are kept no longer. True: call again."""
    is_more = False
    for resolution, kept in KEPT_SECONDS.items():
        end = now_ms - kept * 1000
        oldest = await _oldest(database, resolution)
        if oldest is None or oldest + resolution * 1000 > end:
            continue
        await _forget(
            database, resolution, oldest, min(oldest + resolution * 1000 * _PIECES[resolution], end)
        )
        is_more = True
    return is_more


async def _oldest(database: Database, resolution: int) -> int | None:
    its = (rollups.c.resolution == resolution) & (rollups.c.by_key == OVER_KEYS)
    async with database.read() as connection:
        found: int | None = (
            await connection.execute(sa.select(sa.func.min(rollups.c.at)).where(its))
        ).scalar()
        return found


async def _forget(database: Database, resolution: int, since: int, end: int) -> None:
    """Those that ended by then."""
    async with database.write() as connection:
        for table in (rollups, rollup_failures, rollup_times):
            its = (table.c.resolution == resolution) & table.c.by_key.in_(FAMILIES) & (table.c.at >= since)
            await connection.execute(sa.delete(table).where(its, table.c.at <= end - resolution * 1000))
