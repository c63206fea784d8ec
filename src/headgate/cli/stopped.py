"""The owner's side of a gateway that does not run: the same stores on the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from headgate.admin.owner import Owner
from headgate.clock import SystemClock
from headgate.config import environment
from headgate.config.loading import Loaded
from headgate.config.saving import save_setting
from headgate.pool.pool import Pool
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database, open_database
from headgate.storage.health import HealthStore
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox

KEY_VARIABLE = "HEADGATE_SECRET_KEY"


@asynccontextmanager
async def open_owner(loaded: Loaded, *, may_create: bool) -> AsyncIterator[Owner]:
    """The database is closed at the end. Without `may_create` a missing file stays missing."""
    url = loaded.settings.storage.url
    database = await open_database(
        url.get_secret_value() if url else None, loaded.data_folder, create=may_create
    )
    try:
        await database.upgrade()
        yield await _owner(loaded, database)
    finally:
        await database.close()


async def _owner(loaded: Loaded, database: Database) -> Owner:
    clock, routing = SystemClock(), loaded.settings.routing
    folder = database.path.parent if database.path else loaded.data_folder
    secrets = SecretBox.open_or_create(folder, environment.current().get(KEY_VARIABLE))
    accounts = AccountStore(database, secrets, clock)
    pool = Pool(clock, routing.strategy, routing.session_duration_ms / 1000, on_health=lambda _: None)
    pool.replace(await accounts.list(), await HealthStore(database).load())

    async def save(path: str, value: Any) -> bool:
        return save_setting(loaded.path, path, value)

    return Owner(
        settings=loaded.settings,
        clock=clock,
        version=version("headgate"),
        database=database,
        accounts=accounts,
        requests=RequestStore(database),
        pool=pool,
        providers=PROVIDERS,
        save_setting=save,
        started_at=clock.now(),
    )
