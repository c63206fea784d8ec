"""Builders of the parts that settings shape. A reload calls them again for those that it replaces."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from headgate.access.batches import MOST as MOST_BATCHES
from headgate.access.batches import BatchMemory
from headgate.access.callers import Callers, digest_of_entry
from headgate.access.gate import Gate
from headgate.access.limits import Limits
from headgate.access.queue import FairQueue
from headgate.access.ring import KeyRing
from headgate.admin.configuration import Configuration
from headgate.admin.owner import BodyKeeping, GatewayProcess, Owner
from headgate.assembly.first_uses import FirstUses
from headgate.assembly.sharing import SharedLimits
from headgate.assembly.stores import Stores, own_of
from headgate.clock import Clock
from headgate.config.exposure import is_loopback
from headgate.config.settings import RoutingSettings, Settings
from headgate.oauth.attempts import Attempts
from headgate.oauth.refresh import Refresher
from headgate.oauth.registration import Registrations
from headgate.oauth.signing_in import SigningIn
from headgate.oauth.token_endpoint import TokenEndpoint
from headgate.pool.accounts import Account
from headgate.pool.living import LivingAccount
from headgate.pool.objects import Objects
from headgate.pool.pool import Pool
from headgate.pool.wanted import Switch
from headgate.providers.anthropic import AnthropicProvider
from headgate.providers.provider import Provider
from headgate.record.bodies import BodyWishes
from headgate.record.events import HealthRecord, ObjectRecord
from headgate.record.journal import Journal
from headgate.record.recorder import Wishes
from headgate.record.spans import Spans
from headgate.relay.answers import Answers
from headgate.relay.attempts import Relay
from headgate.relay.capture import Capture
from headgate.relay.ending import Ending
from headgate.relay.patience import Patience
from headgate.relay.plan import Planner
from headgate.relay.targets import Targets
from headgate.relay.waiting import WaitingRoom
from headgate.sources.sources import Sources
from headgate.storage.batch_usage import CountedResults
from headgate.storage.conversations import ConversationStore
from headgate.storage.objects import ObjectStore
from headgate.storage.requests import RequestStore
from headgate.storage.slices import SliceStore
from headgate.upstream.client import UpstreamClient
from headgate.upstream.proxies import Proxies

_OBJECTS_IN_MEMORY = 100_000

_log_proxy = logging.getLogger("headgate.proxy")


def all_providers() -> dict[str, Provider]:
    return {provider.name: provider for provider in (AnthropicProvider(),)}


# ---- the pool --------------------------------------------------------------------------------------


def new_holder() -> str:
    """A name for this process among those on the database; another one after a restart."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def telling_pool(
    clock: Clock, providers: dict[str, Provider], routing: RoutingSettings, journal: Journal, *, holder: str
) -> Pool:
    """A pool whose changes of health go to the journal, its warnings and switches to the log."""

    def on_health(living: LivingAccount) -> None:
        at_ms = int(clock.now() * 1000)
        state = {**living.to_state(), "writer": holder}
        journal.append(HealthRecord(living.account.id, living.account.name, at_ms, state))

    def on_soft_limit(living: LivingAccount, status: str) -> None:
        _log_proxy.warning("Account %s is near its limit: the provider says %s", living.account.name, status)

    def on_switch(switch: Switch) -> None:
        # Switches between attempts are told by the recorder, from the request's record.
        if switch.is_conversation:
            _log_proxy.info(
                "Switched account: %s -> %s: %s", switch.from_account, switch.to_account, switch.why
            )

    return pool_of(
        clock, providers, routing, on_health=on_health, on_soft_limit=on_soft_limit, on_switch=on_switch
    )


def pool_of(
    clock: Clock,
    providers: dict[str, Provider],
    routing: RoutingSettings,
    *,
    on_health: Callable[[LivingAccount], None],
    **listeners: Any,
) -> Pool:
    return Pool(
        clock,
        providers,
        strategy=routing.strategy,
        session_seconds=routing.session_duration_ms / 1000,
        rotation=routing.rotation,
        on_health=on_health,
        **listeners,
    )


# ---- the relay -------------------------------------------------------------------------------------


async def planner_of(
    stores: Stores,
    pool: Pool,
    ring: KeyRing,
    providers: dict[str, Provider],
    journal: Journal,
    clock: Clock,
) -> Planner:
    """Knows where the objects of earlier requests live."""
    known = await ObjectStore(stores.database).load(_OBJECTS_IN_MEMORY)
    objects = Objects(_OBJECTS_IN_MEMORY)
    objects.load(known.items(), is_complete=len(known) < _OBJECTS_IN_MEMORY)

    def on_object(object_id: str, account_id: int) -> None:
        journal.append(ObjectRecord(object_id, account_id, int(clock.now() * 1000)))

    seed = stores.secrets.seed("messages")
    spans = Spans(journal.offer, clock.monotonic, seed=secrets.randbits(64) if seed is None else seed)
    return Planner(pool, objects, providers, ring=ring, clock=clock, on_object=on_object, spans=spans)


async def batches_of(stores: Stores) -> BatchMemory:
    """What was counted of the results of batches in earlier lives."""
    memory = BatchMemory()
    memory.load((await CountedResults(stores.database).load(MOST_BATCHES)).items())
    return memory


def set_spans(spans: Spans, settings: Settings, capture: Capture | None) -> None:
    kept = settings.storage.conversations
    spans.is_on, spans.keeps_titles = kept.link, kept.titles
    spans.key = None if capture is None else capture.key


def sources_of(stores: Stores, pool: Pool, clock: Clock, settings: Settings) -> Sources:
    return Sources(settings.sources, stores.accounts, pool, clock)


