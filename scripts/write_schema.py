"""The newest schema as the migrations make it, for new SQLite files: part of `make docs`."""

import sqlalchemy as sa

from headgate.storage.migrations.upgrade import upgrade

_HEAD = "-- Generated from the migrations by `make docs`: all that they make of an empty SQLite file.\n"
_KINDS = ("table", "index", "view", "trigger")


def newest() -> str:
    """Statements with an empty line after each; what SQLite makes by itself is not among them."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        found = connection.exec_driver_sql(
            "SELECT type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
        )
        kinds: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        for kind, statement in found:
            if statement is not None:  # else the index of a UNIQUE
                kinds[kind].append(
                    "\n".join(line.rstrip() for line in statement.splitlines() if line.strip())
                )
    engine.dispose()
    return _HEAD + "\n\n".join(statement for kind in _KINDS for statement in kinds[kind]) + "\n"
