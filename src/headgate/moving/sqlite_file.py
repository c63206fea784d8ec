"""Another program's SQLite file, only read, while that program may be writing it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from headgate.errors import ForeignDataUnreadable

_MEND = "Give the database file itself, as the other program keeps it; it is not changed by reading."
_BUSY_TIMEOUT_SECONDS = 10.0
_MOST_VALUE_BYTES = 64 << 20
"""A request's stored body may be large; a value larger than this is no other program's doing."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One state of the file throughout: what is written meanwhile is not seen. Rows come as `sqlite3.Row`.

    Whatever goes wrong with the file, while it is open as well, is raised as ForeignDataUnreadable.
    """
    try:
        connection = _connect(path)
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield connection
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError) as error:  # names of tables and columns may be no text
        why = str(error) if isinstance(error, sqlite3.Error) else "its schema is no text"
        raise ForeignDataUnreadable(f"Cannot read {path}: {why}", hint=_MEND) from error


def _connect(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        state = "this is no file" if path.exists() else "there is no such file"
        raise ForeignDataUnreadable(f"{path}: {state}.", hint=_MEND)
    # Nobody writes it where it has no write-ahead log: then not even a lock is put beside it.
    is_in_use = any(Path(f"{path}{ending}").exists() for ending in ("-wal", "-journal"))
    mode = "mode=ro" if is_in_use else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
    )
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE_BYTES)
    # The file may be a stranger's: nothing in its schema is trusted to be harmless.
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Empty where there is no such table; a view or a virtual table is none."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    row = connection.execute(query, (table,)).fetchone()
    if row is None or not str(row[0]).upper().lstrip().startswith("CREATE TABLE"):
        return frozenset()
    return frozenset(str(one["name"]) for one in connection.execute(f"PRAGMA table_info({table})"))


def rows_in(connection: sqlite3.Connection, table: str) -> int:
    """0 where there is no such table."""
    if not columns_of(connection, table):
        return 0
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
