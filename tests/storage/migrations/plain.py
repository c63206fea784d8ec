"""The database as it was before the history had months, and before it had clients."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage.rollup_tables import LAYOUT

_REQUESTS = ("newest", "status", "account", "failed", "account_failed")


async def without_months(connection: AsyncConnection) -> None:
    """One table for all requests and one for all attempts, with the keys and references of that time; rows
    of the first part alone are kept. SQLite is left as it is."""
    if connection.dialect.name == "sqlite":
        return
    view = (await connection.execute(sa.text("SELECT pg_get_viewdef('api_requests'::regclass)"))).scalar()
    for statement in (
        "DROP VIEW api_requests",
        "ALTER TABLE requests DETACH PARTITION requests_first",
        "ALTER TABLE attempts DETACH PARTITION attempts_first",
        "ALTER SEQUENCE requests_seq_seq OWNED BY requests_first.seq",
        "DROP TABLE requests, attempts",
        "ALTER TABLE requests_first RENAME TO requests",
        "ALTER TABLE requests DROP CONSTRAINT requests_first_pkey, DROP CONSTRAINT requests_first_id",
        "ALTER TABLE requests ADD PRIMARY KEY (seq), ADD CONSTRAINT requests_id UNIQUE (id)",
        *(f"ALTER INDEX requests_first_{one} RENAME TO requests_{one}" for one in _REQUESTS),
        "DROP INDEX requests_first_session",
        "ALTER TABLE attempts_first RENAME TO attempts",
        "ALTER TABLE attempts DROP CONSTRAINT attempts_first_pkey, ALTER request_at DROP NOT NULL",
        "ALTER TABLE attempts ADD PRIMARY KEY (request_id, position)",
        "UPDATE attempts SET request_at = NULL WHERE request_failed IS NULL",
        "DROP INDEX attempts_first_account_request_failed_request_at_request_id_idx",
        "CREATE INDEX attempts_left ON attempts (account, request_failed, request_at, request_id)"
        " WHERE request_at IS NOT NULL",
        "ALTER TABLE attempts ADD CONSTRAINT attempts_request"
        " FOREIGN KEY (request_id) REFERENCES requests (id) ON DELETE CASCADE",
        "ALTER TABLE request_links ADD CONSTRAINT request_links_request"
        " FOREIGN KEY (request_id) REFERENCES requests (id) ON DELETE CASCADE",
        "ALTER TABLE bodies ADD CONSTRAINT bodies_request"
        " FOREIGN KEY (seq) REFERENCES requests (seq) ON DELETE CASCADE",
        f"CREATE VIEW api_requests AS {view}",
    ):
        await connection.exec_driver_sql(statement)


async def without_clients(connection: AsyncConnection) -> None:
    """What revision 0014 has of these tables."""
    for name, (by, counts) in LAYOUT.items():
        keys = [one for one in by if one not in ("client", "project")]
        counts = tuple(one for one in counts if one != "tool_calls")
        await connection.exec_driver_sql(f"DELETE FROM {name} WHERE by_key NOT IN (0, 1)")
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"ALTER TABLE {name} DROP COLUMN client, DROP COLUMN project")
            await connection.exec_driver_sql(f"ALTER TABLE {name} DROP COLUMN IF EXISTS tool_calls")
            key = f"CONSTRAINT {name}_pkey PRIMARY KEY ({', '.join(keys)})"
            await connection.exec_driver_sql(f"ALTER TABLE {name} ADD {key}")
        else:
            columns = ", ".join((*keys, *counts))
            await connection.exec_driver_sql(f"CREATE TABLE old AS SELECT {columns} FROM {name}")
            await connection.exec_driver_sql(f"DROP TABLE {name}")
            await connection.exec_driver_sql(f"ALTER TABLE old RENAME TO {name}")
    for statement in (
        "DROP INDEX requests_session",
        "ALTER TABLE requests DROP COLUMN client",
        "ALTER TABLE requests DROP COLUMN project",
        "UPDATE alembic_version SET version_num = '0014'",
    ):
        await connection.exec_driver_sql(statement)
