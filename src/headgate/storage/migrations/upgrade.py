"""Run the migrations inside a transaction that the caller holds.

Alembic's own `command.upgrade` wants an `env.py` and says nothing about which revision failed;
walking its revision graph ourselves is shorter than telling it.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import ResolutionError

from headgate.errors import StorageError
from headgate.storage.migrations.revision import LEDGER, write_down

FOLDER = Path(__file__).parent

# Any number, the same for all: two gateways that start at once on one PostgreSQL take turns.
_ADVISORY_LOCK = 0x48454144


def upgrade(
    connection: sa.Connection,
    folder: Path = FOLDER,
    *,
    now_ms: int = 0,
    before_change: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Bring the schema to the newest revision; the revisions that were run, oldest first.

    `before_change` gets the newest revision before the first change of a database that has one already.
    Raises StorageError, after which the caller must roll back: DDL is transactional on both
    databases, so nothing of a failed migration stays.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    scripts = ScriptDirectory(str(folder))
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    steps = _missing_steps(scripts, context)
    if steps and context.get_current_revision() is not None:
        before_change(steps[-1].revision)
    done = []
    for step in steps:
        _run(step, scripts, context)
        done.append(step.revision)
    if done:
        write_down(connection, done, now_ms)
    return done


def _maker_of(connection: sa.Connection, revision: str | None) -> str | None:
    """The version of Headgate that made this revision, where a ledger says so."""
    if not sa.inspect(connection).has_table(LEDGER.name):
        return None
    query = sa.select(LEDGER.c.headgate_version).where(LEDGER.c.revision == revision)
    maker: str | None = connection.execute(query).scalar()
    return maker


def _missing_steps(scripts: ScriptDirectory, context: MigrationContext) -> list[Script]:
    current = context.get_current_revision()
    try:
        return list(scripts.iterate_revisions("head", current))[::-1]
    except ResolutionError as error:
        assert context.connection is not None
        maker = _maker_of(context.connection, current)
        by, wanted = (f", made by Headgate {maker}", f"headgate>={maker}") if maker else ("", "headgate")
        raise StorageError(
            f"The database has schema {current}{by}, which is newer than this program "
            f"(Headgate {version('headgate')}) knows.",
            hint="Run the Headgate version that made it, or a newer one: "
            f"`pip install --upgrade '{wanted}'`; or put back a copy from before its upgrade.",
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
