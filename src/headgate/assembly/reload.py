"""New settings for a gateway that runs: all that can fail first, then the swap, in one turn of the loop.

The parts hold what they need by reference: a request that runs ends by what it began with.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from headgate import log
from headgate.access.callers import Callers
from headgate.access.gate import Gate
from headgate.access.queue import FairQueue
from headgate.access.ring import KeyRing
from headgate.admin.actor import ACTOR, Actor, Who
from headgate.admin.owner import Owner
from headgate.assembly import parts
from headgate.assembly.keeping import Keeping
from headgate.assembly.price_list import PriceList
from headgate.assembly.stores import Stores
from headgate.clock import Clock
from headgate.config import fingerprints
from headgate.config.exposure import refuse_to_stand_open
from headgate.config.settings import LogSettings, Settings
from headgate.errors import HeadgateError, SettingsError, StorageError
from headgate.oauth.refresh import Refresher
from headgate.oauth.registration import Registrations
from headgate.pool.accounts import Account
from headgate.pool.pool import Pool
from headgate.record.supervisor import RecorderProcess
from headgate.relay.attempts import Relay
from headgate.relay.capture import Capture
from headgate.relay.plan import Planner
from headgate.server.lane import FastLane
from headgate.server.listener import Listener
from headgate.sources.sources import Sources
from headgate.storage.declared import take_declared
from headgate.upstream.client import UpstreamClient
from headgate.upstream.proxies import Proxies

_LOOK_SECONDS = 0.5
"""Between two looks at the files. A file counts as saved when two looks see it the same."""

_log = logging.getLogger("headgate.config")


@dataclass(slots=True)
class RunningParts:
    """Everything of a running gateway that settings shape."""

    settings: Settings
    stores: Stores
    pool: Pool
    ring: KeyRing
    gate: Gate
    queue: FairQueue
    tokens: Refresher
    planner: Planner
    sources: Sources
    upstream: UpstreamClient
    keeping: Keeping
    capture: Capture | None
    recorder: RecorderProcess
    lane: FastLane
    price_list: PriceList
    clock: Clock
    listener: Listener | None = None
    """None until the gateway listens."""

    async def apply(self, settings: Settings) -> None:
        """All of it or, when anything raises, nothing."""
        surveyed = None
        if settings.sources != self.settings.sources:
            surveyed = await self.sources.examine(settings.sources)
        has_key = bool(settings.access.api_keys) or self.ring.has_stored
        of_hosts = self.sources.have_client_keys if surveyed is None else surveyed.has_client_keys
        refuse_to_stand_open(settings, has_client_key=has_key or of_hosts)
        capture = self.capture
        if settings.storage.bodies != self.settings.storage.bodies:
            capture = await self.keeping.capture_for(settings)
        old, new = self._made(self.settings, self.capture), self._made(settings, capture)
        new_log = _opened_log(settings.log, self.settings.log)
        try:
            accounts = await self._declared(settings)
            await self._adopt_keys(settings)
            if settings.providers != self.settings.providers:
                await self.stores.sign_ins.forget_failures()
        except BaseException:
            if new_log is not None:
                new_log.output.close()
            raise
        try:
            self._hand_over(new, accounts, new_log)
            if surveyed is not None:
                await self.sources.apply(settings.sources, surveyed)
        except Exception:
            await self._take_back(old, accounts=accounts is not None, log_too=new_log is not None)
            raise
        self.settings, self.capture = settings, capture

    def _made(self, settings: Settings, capture: Capture | None) -> "_Made":
        relay = parts.relay_of(
            settings,
            pool=self.pool,
            tokens=self.tokens,
            planner=self.planner,
            upstream=self.upstream,
            answers=self.keeping.answers(settings, capture),
            gate=self.gate,
            queue=self.queue,
            clock=self.clock,
        )
        return _Made(settings, capture, relay, parts.callers_of(settings, self.ring, self.clock))

    def forget_heads(self) -> None:
        """Who was let in by other keys is asked once more."""
        if self.listener is not None:
            self.listener.forget_heads()

    async def _declared(self, settings: Settings) -> tuple[Account, ...] | None:
        """All accounts, with those that the settings declare; None: they declare what they did."""
        if settings.accounts == self.settings.accounts:
            return None
        try:
            return await self._brought_in(settings)
        except HeadgateError:
            with suppress(HeadgateError):  # the start brings them in once more
                await take_declared(self.stores.accounts, self.settings.accounts)
            raise

    def _hand_over(
        self, made: "_Made", accounts: tuple[Account, ...] | None, new_log: log.Prepared | None
    ) -> None:
        """Nothing here waits, and nothing should fail."""
        settings = made.settings
        if accounts is not None:
            self.pool.replace(accounts)
        self.pool.strategy = settings.routing.strategy
        self.pool.rotation = settings.routing.rotation
        self.pool.session_seconds = settings.routing.session_duration_ms / 1000
        self.tokens.endpoint.proxies = Proxies(settings.upstream)
        self.tokens.registrations = Registrations(parts.all_providers(), settings.providers)
        if settings.providers != self.settings.providers:
            for living in self.pool.living.values():
                living.health.ask_for_tokens_again()
        self.upstream.keepalive_seconds = settings.upstream.keepalive_seconds
        self.ring.declare(parts.declared_keys(settings))
        self.gate.defaults = parts.default_limits(settings)
        parts.set_queue(self.queue, settings)
        parts.set_spans(self.planner.spans, settings, made.capture)
        self.price_list.follow(settings)
        passes_traces = settings.telemetry.pass_traces
        self.lane.replace(made.relay, made.callers, settings.server, passes_traces=passes_traces)
        self.forget_heads()
        if new_log is not None:
            log.install(new_log)
        self.recorder.wish(parts.wishes_of(settings))

    async def _take_back(self, old: "_Made", *, accounts: bool, log_too: bool) -> None:
        """The old settings worked before. What fails even now is in the log, and the rest goes on by them."""
        try:
            before = await self._brought_in(self.settings) if accounts else None
            old_log = log.prepare(old.settings.log.model_dump()) if log_too else None
            self._hand_over(old, before, old_log)
        except Exception:  # whatever failed before may fail again
            _log.exception("The settings from before could not be put back whole: restart the gateway")

    async def _adopt_keys(self, settings: Settings) -> None:
        """New keys open by the settings alone; without their rows what they use is not remembered."""
        if settings.access.api_keys == self.settings.access.api_keys:
            return
        try:
            adopted = await self.stores.client_keys.adopt_all(parts.declared_keys(settings))
        except StorageError as error:
            _log.warning("What new client keys use is not added up before the next start: %s", error.message)
        else:
            self.ring.put({key.id: key for key in adopted})

    async def _brought_in(self, settings: Settings) -> tuple[Account, ...]:
        await take_declared(self.stores.accounts, settings.accounts)
        return await self.stores.accounts.list()


@dataclass(frozen=True, slots=True)
class _Made:
    """The parts that are built anew for other settings."""

    settings: Settings
    capture: Capture | None
    relay: Relay
    callers: Callers


def _opened_log(new: LogSettings, old: LogSettings) -> log.Prepared | None:
    """None: it is the same. SettingsError for another file that cannot be opened; the one from before may
    have been missing all along."""
    if new == old:
        return None
    prepared = log.prepare(new.model_dump())
    if prepared.failure and new.file != old.file:
        prepared.output.close()
        raise SettingsError(
            f"log.file: cannot be opened: {prepared.failure}",
            hint="Name a file in a folder that the gateway may write to, or null for none.",
        )
    return prepared


async def reload(owner: Owner) -> None:
    """For a signal or a changed file: what is wrong is in the log and on `/health`."""
    with suppress(HeadgateError):
        await owner.reload_settings()


async def reload_all(owner: Owner) -> None:
    """For a signal: also what is not followed by itself."""
    ACTOR.set(Actor(Who.SIGNAL))
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
