"""The owner's side of a gateway that does not run: the same stores on the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from starlette.types import ASGIApp

from headgate.admin.app import build_app
from headgate.admin.doors import as_local_owner
from headgate.admin.owner import Owner
from headgate.cli.terminal import err
from headgate.clock import Clock, SystemClock
from headgate.config import environment
from headgate.config.loading import Loaded
from headgate.config.places import SECRET_KEY_VARIABLE
from headgate.config.saving import save_setting
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.providers.anthropic import AnthropicProvider
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database, open_database
from headgate.storage.health import HealthStore
from headgate.storage.location import state_folder
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox


@asynccontextmanager
async def open_app(loaded: Loaded, *, may_create: bool) -> AsyncIterator[ASGIApp]:
    """The admin app on the database alone. Who may read that file and its key is the owner already."""
    async with open_owner(loaded, may_create=may_create) as owner:
        yield as_local_owner(build_app(owner=owner))


@asynccontextmanager
async def open_owner(loaded: Loaded, *, may_create: bool) -> AsyncIterator[Owner]:
    """All is saved and closed at the end. Without `may_create` a missing file stays missing."""
    url = loaded.settings.storage.url
    database = await open_database(
        url.get_secret_value() if url else None, loaded.data_folder, create=may_create
    )
    try:
        await database.upgrade()
        changed: dict[int, LivingAccount] = {}
        clock = SystemClock()
        owner = await _owner(loaded, database, clock, changed)
        for warning in await owner.accounts.warnings():
            err.print(f"warning: {warning}", style="yellow", soft_wrap=True, markup=False)
        yield owner
        states = {account_id: living.health.to_state() for account_id, living in changed.items()}
        await HealthStore(database).save(states, at_ms=round(clock.now() * 1000))
    finally:
        await database.close()


async def _owner(
    loaded: Loaded, database: Database, clock: Clock, changed: dict[int, LivingAccount]
) -> Owner:
    """`changed` gathers the accounts whose health a command changes."""
    routing, provider = loaded.settings.routing, AnthropicProvider()
    folder = state_folder(database.path, loaded.data_folder)
    box = SecretBox.open_or_create(folder, environment.current().get(SECRET_KEY_VARIABLE))
    accounts = AccountStore(database, box, clock)
    pool = Pool(
        clock,
        {provider.name: provider},
        strategy=routing.strategy,
        session_seconds=routing.session_duration_ms / 1000,
        rotation=routing.rotation,
        on_health=lambda living: changed.update({living.id: living}),
    )
    pool.replace(await accounts.list())
    pool.restore(await HealthStore(database).load())

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
        providers={provider.name},
        save_setting=save,
        sources=loaded.sources,
        started_at=clock.now(),
    )
