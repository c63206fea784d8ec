"""Many rows into one table, without a look of SQLAlchemy, or of the driver, at each value of them.

SQLAlchemy's own way costs a row of thirty columns more than the database does: names are resolved and values
converted row by row. And Python's `sqlite3` looks for an adapter for each NULL, truth value and `bytes` (not
for a `bytearray`), which takes longer than writing it. The statement is SQLAlchemy's still; the values go to
the driver by columns.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import insert
from headgate.storage.schema import Json

Row = Mapping[str, Any]
Meeting = Callable[[Any], Mapping[str, Any]]
"""What becomes of a row that is there already, by the INSERT (its `excluded`): columns and values."""
_Written = tuple[str, tuple[str, ...], Mapping[str, Any]]
_Key = tuple[str, str, tuple[str, ...], Meeting | None]

_MOST_WRITTEN = 256
_written: dict[_Key, _Written] = {}
"""By dialect, table, columns and what becomes of rows that are there: statements, the order of their
parameters, and those that are no columns."""


async def insert_new(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Those whose unique values are not there yet; the others are left out. Each row has every column that
    the first one has, and at least two."""
    if rows:
        columns = _columns(rows)
        filled = {name: values for name, values in columns.items() if values.count(None) < len(values)}
        await _write(connection, table, filled, None)


async def put(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Each in the place of the one with its primary key, or new. Each row has every column."""
    if rows:
        await _write(connection, table, _columns(rows), _replacing)


async def merge(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row], meeting: Meeting) -> None:
    """Each new, or together with the one that has its primary key: `meeting`, the same function each time.
    Each row has every column."""
    if rows:
        await _write(connection, table, _columns(rows), meeting)


def _replacing(inserting: Any) -> Mapping[str, Any]:
    return {
        column.name: inserting.excluded[column.name]
        for column in inserting.table.columns
        if not column.primary_key
    }


def _columns(rows: Sequence[Row]) -> dict[str, tuple[Any, ...]]:
    names = tuple(rows[0])
    return dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))


async def _write(
    connection: AsyncConnection,
    table: sa.Table,
    columns: dict[str, tuple[Any, ...]],
    meeting: Meeting | None,
) -> None:
    statement, order, others = _statement(connection, table, tuple(columns), meeting)
    count = len(next(iter(columns.values())))
    values = [
        repeat(others[name], count)
        if name in others
        else _for_driver(table.c[name].type, columns[name], connection.dialect)
        for name in order
    ]
    await connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


def _for_driver(kind: Any, values: tuple[Any, ...], dialect: sa.Dialect) -> Sequence[Any]:
    if isinstance(kind, Json):
        return [kind.process_bind_param(value, dialect) for value in values]
    if dialect.name == "sqlite" and isinstance(kind, sa.Boolean | sa.LargeBinary):
        plain = int if isinstance(kind, sa.Boolean) else bytearray
        return [None if value is None else plain(value) for value in values]
    return values


def _statement(
    connection: AsyncConnection, table: sa.Table, columns: tuple[str, ...], meeting: Meeting | None
) -> _Written:
    key = (connection.dialect.name, table.name, columns, meeting)
    known = _written.get(key)
    if known is None:
        inserting = insert(connection, table)
        if meeting is None:
            inserting = inserting.on_conflict_do_nothing()
        else:
            keys = [column.name for column in table.primary_key]
            inserting = inserting.on_conflict_do_update(index_elements=keys, set_=meeting(inserting))
        compiled = inserting.compile(
            dialect=connection.dialect, column_keys=list(columns), for_executemany=True
        )
        order = tuple(compiled.positiontup)
        others = {name: compiled.params[name] for name in order if name not in columns}
        known = str(compiled), order, others
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        _written[key] = known
    return known
