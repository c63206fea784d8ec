"""Which schema a database has and which one this program wants, told without the machinery that changes it.

That machinery, Alembic with what it brings along, takes nine megabytes of every process that loads it: so it
is loaded by whoever has something to change (`Database.upgrade`). A new SQLite file has not: it gets the
newest schema in one step.
"""

from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

_VERSIONS = Path(__file__).parent / "versions"
NEWEST_SCHEMA = Path(__file__).parent / "newest.sql"
"""What all migrations make of an empty SQLite file: statements with an empty line after each. `make docs`
writes it, a test holds it to the migrations."""
LEDGER = sa.table(
    "schema_history", sa.column("revision"), sa.column("headgate_version"), sa.column("applied_at")
)
_CURRENT = sa.table("alembic_version", sa.column("version_num"))


def revisions(connection: sa.Connection) -> tuple[str | None, str]:
    """The schema's revision, None where there is none yet, and the newest that this program knows."""
    if not sa.inspect(connection).has_table(_CURRENT.name):
        return None, newest()
    current: str | None = connection.execute(sa.select(_CURRENT.c.version_num)).scalar()
    return current, newest()


def newest() -> str:
    return all_revisions()[-1]


def all_revisions() -> list[str]:
    """By the files' names, `vNNNN_what.py`; a test holds them to the revisions within."""
    return sorted(file.name.partition("_")[0].removeprefix("v") for file in _VERSIONS.glob("v*.py"))


def make_new(connection: sa.Connection, *, now_ms: int) -> list[str]:
    """The newest schema into a SQLite file that holds nothing: its revisions. Another is left alone: none."""
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar():
        return []
    for statement in NEWEST_SCHEMA.read_text(encoding="utf-8").strip().split("\n\n"):
        connection.exec_driver_sql(statement)
    made = all_revisions()
    connection.execute(sa.insert(_CURRENT).values(version_num=made[-1]))
    write_down(connection, made, now_ms)
    return made


def write_down(connection: sa.Connection, made: list[str], now_ms: int) -> None:
    """Revisions of the time before this ledger are not in it."""
    number = version("headgate")
    connection.execute(sa.delete(LEDGER).where(LEDGER.c.revision.in_(made)))
    rows = [{"revision": one, "headgate_version": number, "applied_at": now_ms} for one in made]
    connection.execute(sa.insert(LEDGER), rows)
