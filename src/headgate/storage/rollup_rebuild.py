"""The roll-ups made anew from the rows themselves, in SQL: what `rollups.py` adds, said once more.

For what cannot be added to: a bucket of which some rows were deleted, and the check that both say the same.
The migration that made the tables has this as it was on its day.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.dialects.batch_results import TIER
from headgate.storage.rollup_tables import (
    BY,
    BY_CLIENT,
    DAY,
    DURATIONS,
    FAMILIES,
    FINER,
    FIRST_BYTES,
    FOLDED,
    KINDS,
    LAYOUT,
    LEAST_SPOKEN_US,
    MOST_NANO_USD,
    MOST_OF_A_MODEL,
    MOST_OF_A_NAME,
    MOST_OF_AN_ERROR,
    MOST_OF_ONE,
    MOST_SPOKEN,
    OF_DAYS,
    OVER_KEYS,
    RESOLUTIONS,
    SPEED_BOUNDS,
    SPEEDS,
    SUMS,
    TIME_BOUNDS_US,
    TIME_SUMS,
)

_KIND = r"""CASE WHEN path IN ('/v1/messages', '/api/v1/messages', '/v1/chat/completions', '/v1/completions',
 '/v1/responses') THEN 'inference'
 WHEN lower(path) LIKE '%/count_tokens' OR lower(path) LIKE '%:counttokens' THEN 'count_tokens'
 WHEN lower(path) LIKE '%:generatecontent' OR lower(path) LIKE '%:streamgeneratecontent' THEN 'inference'
 WHEN path = '/v1/embeddings' THEN 'embeddings' ELSE 'other' END"""

_HAS_WORKED = "status < 400 AND error IS NULL"


async def rebuild(connection: AsyncConnection, at_ms: int) -> None:
    """The minute, hour and day that began before this moment and hold it, from the rows that are there; where
    some of these are gone (`storage.retention_days`), from the next finer sums.

    In a transaction in which nobody else adds to them (`lock_rollups`).
    """
    for finer, resolution in zip((None, *RESOLUTIONS), RESOLUTIONS, strict=False):
        span = resolution * 1000
        begin = at_ms - at_ms % span
        if begin == at_ms:
            continue
        has_all = finer is None or not await _know_more(connection, finer, begin, begin + span)
        for name in LAYOUT:
            its = f"resolution = {resolution} AND by_key IN {FAMILIES} AND at = {begin}"
            await connection.exec_driver_sql(f"DELETE FROM {name} WHERE {its}")
            for made in (
                SELECTS[name](resolution, begin, begin + span, connection.dialect.name)
                if finer is None or has_all
                else coarser(name, finer, resolution, begin, begin + span),
                *(folded(name, resolution, begin, begin + span, one) for one in summed_families(resolution)),
            ):
                await connection.exec_driver_sql(f"{into(name)} {made}")


async def _know_more(connection: AsyncConnection, resolution: int, since: int, until: int) -> bool:
    """Whether the sums of that time are of more requests than there are."""
    its = f"resolution = {resolution} AND by_key = {OVER_KEYS} AND at >= {since} AND at < {until}"
    summed = (await connection.exec_driver_sql(f"SELECT SUM(requests) FROM rollups WHERE {its}")).scalar()
    within = _within(since, until)
    there = (await connection.exec_driver_sql(f"SELECT count(*) FROM requests WHERE {within}")).scalar()
    return (summed or 0) > (there or 0)


async def lock_rollups(connection: AsyncConnection) -> None:
    """Recorders wait until this transaction ends; on SQLite there is one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"LOCK TABLE {', '.join(LAYOUT)} IN SHARE ROW EXCLUSIVE MODE")


def into(table: str) -> str:
    """The beginning of a statement that ends in one of the SELECTs below. Columns are named: those of a table
    that was upgraded may stand in another order."""
    return f"INSERT INTO {table} ({', '.join(column for columns in LAYOUT[table] for column in columns)})"


