"""What happened in sums, by minute, hour and day (UTC): what the owner's charts and tables are made from.

`rollups` has one row for each of these and for each account, client key, model, provider, client and project
that occurred in it (`by_key` 2), two where something went wrong; `rollup_failures` says what that was;
`rollup_times` has the times of those that went well, as histograms. All is there once more over all clients
and projects (`by_key` 1), and over all keys too (0): most questions are about none of these, and those rows
are few. So are those by client and project alone (3). Of days there are two more, over all keys: by all but
the project (4), and by all but the client (5). Numbers are whole, so that a sum is the same in whatever
order.
"""

from typing import Any, Final

import sqlalchemy as sa

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
RESOLUTIONS: Final = (MINUTE, HOUR, DAY)
"""Seconds that a row stands for."""

KEPT_SECONDS: Final = {MINUTE: 3 * DAY, HOUR: 100 * DAY}
"""How long; days are kept for ever."""

MOST_OF_A_MODEL: Final = 128
MOST_OF_AN_ERROR: Final = 64
MOST_OF_A_NAME: Final = 64
"""Characters: the names are the callers' texts, an error's may be a provider's."""

MOST_NAMES: Final = 500
"""Of a kind and a day (UTC), which are the callers': what comes behind them is one of `OTHERS`, or inventions
would be kept for ever. The requests themselves keep their own."""
OTHER_MODELS: Final = "(other models)"
OTHERS: Final = {"model": OTHER_MODELS, "client": "(other clients)", "project": "(other projects)"}

MOST_OF_ONE: Final = 2**40
"""Tokens, or microseconds, of one request: what is beyond is nonsense, and sums of it must not overflow."""
MOST_NANO_USD: Final = 2**50
MOST_SPOKEN: Final = 10**9
"""Tokens of one answer, where its speed is reckoned."""
LEAST_SPOKEN_US: Final = 1_000
"""An answer that came in less was not made in that time."""

_STEPS = (10, 16, 25, 40, 63)
"""Preferred numbers (ISO 3, R5): each is 1.6 times the one before, five to a factor of ten."""

TIME_BOUNDS_US: Final = tuple(step * 10**power for power in range(3, 8) for step in _STEPS)[:23]
"""Where the buckets of durations and first bytes end: below 10 ms, 16 ms … 250 s, and what is not."""
SPEED_BOUNDS: Final = tuple(step * 10**power for power in (2, 3, 4) for step in _STEPS)
"""The same of output, in thousandths of a token per second: below 1/s … 630/s, and what is not."""

BY: Final = (
    *("resolution", "by_key", "at", "account_id", "account", "key_id", "caller", "model", "provider"),
    *("client", "project"),
)
FAMILIES = OVER_KEYS, BY_KEY, BY_CLIENT, CLIENTS_ALONE, PER_CLIENT, PER_PROJECT = (0, 1, 2, 3, 4, 5)
"""What `by_key` says: what the rows tell apart. Those of each family are the sums of all requests."""
OF_DAYS: Final = (PER_CLIENT, PER_PROJECT)
"""Families of days alone: of hours and minutes nobody asks for so many that it would tell."""
FINER: Final = {
    **{BY_KEY: BY_CLIENT, OVER_KEYS: BY_KEY, CLIENTS_ALONE: BY_CLIENT},
    **dict.fromkeys(OF_DAYS, BY_CLIENT),
}
"""Of each family but one the one that it is summed from, in an order in which that is there."""
_OF_CLIENT, _OF_PROJECT, _OF_KEY = {"client": "''"}, {"project": "''"}, {"key_id": "0", "caller": "''"}
FOLDED: Final = {
    BY_KEY: {**_OF_CLIENT, **_OF_PROJECT},
    OVER_KEYS: {**_OF_CLIENT, **_OF_PROJECT, **_OF_KEY},
    CLIENTS_ALONE: {"account_id": "0", "account": "''", **_OF_KEY, "model": "''", "provider": "''"},
    PER_CLIENT: {**_OF_KEY, **_OF_PROJECT},
    PER_PROJECT: {**_OF_KEY, **_OF_CLIENT},
}
"""What a family does not tell apart, with the SQL of what stands there."""
KINDS: Final = ("inference", "count_tokens", "embeddings")
"""What requests were for; the others are none of these."""
SUMS: Final = (
    *("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "nano_usd", "unpriced", "duration_us", *KINDS, "tool_calls"),
)
TIME_SUMS: Final = ("requests", "duration_us", "first_bytes", "first_byte_us", "spoken_tokens", "spoken_us")
DURATIONS: Final = tuple(f"d{place}" for place in range(len(TIME_BOUNDS_US) + 1))
FIRST_BYTES: Final = tuple(f"f{place}" for place in range(len(TIME_BOUNDS_US) + 1))
SPEEDS: Final = tuple(f"s{place}" for place in range(len(SPEED_BOUNDS) + 1))
BUCKETS: Final = (*DURATIONS, *FIRST_BYTES, *SPEEDS)

_TYPES: Final[dict[str, type[sa.Text | sa.Integer | sa.BigInteger]]] = {
    **dict.fromkeys(("resolution", "by_key", "failed", "status", *BUCKETS), sa.Integer),
    **dict.fromkeys(("account", "caller", "model", "provider", "client", "project", "error"), sa.Text),
}


LAYOUT: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "rollups": ((*BY, "failed"), SUMS),
    "rollup_failures": ((*BY, "status", "error"), ("requests",)),
    "rollup_times": (BY, (*TIME_SUMS, *BUCKETS)),
}
"""Of each table the key and the counts. `account_id` and `key_id` are 0, texts empty, where there is none:
NULL is no part of a key. So is what is not told apart."""


def rollup_tables(metadata: sa.MetaData) -> tuple[sa.Table, sa.Table, sa.Table]:
    rollups, failures, times = (_table(name, metadata, *its) for name, its in LAYOUT.items())
    return rollups, failures, times


def _table(name: str, metadata: sa.MetaData, by: tuple[str, ...], counts: tuple[str, ...]) -> sa.Table:
    at: list[sa.Column[Any]] = [
        sa.Column(one, _TYPES.get(one, sa.BigInteger), primary_key=True, autoincrement=False) for one in by
    ]
    counted: list[sa.Column[Any]] = [
        sa.Column(one, _TYPES.get(one, sa.BigInteger), nullable=False) for one in counts
    ]
    # Without a row id SQLite keeps the rows in the order of the key: a time is read in one piece.
    return sa.Table(name, metadata, *at, *counted, sqlite_with_rowid=False)
