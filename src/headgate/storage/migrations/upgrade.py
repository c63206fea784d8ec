"""Run the migrations inside a transaction that the caller holds.

Alembic's own `command.upgrade` wants an `env.py` and says nothing about which revision failed;
walking its revision graph ourselves is shorter than telling it.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import ResolutionError

from headgate.errors import StorageError

FOLDER = Path(__file__).parent

# Any number, the same for all: two gateways that start at once on one PostgreSQL take turns.
_ADVISORY_LOCK = 0x48454144


def upgrade(connection: sa.Connection, folder: Path = FOLDER) -> list[str]:
    """Bring the schema to the newest revision; the revisions that were run, oldest first.

    Raises StorageError, after which the caller must roll back: DDL is transactional on both
    databases, so nothing of a failed migration stays.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    scripts = ScriptDirectory(str(folder))
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    done = []
    for step in _missing_steps(scripts, context):
        _run(step, scripts, context)
        done.append(step.revision)
    return done


def _missing_steps(scripts: ScriptDirectory, context: MigrationContext) -> list[Script]:
    current = context.get_current_revision()
    try:
        return list(scripts.iterate_revisions("head", current))[::-1]
    except ResolutionError as error:
        raise StorageError(
            f"The database has schema {current}, which is newer than this program knows.",
            hint="Run the Headgate version that made it, or a newer one: `pip install --upgrade headgate`.",
        ) from error


def _run(step: Script, scripts: ScriptDirectory, context: MigrationContext) -> None:
    try:
        with Operations.context(context):
            step.module.upgrade()
        context.stamp(scripts, step.revision)
    except Exception as error:  # whatever a migration's own code raises belongs into the one message
        raise StorageError(
            f"Migration failed: {step.revision}: {_reason(error)}",
            hint="The database is unchanged. Keep a copy of it and report this message.",
        ) from error


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
    return " ".join(str(cause).split())