def coarser(table: str, finer: int, resolution: int, since: int, until: int) -> str:
    """A SELECT of one row of that resolution for all finer ones of the time, all told apart."""
    by, counts = LAYOUT[table]
    columns = ", ".join({"resolution": str(resolution), "at": str(since)}.get(name, name) for name in by)
    groups = ", ".join(name for name in by if name not in ("resolution", "at"))
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in counts)
    its = f"resolution = {finer} AND by_key = {BY_CLIENT} AND at >= {since} AND at < {until}"
    return f"SELECT {columns}, {sums} FROM {table} WHERE {its} GROUP BY {groups}"


def summed_families(resolution: int) -> list[int]:
    """Those that `folded` makes, in an order in which what they are made from is there."""
    return [one for one in FINER if resolution == DAY or one not in OF_DAYS]


def folded(table: str, resolution: int, since: int, until: int, family: int) -> str:
    """A SELECT of that family's rows of that time, from those of the family that tells more apart."""
    by, counts = LAYOUT[table]
    fixed = {"resolution": str(resolution), "by_key": str(family), **FOLDED[family]}
    groups = [name for name in by if name not in fixed]
    columns = ", ".join(fixed.get(name, name) for name in by)
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in counts)
    its = f"resolution = {resolution} AND by_key = {FINER[family]} AND at >= {since} AND at < {until}"
    return f"SELECT {columns}, {sums} FROM {table} WHERE {its} GROUP BY {', '.join(groups)}"


def sums_of(resolution: int, since: int, until: int, dialect: str, also: str = "") -> str:
    """A SELECT of all columns of `rollups`, from the requests of that time (Unix milliseconds), with all that
    there is told apart. `also`: and of no other requests."""
    written = f"{_bounded('cache_write_5m_tokens')} + {_bounded('cache_write_1h_tokens')}"
    has_tokens = "(input_tokens IS NOT NULL OR output_tokens IS NOT NULL)"
    sums = {
        "requests": "1",
        **{name: _bounded(name) for name in ("input_tokens", "output_tokens", "cache_read_tokens")},
        "cache_write_tokens": written,
        "reasoning_tokens": _bounded("reasoning_tokens"),
        "nano_usd": _bounded("nano_usd", MOST_NANO_USD),
        "unpriced": f"CASE WHEN {has_tokens} AND nano_usd IS NULL THEN 1 ELSE 0 END",
        "duration_us": _microseconds("duration_ms", dialect),
        **{kind: f"CASE WHEN {_KIND} = '{kind}' THEN 1 ELSE 0 END" for kind in KINDS},
        "tool_calls": "coalesce(tool_calls, 0)",
    }
    counts = ", ".join(f"CAST(SUM({sums[name]}) AS BIGINT)" for name in SUMS)
    has_failed = f"CASE WHEN {_HAS_WORKED} THEN 0 ELSE 1 END"
    places = ", ".join(str(place + 1) for place in range(len(BY) + 1))
    its = _within(since, until, also)
    return f"SELECT {_by(resolution)}, {has_failed}, {counts} FROM requests WHERE {its} GROUP BY {places}"


def failures_of(resolution: int, since: int, until: int, _: str, also: str = "") -> str:
    """The same of `rollup_failures`."""
    error = f"substr(coalesce(error, ''), 1, {MOST_OF_AN_ERROR})"
    places = ", ".join(str(place + 1) for place in range(len(BY) + 2))
    its = f"{_within(since, until, also)} AND (status >= 400 OR error IS NOT NULL)"
    return f"SELECT {_by(resolution)}, status, {error}, count(*) FROM requests WHERE {its} GROUP BY {places}"


