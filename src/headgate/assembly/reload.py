"""New settings for a gateway that runs: all that can fail first, then the swap, in one turn of the loop.

The parts hold what they need by reference: a request that runs ends by what it began with.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from headgate import log
from headgate.admin.owner import Owner
from headgate.assembly import parts
from headgate.assembly.stores import Stores
from headgate.clock import Clock
from headgate.config import fingerprints
from headgate.config.exposure import refuse_to_stand_open
from headgate.config.settings import Settings
from headgate.errors import HeadgateError
from headgate.oauth.refresh import Refresher
from headgate.oauth.registration import Registrations
from headgate.pool.pool import Pool
from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess
from headgate.relay.plan import Planner
from headgate.server.lane import FastLane
from headgate.server.listener import Listener
from headgate.sources.sources import Sources
from headgate.storage.declared import take_declared
from headgate.upstream.client import UpstreamClient
from headgate.upstream.proxies import Proxies

_LOOK_SECONDS = 0.5
"""Between two looks at the files. A file counts as saved when two looks see it the same."""


@dataclass(slots=True)
class RunningParts:
    """Everything of a running gateway that settings shape."""

    settings: Settings
    stores: Stores
    pool: Pool
    tokens: Refresher
    planner: Planner
    sources: Sources
    upstream: UpstreamClient
    journal: Journal
    recorder: RecorderProcess
    lane: FastLane
    clock: Clock
    listener: Listener | None = None
    """None until the gateway listens."""

    async def apply(self, settings: Settings) -> None:
        """Raises HeadgateError before anything is changed."""
        refuse_to_stand_open(settings)
        callers = parts.callers_of(settings)
        relay = parts.relay_of(
            settings,
            pool=self.pool,
            tokens=self.tokens,
            planner=self.planner,
            upstream=self.upstream,
            journal=self.journal,
            clock=self.clock,
        )
        accounts = surveyed = None
        if settings.sources != self.settings.sources:
            surveyed = await self.sources.examine(settings.sources)
        if settings.accounts != self.settings.accounts:
            await take_declared(self.stores.accounts, settings.accounts)
            accounts = await self.stores.accounts.list()
        if settings.providers != self.settings.providers:
            await self.stores.sign_ins.forget_failures()
        # From here on nothing fails and nothing waits.
        if accounts is not None:
            self.pool.replace(accounts)
        if surveyed is not None:
            await self.sources.apply(settings.sources, surveyed)
        if settings.providers != self.settings.providers:
            self.tokens.registrations = Registrations(parts.all_providers(), settings.providers)
            for living in self.pool.living.values():
                living.health.ask_for_tokens_again()
        self.tokens.endpoint.proxies = Proxies(settings.upstream)
        routing = settings.routing
        self.pool.strategy = routing.strategy
        self.pool.rotation = routing.rotation
        self.pool.session_seconds = routing.session_duration_ms / 1000
        self.upstream.keepalive_seconds = settings.upstream.keepalive_seconds
        self.lane.replace(relay, callers, settings.server)
        if self.listener is not None:
            self.listener.forget_heads()
        if settings.log != self.settings.log:
            log.configure(settings.log.model_dump())
            self.recorder.configure_log(settings.log.model_dump())
        self.settings = settings


async def reload(owner: Owner) -> None:
    """For a signal or a changed file: what is wrong is in the log and on `/health`."""
    with suppress(HeadgateError):
        await owner.reload_settings()


async def reload_all(owner: Owner) -> None:
    """For a signal: also what is not followed by itself."""
    await reload(owner)
    if owner.sources is not None:
        await owner.sources.look(insists=True)


async def follow_files(owner: Owner) -> None:
    """Reload when a file that had a say is another one: settings, `.env`, secrets. Ends when cancelled."""
    configuration = owner.configuration
    earlier = configuration.watched
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = await asyncio.to_thread(fingerprints.of, configuration.watched)
        if now == earlier and now != configuration.watched:
            await reload(owner)
        earlier = now
