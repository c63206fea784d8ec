"""What happened in sums, by minute, hour and day: the tables, and the past put into them.

A day at a time, so that a long history is summed in memory: hours from the requests, days from hours.
"""

from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

BY = (*("resolution", "by_key", "at", "account_id", "account", "key_id", "caller", "model", "provider"),)
KINDS = ("inference", "count_tokens", "embeddings")
SUMS = (
    *("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "nano_usd", "unpriced", "duration_us", *KINDS),
)
TIME_SUMS = ("requests", "duration_us", "first_bytes", "first_byte_us", "spoken_tokens", "spoken_us")
_STEPS = (10, 16, 25, 40, 63)
TIME_BOUNDS_US = tuple(step * 10**power for power in range(3, 8) for step in _STEPS)[:23]
SPEED_BOUNDS = tuple(step * 10**power for power in (2, 3, 4) for step in _STEPS)
DURATIONS = tuple(f"d{place}" for place in range(24))
FIRST_BYTES = tuple(f"f{place}" for place in range(24))
SPEEDS = tuple(f"s{place}" for place in range(16))
BUCKETS = (*DURATIONS, *FIRST_BYTES, *SPEEDS)
LAYOUT = {
    "rollups": ((*BY, "failed"), SUMS),
    "rollup_failures": ((*BY, "status", "error"), ("requests",)),
    "rollup_times": (BY, (*TIME_SUMS, *BUCKETS)),
}
_TEXTS = ("account", "caller", "model", "provider", "error")
_SMALL = ("resolution", "by_key", "failed", "status", *BUCKETS)

MOST_OF_A_MODEL, MOST_OF_AN_ERROR = 128, 64
MOST_OF_ONE, MOST_NANO_USD, MOST_SPOKEN = 2**40, 2**50, 10**9
LEAST_SPOKEN_US = 1_000

_HOUR, _DAY = 3_600_000, 86_400_000
_MINUTES_KEPT, _HOURS_KEPT = 3 * _DAY, 100 * _DAY


def upgrade() -> None:
    connection = op.get_bind()
    made = set(sa.inspect(connection).get_table_names())
    if made >= set(LAYOUT):
        return
    for name, (by, counts) in LAYOUT.items():
        if name in made:
            op.drop_table(name)
        at = [sa.Column(one, _type(one), primary_key=True, autoincrement=False) for one in by]
        counted = [sa.Column(one, _type(one), nullable=False) for one in counts]
        op.create_table(name, *at, *counted, sqlite_with_rowid=False)
    _sum_up(connection)


def _type(column: str) -> type[sa.Text | sa.Integer | sa.BigInteger]:
    if column in _TEXTS:
        return sa.Text
    return sa.Integer if column in _SMALL else sa.BigInteger


def _sum_up(connection: sa.Connection) -> None:
    newest = connection.exec_driver_sql("SELECT max(timestamp) FROM requests").scalar()
    if newest is None:
        return
    minutes, hours = newest - _MINUTES_KEPT, newest - _HOURS_KEPT
    oldest = connection.exec_driver_sql("SELECT min(timestamp) FROM requests").scalar()
    while oldest is not None:
        day = oldest - oldest % _DAY
        end = day + _DAY
        for table, select in SELECTS.items():
            _add(connection, table, select(3600, day, end, connection.dialect.name))
            _add(connection, table, _day_of(table, day))
            _add(connection, table, over_keys(table, 86400, day, end))
            if end <= hours:
                old = f"resolution = 3600 AND by_key = 1 AND at >= {day} AND at < {end}"
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE {old}")
            else:
                _add(connection, table, over_keys(table, 3600, day, end))
            if end > minutes:
                since = max(day, minutes - minutes % _HOUR)
                _add(connection, table, select(60, since, end, connection.dialect.name))
                _add(connection, table, over_keys(table, 60, since, end))
        following = f"SELECT min(timestamp) FROM requests WHERE timestamp >= {end}"
        oldest = connection.exec_driver_sql(following).scalar()


def _add(connection: sa.Connection, table: str, select: str) -> None:
    connection.exec_driver_sql(f"INSERT INTO {table} {select}")


def _day_of(table: str, day: int) -> str:
    """By key, from its hours."""
    by, counts = LAYOUT[table]
    others = ", ".join(by[3:])
    sums = ", ".join(f"CAST(SUM({one}) AS BIGINT)" for one in counts)
    its = f"resolution = 3600 AND by_key = 1 AND at >= {day} AND at < {day + _DAY}"
    return f"SELECT 86400, 1, {day}, {others}, {sums} FROM {table} WHERE {its} GROUP BY {others}"


_KIND = r"""CASE WHEN path IN ('/v1/messages', '/api/v1/messages', '/v1/chat/completions', '/v1/completions',
 '/v1/responses') THEN 'inference'
 WHEN lower(path) LIKE '%/count_tokens' OR lower(path) LIKE '%:counttokens' THEN 'count_tokens'
 WHEN lower(path) LIKE '%:generatecontent' OR lower(path) LIKE '%:streamgeneratecontent' THEN 'inference'
 WHEN path = '/v1/embeddings' THEN 'embeddings' ELSE 'other' END"""

_HAS_WORKED = "status < 400 AND error IS NULL"


def over_keys(table: str, resolution: int, since: int, until: int) -> str:
    """A SELECT of what is there by key in that time, over all keys."""
    by, counts = LAYOUT[table]
    groups = [name for name in by if name not in ("resolution", "by_key", "key_id", "caller")]
    fixed = {"resolution": str(resolution), "by_key": "0", "key_id": "0", "caller": "''"}
    columns = ", ".join(fixed.get(name, name) for name in by)
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in counts)
    its = f"resolution = {resolution} AND by_key = 1 AND at >= {since} AND at < {until}"
    return f"SELECT {columns}, {sums} FROM {table} WHERE {its} GROUP BY {', '.join(groups)}"


