"""Which schema a database has and which one this program wants, told without the machinery that changes it.

That machinery, Alembic with what it brings along, takes nine megabytes of every process that loads it: so it
is loaded by whoever has something to change (`Database.upgrade`).
"""

from pathlib import Path

import sqlalchemy as sa

_VERSIONS = Path(__file__).parent / "versions"
_CURRENT = sa.table("alembic_version", sa.column("version_num"))


def revisions(connection: sa.Connection) -> tuple[str | None, str]:
    """The schema's revision, None where there is none yet, and the newest that this program knows."""
    if not sa.inspect(connection).has_table(_CURRENT.name):
        return None, newest()
    current: str | None = connection.execute(sa.select(_CURRENT.c.version_num)).scalar()
    return current, newest()


def newest() -> str:
    """By the files' names, `vNNNN_what.py`; a test holds them to the revisions within."""
    return max(file.name.partition("_")[0].removeprefix("v") for file in _VERSIONS.glob("v*.py"))