def times_of(resolution: int, since: int, until: int, dialect: str, also: str = "") -> str:
    """The same of `rollup_times`."""
    duration, first_byte = _microseconds("duration_ms", dialect), _microseconds("first_byte_ms", dialect)
    has_begun = f"stream AND first_byte_ms IS NOT NULL AND {duration} - {first_byte} >= {LEAST_SPOKEN_US}"
    tokens = _bounded("output_tokens", MOST_SPOKEN)
    inner = {
        "duration": duration,
        "first_byte": f"CASE WHEN first_byte_ms IS NULL THEN NULL ELSE {first_byte} END",
        "tokens": f"CASE WHEN service_tier = '{TIER}' THEN 0 ELSE {tokens} END",
        "spoken": f"CASE WHEN {has_begun} THEN {duration} - {first_byte} ELSE {duration} END",
    }
    names = ", ".join(BY)
    # An inner query that is not taken apart: each value is reckoned once, not once for every bucket.
    alone = "LIMIT -1" if dialect == "sqlite" else "OFFSET 0"
    values = ", ".join(f"{words} AS {name}" for name, words in inner.items())
    rows = (
        f"SELECT {_by(resolution, names=True)}, {values}"
        f" FROM requests WHERE {_within(since, until, also)} AND {_HAS_WORKED} {alone}"
    )
    has_spoken = f"tokens > 0 AND spoken >= {LEAST_SPOKEN_US}"
    speed = f"CASE WHEN {has_spoken} THEN tokens * {10**9} / spoken ELSE NULL END"
    placed = (
        f"SELECT {names}, duration, first_byte, tokens, spoken, {_place('duration', TIME_BOUNDS_US)} AS d,"
        f" {_place('first_byte', TIME_BOUNDS_US)} AS f, {_place(speed, SPEED_BOUNDS)} AS s"
        f" FROM ({rows}) AS rows_of_it {alone}"
    )
    sums = {
        "requests": "1",
        "duration_us": "duration",
        "first_bytes": "CASE WHEN first_byte IS NULL THEN 0 ELSE 1 END",
        "first_byte_us": "coalesce(first_byte, 0)",
        "spoken_tokens": "CASE WHEN s IS NULL THEN 0 ELSE tokens END",
        "spoken_us": "CASE WHEN s IS NULL THEN 0 ELSE spoken END",
    }
    in_buckets = [
        f"count(*) FILTER (WHERE {kind} = {place})"
        for kind, columns in (("d", DURATIONS), ("f", FIRST_BYTES), ("s", SPEEDS))
        for place in range(len(columns))
    ]
    counts = ", ".join([*(f"CAST(SUM({sums[name]}) AS BIGINT)" for name in TIME_SUMS), *in_buckets])
    return f"SELECT {names}, {counts} FROM ({placed}) AS placed GROUP BY {names}"


SELECTS: Final[dict[str, Callable[..., str]]] = {
    "rollups": sums_of,
    "rollup_failures": failures_of,
    "rollup_times": times_of,
}
"""By table: of a resolution, from a moment until another, in a dialect."""


def _by(resolution: int, *, names: bool = False) -> str:
    columns = (
        *(str(resolution), str(BY_CLIENT)),
        f"timestamp - timestamp % {resolution * 1000}",
        "coalesce(account_id, 0)",
        "coalesce(account, '')",
        "coalesce(key_id, 0)",
        "caller",
        f"substr(coalesce(model, ''), 1, {MOST_OF_A_MODEL})",
        "provider",
        *(f"substr(coalesce({name}, ''), 1, {MOST_OF_A_NAME})" for name in ("client", "project")),
    )
    if not names:
        return ", ".join(columns)
    return ", ".join(f"{words} AS {name}" for words, name in zip(columns, BY, strict=True))


def _within(since: int, until: int, also: str = "") -> str:
    its = f"timestamp >= {since} AND timestamp < {until}"
    return f"{its} AND {also}" if also else its


def _bounded(column: str, most: int = MOST_OF_ONE) -> str:
    return f"CASE WHEN {column} IS NULL THEN 0 WHEN {column} > {most} THEN {most} ELSE {column} END"


def _microseconds(column: str, dialect: str) -> str:
    whole = f"{column} * 1000" if dialect == "sqlite" else f"trunc({column} * 1000)"
    bounded = f"CASE WHEN {column} * 1000 > {MOST_OF_ONE} THEN {MOST_OF_ONE} ELSE CAST({whole} AS BIGINT) END"
    return f"({bounded})"


def _place(value: str, bounds: Sequence[int]) -> str:
    """Which bucket, as `bisect_right` has it; NULL of NULL."""
    ladder = " ".join(f"WHEN {value} < {bound} THEN {place}" for place, bound in enumerate(bounds))
    return f"CASE WHEN {value} IS NULL THEN NULL {ladder} ELSE {len(bounds)} END"
