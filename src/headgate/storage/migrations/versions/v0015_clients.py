"""Requests say by which program and for which project they were made, and the roll-ups have sums of both.

The newest requests get their program out of the user agent that they have: whole days, as many as have
300,000 together, which takes some ten seconds. Older ones stay without: to write ten million rows anew would
keep a gateway from its history for many minutes. An index finds the requests of a session.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from headgate.storage.migrations.versions.v0010_rollups import LAYOUT as BEFORE
from headgate.storage.migrations.versions.v0010_rollups import SELECTS
from headgate.wire.user_agents import client_of

revision = "0015"
down_revision = "0014"

_MOST_FILLED = 300_000
_MOST_CLIENTS = 50
"""Of a day, each summed by itself: one with more stays without."""

_TEXTS = ("account", "caller", "model", "provider", "client", "project", "error")
_BIG = ("at", "account_id", "key_id")
LAYOUT = {name: ((*by[:9], "client", "project", *by[9:]), counts) for name, (by, counts) in BEFORE.items()}
_BY_TEXTS = {"client": "''", "project": "''"}

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_DAY_MS = 86_400_000
_AT_ONCE_MS = {_MINUTE: _DAY_MS, _HOUR: 10 * _DAY_MS, _DAY: 400 * _DAY_MS}
"""Of the roll-ups: a statement that takes a minute is given up."""


def upgrade() -> None:
    connection = op.get_bind()
    there = {column["name"] for column in sa.inspect(connection).get_columns("requests")}
    for name in ("client", "project"):
        if name not in there:
            op.add_column("requests", sa.Column(name, sa.Text))
    _index_sessions(connection)
    for table in LAYOUT:
        columns = {column["name"] for column in sa.inspect(connection).get_columns(table)}
        if "client" in columns:
            return
        _widen(connection, table)
    for table in LAYOUT:
        _tell_apart(connection, table)
    _fill(connection)


# ---- sessions --------------------------------------------------------------------------------------------


def _index_sessions(connection: sa.Connection) -> None:
    """On PostgreSQL a month at a time."""
    columns, which = "(session, timestamp)", "WHERE session IS NOT NULL"
    if connection.dialect.name == "sqlite":
        op.execute(f"CREATE INDEX IF NOT EXISTS requests_session ON requests {columns} {which}")
        return
    if connection.exec_driver_sql("SELECT to_regclass('requests_session')").scalar() is not None:
        return
    op.execute(f"CREATE INDEX requests_session ON ONLY requests {columns} {which}")
    months = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'requests'::regclass"
    for month in connection.exec_driver_sql(months).scalars().all():
        op.execute(f"CREATE INDEX {month}_session ON {month} {columns} {which}")
        op.execute(f"ALTER INDEX requests_session ATTACH PARTITION {month}_session")


# ---- the roll-ups ----------------------------------------------------------------------------------------


def _widen(connection: sa.Connection, table: str) -> None:
    """Two more columns in the key."""
    by, counts = LAYOUT[table]
    if connection.dialect.name == "postgresql":
        for name in _BY_TEXTS:
            op.execute(f"ALTER TABLE {table} ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT")
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({', '.join(by)})")
        return
    op.rename_table(table, f"{table}_before")
    keys = [sa.Column(one, _type(one), primary_key=True, autoincrement=False) for one in by]
    counted: list[sa.Column[Any]] = [sa.Column(one, _type(one), nullable=False) for one in counts]
    op.create_table(table, *keys, *counted, sqlite_with_rowid=False)
    columns = ", ".join((*by, *counts))
    values = ", ".join(_BY_TEXTS.get(one, one) for one in (*by, *counts))
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}_before")
    op.drop_table(f"{table}_before")


def _type(column: str) -> type[sa.Text | sa.Integer | sa.BigInteger]:
    if column in _TEXTS:
        return sa.Text
    is_small = column in ("resolution", "by_key", "failed", "status")
    is_small |= len(column) <= 3 and column[0] in "dfs"  # a bucket of a histogram
    return sa.Integer if is_small else sa.BigInteger


def _tell_apart(connection: sa.Connection, table: str) -> None:
    """The third kind of rows, those by client and project, of requests that have neither."""
    columns = ", ".join((*LAYOUT[table][0], *LAYOUT[table][1]))
    values = ", ".join("2" if one == "by_key" else one for one in columns.split(", "))
    for resolution, step in _AT_ONCE_MS.items():
        its = f"resolution = {resolution} AND by_key = 1"
        first, last = connection.exec_driver_sql(f"SELECT min(at), max(at) FROM {table} WHERE {its}").one()
        for since in range(first or 0, (last or -1) + 1, step):
            within = f"{its} AND at >= {since} AND at < {since + step}"
            op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE {within}")


# ---- the newest requests ---------------------------------------------------------------------------------


def _fill(connection: sa.Connection) -> None:
    kept = {resolution: _oldest(connection, resolution) for resolution in (_MINUTE, _HOUR, _DAY)}
    for day in _newest_days(connection):
        within = f"timestamp >= {day} AND timestamp < {day + _DAY_MS}"
        found = connection.exec_driver_sql(f"SELECT DISTINCT user_agent FROM requests WHERE {within}")
        clients = {user_agent: client_of(user_agent) for user_agent in found.scalars()}
        if len({*clients.values(), None}) > _MOST_CLIENTS + 1 or not _has_all(connection, day):
            continue
        changing = sa.text(
            f"UPDATE requests SET client = :client WHERE {within} AND user_agent = :user_agent"
        )
        for user_agent, client in clients.items():
            if client is not None:
                connection.execute(changing, {"client": client, "user_agent": user_agent})
        names = sorted({client or "" for client in clients.values()})
        for resolution, oldest in kept.items():
            if oldest is not None and oldest < day + _DAY_MS:
                _sum_up(connection, resolution, max(day, oldest), day + _DAY_MS, names)


def _newest_days(connection: sa.Connection) -> Iterator[int]:
    left, until = _MOST_FILLED, None
    while True:
        before = "" if until is None else f" WHERE timestamp < {until}"
        newest = connection.exec_driver_sql(f"SELECT max(timestamp) FROM requests{before}").scalar()
        if newest is None:
            return
        until = newest - newest % _DAY_MS
        within = f"timestamp >= {until} AND timestamp < {until + _DAY_MS}"
        left -= connection.exec_driver_sql(f"SELECT count(*) FROM requests WHERE {within}").scalar_one()
        if left < 0:
            return
        yield until


def _oldest(connection: sa.Connection, resolution: int) -> int | None:
    its = f"resolution = {resolution} AND by_key = 1"
    found: int | None = connection.exec_driver_sql(f"SELECT min(at) FROM rollups WHERE {its}").scalar()
    return found


def _has_all(connection: sa.Connection, day: int) -> bool:
    """Whether its sums are those of the requests that are there: some may be gone, or models be too many."""
    its = f"resolution = {_DAY} AND by_key = 1 AND at = {day}"
    summed = connection.exec_driver_sql(f"SELECT sum(requests) FROM rollups WHERE {its}").scalar()
    within = f"timestamp >= {day} AND timestamp < {day + _DAY_MS}"
    there = connection.exec_driver_sql(f"SELECT count(*) FROM requests WHERE {within}").scalar_one()
    others = f"SELECT 1 FROM rollups WHERE {its} AND model = '(other models)' LIMIT 1"
    return int(summed or 0) == there and connection.exec_driver_sql(others).first() is None


def _sum_up(connection: sa.Connection, resolution: int, since: int, until: int, clients: list[str]) -> None:
    dialect = connection.dialect.name
    for table, select in SELECTS.items():
        by, counts = BEFORE[table]
        its = f"resolution = {resolution} AND by_key = 2 AND at >= {since} AND at < {until}"
        op.execute(f"DELETE FROM {table} WHERE {its}")
        for client in clients:
            of_it = "client IS NULL" if not client else f"client = '{client}'"
            made = select(resolution, since, until, dialect)
            made = made.replace(" FROM requests WHERE ", f" FROM requests WHERE {of_it} AND ")
            told = ", ".join("2" if one == "by_key" else one for one in (*by, *counts))
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({', '.join((*by, *counts))}, client, project)"
                f" WITH made ({', '.join((*by, *counts))}) AS ({made})"
                f" SELECT {told}, '{client}', '' FROM made"
            )
