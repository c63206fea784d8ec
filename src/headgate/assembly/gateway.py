"""One life of a gateway: open, serve, drain, close.

Everything is opened in order and closed in reverse by one exit stack; a failure half-way closes what
was open.
"""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from headgate import log
from headgate.access.queue import FairQueue
from headgate.admin.app import build_app
from headgate.admin.configuration import Configuration
from headgate.admin.owner import Owner
from headgate.assembly import parts
from headgate.assembly.doors import FollowDoors
from headgate.assembly.first_uses import FirstUses
from headgate.assembly.keeping import Keeping
from headgate.assembly.neighbours import Neighbours
from headgate.assembly.price_list import PriceList
from headgate.assembly.reload import RunningParts, follow_files, reload_all
from headgate.assembly.stores import Stores, become_the_only_one, open_current
from headgate.clock import Clock
from headgate.config.exposure import refuse_to_stand_open
from headgate.config.loading import Loaded
from headgate.config.places import CONTROL_SOCKET
from headgate.config.saving import write_default_file
from headgate.config.settings import Settings
from headgate.oauth.schedule import Schedule
from headgate.outbox import Outbox
from headgate.pool.pool import Pool
from headgate.record.bodies import Bodies
from headgate.record.catch_up import catch_up
from headgate.record.division import Divided
from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess
from headgate.server.certificate import Certificate
from headgate.server.lane import FastLane
from headgate.server.listener import Listener
from headgate.server.ports import open_control_socket, open_port
from headgate.server.process import RunningProcess
from headgate.storage.database import Database
from headgate.storage.declared import take_declared
from headgate.tasks import TaskGroup
from headgate.upstream.client import UpstreamClient
from headgate.vitals import Vitals

_SECONDS_BETWEEN_MEMORIES = 60.0

_log = logging.getLogger("headgate.server")


