"""Sums by client and project alone, and of days, over all keys, by all but the project or the client: three
more kinds of rows, made from those that tell everything apart."""

import sqlalchemy as sa
from alembic import op

from headgate.storage.migrations.versions.v0015_clients import LAYOUT as BEFORE

revision = "0018"
down_revision = "0017"

_LAYOUT = {**BEFORE, "rollups": (BEFORE["rollups"][0], (*BEFORE["rollups"][1], "tool_calls"))}
_OF_KEY = {"key_id": "0", "caller": "''"}
_FOLDED = {
    3: {"account_id": "0", "account": "''", **_OF_KEY, "model": "''", "provider": "''"},
    4: {**_OF_KEY, "project": "''"},
    5: {**_OF_KEY, "client": "''"},
}
"""By kind, `by_key`: what it does not tell apart, with the SQL of what stands there."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KINDS = {_MINUTE: (3,), _HOUR: (3,), _DAY: (3, 4, 5)}
_DAY_MS = 86_400_000
_AT_ONCE_MS = {_MINUTE: _DAY_MS, _HOUR: 5 * _DAY_MS, _DAY: 50 * _DAY_MS}
"""Of the roll-ups: a statement that takes a minute is given up."""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # To compile statements of eighty sums takes it longer than they run.
        op.execute("SET LOCAL jit = off")
    for table in _LAYOUT:
        for resolution, kinds in _KINDS.items():
            for kind in kinds:
                _sum_up(connection, table, resolution, kind)


def _sum_up(connection: sa.Connection, table: str, resolution: int, kind: int) -> None:
    by, counts = _LAYOUT[table]
    fixed = {"by_key": str(kind), **_FOLDED[kind]}
    groups = ", ".join(one for one in by if one not in fixed)
    values = ", ".join(fixed.get(one, one) for one in by)
    sums = ", ".join(f"CAST(SUM({one}) AS BIGINT)" for one in counts)
    # Of a try that a hand has taken back.
    connection.exec_driver_sql(f"DELETE FROM {table} WHERE resolution = {resolution} AND by_key = {kind}")
    its = f"resolution = {resolution} AND by_key = 2"
    first, last = connection.exec_driver_sql(f"SELECT min(at), max(at) FROM {table} WHERE {its}").one()
    step = _AT_ONCE_MS[resolution]
    for since in range(first or 0, (last or -1) + 1, step):
        within = f"{its} AND at >= {since} AND at < {since + step}"
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({', '.join((*by, *counts))})"
            f" SELECT {values}, {sums} FROM {table} WHERE {within} GROUP BY {groups}"
        )
