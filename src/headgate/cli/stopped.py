"""The owner's side of a gateway that does not run: the same stores on the same database."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from headgate.admin.owner import Owner
from headgate.clock import Clock, SystemClock
from headgate.config import environment
from headgate.config.loading import Loaded
from headgate.config.saving import save_setting
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.providers.anthropic import AnthropicProvider
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, forget_position, write_batch
from headgate.storage.database import Database, open_database
from headgate.storage.health import HealthStore
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox

KEY_VARIABLE = "HEADGATE_SECRET_KEY"
JOURNAL_NAME = "commands"
"""Under which a command's own writes pass through the door of the recorder's batches."""


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
        yield await _owner(loaded, database, clock, changed)
        await _save_health(database, clock, changed)
    finally:
        await database.close()


async def _owner(
    loaded: Loaded, database: Database, clock: Clock, changed: dict[int, LivingAccount]
) -> Owner:
    """`changed` gathers the accounts whose health a command changes."""
    routing, provider = loaded.settings.routing, AnthropicProvider()
    folder = database.path.parent if database.path else loaded.data_folder
    box = SecretBox.open_or_create(folder, environment.current().get(KEY_VARIABLE))
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
        started_at=clock.now(),
    )


async def _save_health(database: Database, clock: Clock, changed: dict[int, LivingAccount]) -> None:
    """As the recorder does for a running gateway; the newest state of an account wins."""
    if not changed:
        return
    at_ms = round(clock.now() * 1000)
    rows = [
        {"account_id": account_id, "at_ms": at_ms, "state": living.health.to_state()}
        for account_id, living in changed.items()
    ]
    step = Step(JOURNAL_NAME, secrets.token_hex(8), 0, 1)
    await write_batch(database, step, Rows(health=rows))
    await forget_position(database, step.journal, step.segment)
