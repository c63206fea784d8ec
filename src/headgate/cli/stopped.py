"""The owner's side of a gateway that does not run: the same stores on the same database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from headgate.access.queue import FairQueue
from headgate.admin.app import build_app
from headgate.admin.configuration import Configuration
from headgate.admin.doors import as_local_owner
from headgate.admin.owner import Owner
from headgate.assembly import parts
from headgate.assembly.stores import Stores, open_current
from headgate.cli.options import warn
from headgate.clock import Clock, SystemClock
from headgate.config.loading import Loaded
from headgate.config.settings import Settings
from headgate.errors import StorageError
from headgate.outbox import Outbox
from headgate.pool.living import LivingAccount
from headgate.pool.pool import Pool
from headgate.record.bodies import Bodies
from headgate.record.catch_up import catch_up
from headgate.sources.gathering import doors_of
from headgate.upstream.client import UpstreamClient


async def _settle(stores: Stores, clock: Clock) -> bool:
    """What a killed gateway left in the journal; False while its recorder, or a start, is at it."""
    try:
        folder, prices = stores.folder / "journal", stores.prices.prices
        bodies = Bodies(stores.bodies.keys)
        await catch_up(
            folder, stores.database, clock, prices=prices, bodies=bodies, wait_seconds=1.0, tells=False
        )
    except StorageError:
        return False
    return True


@asynccontextmanager
async def open_app(loaded: Loaded, *, may_create: bool) -> AsyncIterator[ASGIApp]:
    """The admin app on the database alone. Who may read that file and its key is the owner already."""
    async with open_owner(loaded, may_create=may_create) as owner:
        yield as_local_owner(build_app(owner=owner))


@asynccontextmanager
async def open_owner(loaded: Loaded, *, may_create: bool) -> AsyncIterator[Owner]:
    """All is saved and closed at the end. Without `may_create` a missing file stays missing."""
    database = await open_current(loaded, create=may_create)
    try:
        changed: dict[int, LivingAccount] = {}
        clock, providers = SystemClock(), parts.all_providers()
        stores = Stores.on(database, loaded, clock)
        pool = parts.pool_of(
            clock,
            providers,
            loaded.settings.routing,
            on_health=lambda living: changed.update({living.id: living}),
        )
        await stores.fill(pool)
        await stores.prices.load()
        ring = await parts.ring_of(stores, loaded.settings)
        ring.follow_doors(await asyncio.to_thread(doors_of, loaded.settings.sources))
        gate = await parts.gate_of(stores, loaded.settings, clock)
        for warning in await stores.accounts.warnings():
            warn(warning)
        configuration = Configuration(loaded, apply=partial(_apply, pool))
        configuration.has_stored_keys = lambda: (
            ring.has_stored or (ring.doors is not None and bool(ring.doors.keys))
        )
        upstream = UpstreamClient(clock, Outbox())
        sign_in = parts.signing_in_of(
            stores,
            pool,
            upstream,
            clock,
            providers=providers,
            settings=loaded.settings,
            holder=parts.new_holder(),
        )
        try:
            yield parts.owner_of(
                configuration,
                stores,
                pool,
                ring,
                gate,
                FairQueue(clock.monotonic),
                clock,
                upstream=upstream,
                sign_in=sign_in,
                providers=providers,
                settle=partial(_settle, stores, clock),
            )
        finally:
            await sign_in.close()
            await upstream.close()
        states = {account_id: living.to_state() for account_id, living in changed.items()}
        await stores.health.save(states, at_ms=round(clock.now() * 1000))
    finally:
        await database.close()


async def _apply(pool: Pool, settings: Settings) -> None:
    """What a command shows behind its own change; all else is read at the next start."""
    pool.strategy = settings.routing.strategy