def signing_in_of(
    stores: Stores,
    pool: Pool,
    upstream: UpstreamClient,
    clock: Clock,
    *,
    providers: dict[str, Provider],
    settings: Settings,
    holder: str,
    on_renewed: Callable[[Account], None] = lambda account: None,
) -> SigningIn:
    """`holder`: see `new_holder`."""
    registrations = Registrations(providers, settings.providers)
    endpoint = TokenEndpoint(upstream, clock, Proxies(settings.upstream))
    refresher = Refresher(
        pool, stores.sign_ins, endpoint, registrations, clock, holder=holder, on_renewed=on_renewed
    )
    return SigningIn(Attempts(clock), endpoint, refresher)


def relay_of(
    settings: Settings,
    *,
    pool: Pool,
    tokens: Refresher,
    planner: Planner,
    upstream: UpstreamClient,
    answers: Answers,
    gate: Gate,
    queue: FairQueue,
    clock: Clock,
) -> Relay:
    targets = Targets(settings.providers, Proxies(settings.upstream))
    patience = Patience(settings.server, settings.upstream, clock)
    ending = Ending(
        pool=pool, targets=targets, upstream=upstream, patience=patience, answers=answers, clock=clock
    )
    room = None
    if settings.access.queue.max_waiting:
        room = WaitingRoom(queue, gate=gate, pool=pool, planner=planner, patience=patience, clock=clock)
    return Relay(
        pool=pool,
        planner=planner,
        targets=targets,
        upstream=upstream,
        patience=patience,
        retry=settings.retry,
        answers=answers,
        ending=ending,
        tokens=tokens,
        gate=gate,
        queue=queue,
        room=room,
        clock=clock,
    )


# ---- who may come in -------------------------------------------------------------------------------


async def ring_of(stores: Stores, settings: Settings, uses: FirstUses | None = None) -> KeyRing:
    """All client keys. Without `uses`, where nobody calls, first uses are not noted."""
    ring = KeyRing() if uses is None else uses.ring
    declared = declared_keys(settings)
    ring.declare(declared)
    if uses is not None:
        await stores.client_keys.adopt_all(declared)
    ring.replace(await stores.client_keys.list())
    return ring


def declared_keys(settings: Settings) -> list[bytes]:
    """Digests of the keys that stand in the settings."""
    return [digest_of_entry(entry) for entry in settings.access.api_keys]


async def gate_of(stores: Stores, settings: Settings, clock: Clock) -> Gate:
    """The limits of the keys, with what was used in earlier lives."""
    gate = Gate(clock, stores.prices.prices)
    gate.defaults = default_limits(settings)
    gate.restore(await stores.spending.load(clock.now()))
    gate.restore_guesses(await stores.spending.means(clock.now()))
    return gate


def shared_limits_of(
    stores: Stores,
    gate: Gate,
    ring: KeyRing,
    queue: FairQueue,
    clock: Clock,
    *,
    holder: str,
    predecessor: str | None,
) -> SharedLimits | None:
    """None: no other gateway can be on the database."""
    if stores.database.dialect != "postgresql":
        return None
    store = SliceStore(stores.database, holder, predecessor)
    return SharedLimits(store, gate, ring, clock, on_change=queue.wake)


def wishes_of(settings: Settings) -> Wishes:
    """What the recorder has to go by."""
    bodies = settings.storage.bodies
    return Wishes(
        settings.log.model_dump(),
        settings.storage.retention_days,
        own_of(settings),
        bodies=BodyWishes(bodies.max_bytes, bodies.max_total_mb << 20, bodies.retention_days),
        otlp_endpoint=settings.telemetry.otlp_endpoint,
    )


def default_limits(settings: Settings) -> Limits:
    return Limits(**settings.access.limits.model_dump())


def set_queue(queue: FairQueue, settings: Settings) -> None:
    queue.most = settings.access.queue.max_waiting
    queue.seconds = settings.access.queue.timeout_ms / 1000


def callers_of(settings: Settings, ring: KeyRing, clock: Clock) -> Callers:
    access = settings.access
    return Callers(
        ring,
        clock=clock,
        client_auth=access.client_auth,
        listens_wide=not is_loopback(settings.server.host),
        own_credentials=access.own_credentials,
    )


def owner_of(
    configuration: Configuration,
    stores: Stores,
    pool: Pool,
    ring: KeyRing,
    gate: Gate,
    queue: FairQueue,
    clock: Clock,
    *,
    upstream: UpstreamClient,
    sign_in: SigningIn,
    providers: dict[str, Provider],
    settle: Callable[[], Awaitable[bool]],
    sources: Sources | None = None,
    process: GatewayProcess | None = None,
    keeping: BodyKeeping | None = None,
    url: str = "",
    forget_heads: Callable[[], None] = lambda: None,
) -> Owner:
    """`process` is None when nothing is relayed."""
    return Owner(
        configuration=configuration,
        clock=clock,
        version=version("headgate"),
        database=stores.database,
        accounts=stores.accounts,
        secrets=stores.secrets,
        requests=RequestStore(stores.database),
        conversations=ConversationStore(stores.database),
        pool=pool,
        ring=ring,
        gate=gate,
        queue=queue,
        client_keys=stores.client_keys,
        prices=stores.prices,
        forget_heads=forget_heads,
        upstream=upstream,
        sign_in=sign_in,
        providers=set(providers),
        sources=sources,
        changing=sources.changing if sources is not None else asyncio.Lock(),
        process=process,
        keeping=keeping,
        bodies=stores.bodies,
        url=url,
        settle=settle,
        started_at=clock.now(),
    )
