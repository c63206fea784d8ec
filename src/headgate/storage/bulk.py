"""Many rows into one table, without a look of SQLAlchemy, or of the driver, at each value of them.

SQLAlchemy's own way costs a row of thirty columns more than the database does: names are resolved and values
converted row by row. And Python's `sqlite3` looks for an adapter for each NULL, truth value and `bytes` (not
for a `bytearray`), which takes longer than writing it. The statement is SQLAlchemy's still; the values go to
the driver by columns.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.database import insert
from headgate.storage.schema import Json

Row = Mapping[str, Any]
_Written = tuple[str, tuple[str, ...]]
_Key = tuple[str, str, tuple[str, ...], bool]

_MOST_WRITTEN = 256
_written: dict[_Key, _Written] = {}
"""By dialect, table, columns and whether it replaces: statements, and the order of their parameters."""


async def insert_new(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Those whose unique values are not there yet; the others are left out. Each row has every column that
    the first one has, and at least two."""
    if rows:
        columns = _columns(rows)
        filled = {name: values for name, values in columns.items() if values.count(None) < len(values)}
        await _write(connection, table, filled, replaces=False)


async def put(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Each in the place of the one with its primary key, or new. Each row has every column."""
    if rows:
        await _write(connection, table, _columns(rows), replaces=True)


def _columns(rows: Sequence[Row]) -> dict[str, tuple[Any, ...]]:
    names = tuple(rows[0])
    return dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))


async def _write(
    connection: AsyncConnection, table: sa.Table, columns: dict[str, tuple[Any, ...]], *, replaces: bool
) -> None:
    statement, order = _statement(connection, table, tuple(columns), replaces=replaces)
    values = [_for_driver(table.c[name].type, columns[name], connection.dialect) for name in order]
    await connection.exec_driver_sql(statement, list(zip(*values, strict=True)))


def _for_driver(kind: Any, values: tuple[Any, ...], dialect: sa.Dialect) -> Sequence[Any]:
    if isinstance(kind, Json):
        return [kind.process_bind_param(value, dialect) for value in values]
    if dialect.name == "sqlite" and isinstance(kind, sa.Boolean | sa.LargeBinary):
        plain = int if isinstance(kind, sa.Boolean) else bytearray
        return [None if value is None else plain(value) for value in values]
    return values


def _statement(
    connection: AsyncConnection, table: sa.Table, columns: tuple[str, ...], *, replaces: bool
) -> _Written:
    key = (connection.dialect.name, table.name, columns, replaces)
    known = _written.get(key)
    if known is None:
        inserting = insert(connection, table)
        if replaces:
            keys = [column.name for column in table.primary_key]
            changed = {name: inserting.excluded[name] for name in columns if name not in keys}
            inserting = inserting.on_conflict_do_update(index_elements=keys, set_=changed)
        else:
            inserting = inserting.on_conflict_do_nothing()
        compiled = inserting.compile(
            dialect=connection.dialect, column_keys=list(columns), for_executemany=True
        )
        known = str(compiled), tuple(compiled.positiontup)
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        _written[key] = known
    return known