class Gateway:
    """Lives once."""

    def __init__(self, loaded: Loaded, clock: Clock, standby: Divided | None = None) -> None:
        """`standby`: see `RecorderProcess`."""
        self._loaded = loaded
        self._standby = standby
        self._settings: Settings = loaded.settings  # at the start; see `Owner.settings` for those in force
        self._owner: Owner | None = None
        self._certificate: Certificate | None = None
        self._tasks = TaskGroup()
        self._clock = clock
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._opening: asyncio.Task[Any] | None = None
        """The task that opens, as long as it does: an order to stop ends it."""
        self._providers = parts.all_providers()

    async def live(self, *, take_signals: Callable[["Gateway"], None], when_open: Callable[[], None]) -> None:
        self._opening = asyncio.current_task()
        take_signals(self)
        async with AsyncExitStack() as closing:
            try:
                listener, process, owner = await self._open(closing)
            except asyncio.CancelledError:
                if not self._stop.is_set():
                    raise
                _log.info("Told to stop before the start was over")
                return
            self._opening = None
            when_open()
            await self._stop.wait()
            process.is_draining = True
            seconds = owner.settings.server.shutdown_grace_seconds
            _log.info("Shutting down: %s", _what_still_runs(process, seconds))
            await listener.drain(seconds, self._hurry)
        _log.info("Stopped")

    def ask_to_stop(self) -> None:
        """The first time for the drain, or to end the start; the second time to cut the end short."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def ask_to_reload(self) -> None:
        """Load the settings once more. What is wrong with them is in the log; the old ones stay then."""
        if self._owner is not None and not self._stop.is_set():
            self._tasks.spawn(reload_all(self._owner), name="settings reload")
            if self._certificate is not None:
                self._tasks.spawn(self._certificate.look(), name="certificate reload")

    # ---- opening, bottom up ----------------------------------------------------------------------

    async def _open(self, closing: AsyncExitStack) -> tuple[Listener, RunningProcess, Owner]:
        settings, clock = self._settings, self._clock
        for warning in self._loaded.warnings:
            _log.warning("%s", warning)
        certificate = self._certificate = Certificate.of(settings.server.tls)
        _log.debug("Settings from %s, data in %s", self._loaded.path, self._loaded.data_folder)
        self._make_settings_file()
        instance = await become_the_only_one(self._loaded)
        closing.callback(instance.release)
        tcp = open_port(settings.server.host, settings.server.port)
        closing.callback(tcp.close)

        stores = await self._open_stores(closing)
        closed_warnings = await stores.accounts.warnings()
        if not closed_warnings:
            stores.secrets.make_key()  # to be backed up from the first day; not where another one is missing

        journal, recorder = await self._open_records(stores, closing)
        holder = parts.new_holder()
        instance.announce(None, name=holder)
        pool = parts.telling_pool(clock, self._providers, settings.routing, journal, holder=holder)
        uses = FirstUses(stores.client_keys, clock, self._tasks)
        closing.push_async_callback(uses.finish)
        ring = await parts.ring_of(stores, settings, uses)
        gate = await parts.gate_of(stores, settings, clock)
        queue = FairQueue(clock.monotonic)
        parts.set_queue(queue, settings)
        sources = parts.sources_of(stores, pool, clock, settings)
        await sources.open()
        refuse_to_stand_open(settings, has_client_key=not ring.is_empty or sources.have_client_keys)
        await stores.fill(pool)
        log.hide_in_traces(pool.secrets)
        closing.push_async_callback(self._tasks.cancel)
        closing.callback(pool.tell_used_since, self._clock.now())  # while the journal is still open
        self._tasks.spawn(self._remember_windows(pool), name="windows")
        outbox = Outbox(journal.commit)
        keepalive_seconds = settings.upstream.keepalive_seconds
        upstream = UpstreamClient(
            clock, outbox, keepalive_seconds=keepalive_seconds, own_address=tcp.getsockname()
        )
        closing.push_async_callback(upstream.close)
        sign_in = parts.signing_in_of(
            stores,
            pool,
            upstream,
            clock,
            providers=self._providers,
            settings=settings,
            holder=holder,
            on_renewed=sources.note_renewed,
        )
        closing.push_async_callback(sources.close)
        closing.push_async_callback(sign_in.close, self._hurry)
        tokens = sign_in.refresher
        self._tasks.spawn(Schedule(pool, tokens, clock).run(), name="tokens ahead of time")
        planner = await parts.planner_of(stores, pool, ring, self._providers, journal, clock)
        keeping = Keeping(stores.bodies.keys, journal, clock, await parts.batches_of(stores))
        closing.callback(keeping.finish)
        capture = await keeping.capture_for(settings)
        parts.set_spans(planner.spans, settings, capture)
        doors = sources.on_hosts = FollowDoors(
            planner, ring, stores.client_keys, self._tasks, changing=sources.changing
        )
        sources.begin()
        relay = parts.relay_of(
            settings,
            pool=pool,
            tokens=tokens,
            planner=planner,
            upstream=upstream,
            answers=keeping.answers(settings, capture),
            gate=gate,
            queue=queue,
            clock=clock,
        )
        callers = parts.callers_of(settings, ring, clock)
        lane = FastLane(
            relay,
            callers,
            outbox=outbox,
            clock=clock,
            limits=settings.server,
            passes_traces=settings.telemetry.pass_traces,
        )
        vitals = Vitals()
        vitals.begin()
        closing.callback(vitals.end)
        process = RunningProcess(lane, journal, recorder, certificate, upstream=upstream, vitals=vitals)
        price_list = PriceList(stores.prices, recorder, upstream, clock, settings)
        running = RunningParts(
            settings=settings,
            stores=stores,
            pool=pool,
            ring=ring,
            gate=gate,
            queue=queue,
            tokens=tokens,
            planner=planner,
            sources=sources,
            upstream=upstream,
            keeping=keeping,
            capture=capture,
            recorder=recorder,
            lane=lane,
            price_list=price_list,
            clock=clock,
        )
        doors.forget_heads = running.forget_heads
        shared = parts.shared_limits_of(
            stores, gate, ring, queue, clock, holder=holder, predecessor=instance.predecessor
        )
        if shared is not None:
            await shared.join()
            closing.push_async_callback(shared.leave)
            self._tasks.spawn(shared.run(), name="shared limits")
        neighbours = Neighbours(
            stores,
            pool,
            ring,
            gate,
            clock,
            holder=holder,
            changing=sources.changing,
            on_keys=running.forget_heads,
            on_slices=shared.look if shared is not None else lambda: None,
            on_prices=price_list.look,
        )
        self._tasks.spawn(neighbours.run(), name="neighbours")
        configuration = Configuration(self._loaded, apply=running.apply)
        configuration.has_stored_keys = lambda: ring.has_stored or sources.have_client_keys
        owner = parts.owner_of(
            configuration,
            stores,
            pool,
            ring,
            gate,
            queue,
            clock,
            providers=self._providers,
            upstream=upstream,
            sign_in=sign_in,
            sources=sources,
            forget_heads=running.forget_heads,
            settle=recorder.settle,
            process=process,
            keeping=keeping,
            url=_url_of(tcp, certificate),
        )
        listener = Listener(lane, build_app(owner=owner), clock)
        closing.callback(listener.close)
        running.listener = listener
        await listener.listen(tcp, certificate)
        await self._listen_locally(listener, closing)
        self._owner = owner
        self._tasks.spawn(follow_files(owner), name="settings files")
        self._tasks.spawn(sources.follow(), name="files of accounts")
        self._tasks.spawn(price_list.run(), name="price list")
        if certificate is not None:
            self._tasks.spawn(certificate.follow(), name="certificate")
        folder_warnings = _mode_warnings(self._loaded.data_folder, stores.folder)
        file_warnings = [*folder_warnings, *stores.database.warnings, *stores.secrets.warnings]
        file_warnings += certificate.warnings if certificate is not None else []
        instance.announce(self._announce(tcp, [*file_warnings, *closed_warnings]), name=holder)
        return listener, process, owner

    async def _open_stores(self, closing: AsyncExitStack) -> Stores:
        """The database, brought up to what an earlier life left in the journal, and to the settings."""
        database = await self._open_database(closing)
        stores = Stores.on(database, self._loaded, self._clock)
        stores.secrets.refuse_broken()
        await stores.prices.take_shipped()
        await stores.prices.load()
        bodies = Bodies(stores.bodies.keys, parts.wishes_of(self._settings).bodies)
        prices = stores.prices.prices
        await catch_up(stores.folder / "journal", database, self._clock, prices=prices, bodies=bodies)
        if database.path is not None:  # of SQLite this gateway is the only one
            await stores.sign_ins.end_turns_of_the_dead()
        await take_declared(stores.accounts, self._settings.accounts)
        return stores

    async def _open_database(self, closing: AsyncExitStack) -> Database:
        database = await open_current(self._loaded)
        closing.push_async_callback(database.close)
        return database

    async def _remember_windows(self, pool: Pool) -> None:
        """A killed gateway forgets a minute of them at most."""
        while True:
            since = self._clock.now()
            await asyncio.sleep(_SECONDS_BETWEEN_MEMORIES)
            pool.tell_used_since(since)

    async def _open_records(self, stores: Stores, closing: AsyncExitStack) -> tuple[Journal, RecorderProcess]:
        folder, database = stores.folder / "journal", stores.database
        most = self._settings.storage.journal_max_mb << 20
        journal = Journal(folder, "gateway", self._clock, max_bytes=most)
        url = str(database.path) if database.path else self._settings.storage.address or ""
        recorder = RecorderProcess(
            folder,
            url,
            parts.wishes_of(self._settings),
            self._clock,
            standby=self._standby,
            secret_key=self._loaded.secret_key,
        )
        await recorder.start()
        closing.push_async_callback(recorder.stop, hurry=self._hurry)
        closing.callback(journal.close)  # before the recorder is asked to finish
        return journal, recorder

    async def _listen_locally(self, listener: Listener, closing: AsyncExitStack) -> None:
        if not hasattr(socket, "AF_UNIX"):
            return
        path = self._loaded.data_folder / CONTROL_SOCKET
        control = open_control_socket(path)
        closing.callback(path.unlink, missing_ok=True)
        closing.callback(control.close)
        await listener.listen_locally(control)

    # ---- what is said and what is refused --------------------------------------------------------

    def _make_settings_file(self) -> None:
        """A path that was named and is not there is most often misspelt."""
        path, is_named = self._loaded.path, self._loaded.is_named
        if write_default_file(path):
            level = logging.WARNING if is_named else logging.INFO
            _log.log(
                level,
                "There was no settings file at %s: one with every default as a comment is there now",
                path,
            )

    def _announce(self, tcp: socket.socket, warnings: list[str]) -> str:
        for warning in warnings:
            _log.warning("%s", warning)
        url = _url_of(tcp, self._certificate)
        _log.info("Server running on %s", url)
        return url


def _url_of(tcp: socket.socket, certificate: Certificate | None) -> str:
    host, port = tcp.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if certificate is not None else 'http'}://{shown}:{port}"


def _what_still_runs(process: RunningProcess, seconds: float) -> str:
    running = process.in_flight
    if not running:
        return "no request is running"
    requests = "1 running request" if running == 1 else f"{running} running requests"
    return f"{requests} may end within {seconds:g} s; a second signal ends them at once"


def _mode_warnings(data_folder: Path, state_folder: Path) -> list[str]:
    """The files in them guard themselves, but whoever may write there can put others in their place.

    The folder of a database elsewhere is its owner's choice: others may look into it.
    """
    if os.name != "posix":
        return []
    found = []
    for folder, closed_to_others in {state_folder: 0o022, data_folder: 0o077}.items():
        if (mode := stat.S_IMODE(folder.stat().st_mode)) & closed_to_others:
            found.append(f"{folder} is open to others (mode {mode:04o}). Mend: chmod 700 {folder}")
    return found
