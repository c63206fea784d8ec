"""Many rows into one table, without a look of SQLAlchemy, or of the driver, at each value of them.

SQLAlchemy's own way costs a row of thirty columns more than the database does: names are resolved and values
converted row by row. And Python's `sqlite3` looks for an adapter for each NULL and each truth value, which
takes longer than writing it. The statement is SQLAlchemy's still; the values go to the driver by columns.
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

_MOST_WRITTEN = 256
_written: dict[tuple[str, str, tuple[str, ...]], _Written] = {}
"""By dialect, table and columns: statements, and the names of their parameters in order."""


async def insert_new(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Those whose unique values are not there yet; the others are left out. Each row has every column that
    the first one has, and at least two."""
    if not rows:
        return
    names = tuple(rows[0])
    by_column = dict(zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True))
    filled = {name: values for name, values in by_column.items() if values.count(None) < len(values)}
    statement, order = _statement(connection, table, tuple(filled))
    columns = [_for_driver(table.c[name].type, filled[name], connection.dialect) for name in order]
    await connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _for_driver(kind: Any, values: tuple[Any, ...], dialect: sa.Dialect) -> Sequence[Any]:
    if isinstance(kind, Json):
        return [kind.process_bind_param(value, dialect) for value in values]
    if isinstance(kind, sa.Boolean) and dialect.name == "sqlite":
        return [None if value is None else int(value) for value in values]
    return values


def _statement(connection: AsyncConnection, table: sa.Table, columns: tuple[str, ...]) -> _Written:
    known = _written.get((connection.dialect.name, table.name, columns))
    if known is None:
        inserting = insert(connection, table).on_conflict_do_nothing()
        compiled = inserting.compile(
            dialect=connection.dialect, column_keys=list(columns), for_executemany=True
        )
        known = str(compiled), tuple(compiled.positiontup)
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        _written[connection.dialect.name, table.name, columns] = known
    return known
