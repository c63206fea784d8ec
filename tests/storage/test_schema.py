"""The guides' own SQL (ledger D4)."""

import sqlite3

import sqlalchemy as sa

from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database, open_database
from headgate.storage.schema import Json
from tests.storage.rows import request_row, rows_of


async def test_d4_the_guides_sql_works_on_sqlite(sqlite_url: str) -> None:
    """As a person types it: with the sqlite3 shell's own library on the file."""
    opened = await open_database(sqlite_url)
    await opened.upgrade()
    with sqlite3.connect(str(opened.path)) as shell:
        now_ms = shell.execute("SELECT strftime('%s', 'now') * 1000").fetchone()[0]
        old = request_row("old", timestamp=now_ms - 7_200_000, duration_ms=1000.0)
        new = request_row("new", timestamp=now_ms - 1_000, duration_ms=50.0)
        await write_batch(opened, Step("j", "s", 0, 1), rows_of(old, new))
        hour = "SELECT COUNT(*) FROM requests WHERE timestamp > strftime('%s', 'now', '-1 hour') * 1000"
        assert shell.execute(hour).fetchone() == (1,)
        assert shell.execute("SELECT COUNT(*) FROM requests").fetchone() == (2,)
        assert shell.execute("SELECT account_tier FROM accounts").fetchall() == []
        assert shell.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        view = (
            "SELECT AVG(response_time_ms), MAX(response_time_ms) FROM api_requests"
            " WHERE created_at > datetime('now', '-1 hour')"
        )
        assert shell.execute(view).fetchone() == (50.0, 50.0)
    shell.close()
    await opened.close()


async def test_d4_the_guides_sql_works_on_postgresql(postgres_url: str) -> None:
    """`created_at` is a real timestamp and the tables are in `public`."""
    opened = await open_database(postgres_url)
    await opened.upgrade()
    async with opened.write() as connection:
        now_ms = (await connection.execute(sa.text("SELECT extract(epoch FROM now()) * 1000"))).scalar_one()
    old = request_row("old", timestamp=int(now_ms) - 7_200_000, duration_ms=1000.0)
    new = request_row("new", timestamp=int(now_ms) - 1_000, duration_ms=50.0)
    await write_batch(opened, Step("j", "s", 0, 1), rows_of(old, new))
    view = (
        "SELECT AVG(response_time_ms), MAX(response_time_ms) FROM public.api_requests"
        " WHERE created_at > NOW() - INTERVAL '1 hour'"
    )
    async with opened.read() as connection:
        assert (await connection.execute(sa.text(view))).one() == (50.0, 50.0)
        kind = await connection.execute(sa.text("SELECT pg_typeof(created_at)::text FROM api_requests"))
        assert kind.scalars().first() == "timestamp with time zone"
    await opened.close()


async def test_json_keeps_infinity(database: Database) -> None:
    """A health may say "until somebody acts"; PostgreSQL's own JSON would refuse the row."""
    value = {"until": float("inf"), "text": "a\0b"}
    query = sa.select(sa.literal(value, Json))
    async with database.read() as connection:
        assert (await connection.execute(query)).scalar_one() == value