def sums_of(resolution: int, since: int, until: int, dialect: str) -> str:
    """A SELECT of all columns of `rollups`, from the requests of that time (Unix milliseconds)."""
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
    }
    counts = ", ".join(f"CAST(SUM({sums[name]}) AS BIGINT)" for name in SUMS)
    has_failed = f"CASE WHEN {_HAS_WORKED} THEN 0 ELSE 1 END"
    places = ", ".join(str(place + 1) for place in range(len(BY) + 1))
    its = _within(since, until)
    return f"SELECT {_by(resolution)}, {has_failed}, {counts} FROM requests WHERE {its} GROUP BY {places}"


def failures_of(resolution: int, since: int, until: int, _: str) -> str:
    """The same of `rollup_failures`."""
    error = f"substr(coalesce(error, ''), 1, {MOST_OF_AN_ERROR})"
    places = ", ".join(str(place + 1) for place in range(len(BY) + 2))
    its = f"{_within(since, until)} AND (status >= 400 OR error IS NOT NULL)"
    return f"SELECT {_by(resolution)}, status, {error}, count(*) FROM requests WHERE {its} GROUP BY {places}"


def times_of(resolution: int, since: int, until: int, dialect: str) -> str:
    """The same of `rollup_times`."""
    duration, first_byte = _microseconds("duration_ms", dialect), _microseconds("first_byte_ms", dialect)
    has_begun = f"stream AND first_byte_ms IS NOT NULL AND {duration} - {first_byte} >= {LEAST_SPOKEN_US}"
    inner = {
        "duration": duration,
        "first_byte": f"CASE WHEN first_byte_ms IS NULL THEN NULL ELSE {first_byte} END",
        "tokens": _bounded("output_tokens", MOST_SPOKEN),
        "spoken": f"CASE WHEN {has_begun} THEN {duration} - {first_byte} ELSE {duration} END",
    }
    names = ", ".join(BY)
    # An inner query that is not taken apart: each value is reckoned once, not once for every bucket.
    alone = "LIMIT -1" if dialect == "sqlite" else "OFFSET 0"
    values = ", ".join(f"{words} AS {name}" for name, words in inner.items())
    rows = (
        f"SELECT {_by(resolution, names=True)}, {values}"
        f" FROM requests WHERE {_within(since, until)} AND {_HAS_WORKED} {alone}"
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


SELECTS: Final[dict[str, Callable[[int, int, int, str], str]]] = {
    "rollups": sums_of,
    "rollup_failures": failures_of,
    "rollup_times": times_of,
}
"""By table: of a resolution, from a moment until another, in a dialect; by key."""


def _by(resolution: int, *, names: bool = False) -> str:
    columns = (
        *(str(resolution), "1"),
        f"timestamp - timestamp % {resolution * 1000}",
        "coalesce(account_id, 0)",
        "coalesce(account, '')",
        "coalesce(key_id, 0)",
        "caller",
        f"substr(coalesce(model, ''), 1, {MOST_OF_A_MODEL})",
        "provider",
    )
    if not names:
        return ", ".join(columns)
    return ", ".join(f"{words} AS {name}" for words, name in zip(columns, BY, strict=True))


def _within(since: int, until: int) -> str:
    return f"timestamp >= {since} AND timestamp < {until}"


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
