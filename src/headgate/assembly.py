"""Settings in, running gateway out: the only file that names concrete parts.

Everything is opened in order and closed in reverse by one exit stack; a failure half-way closes what
was open. `run` is what `headgate serve` calls.
"""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
import stat
import sys
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headgate import log
from headgate.access.callers import Callers
from headgate.admin.app import build_app
from headgate.admin.owner import Owner
from headgate.clock import Clock, SystemClock
from headgate.config import environment
from headgate.config.loading import Loaded
from headgate.config.places import CONTROL_SOCKET, SECRET_KEY_VARIABLE
from headgate.config.saving import save_setting, write_default_file
from headgate.config.settings import Settings
from headgate.errors import SettingsError
from headgate.outbox import Outbox
from headgate.pool.living import LivingAccount
from headgate.pool.objects import Objects
from headgate.pool.pool import Pool, Switch
from headgate.providers.anthropic import AnthropicProvider
from headgate.providers.provider import Provider
from headgate.record.catch_up import catch_up
from headgate.record.events import HealthRecord, ObjectRecord
from headgate.record.journal import Journal
from headgate.record.supervisor import RecorderProcess
from headgate.relay.answers import Answers
from headgate.relay.attempts import Relay
from headgate.relay.ending import Ending
from headgate.relay.patience import Patience
from headgate.relay.plan import Planner
from headgate.relay.targets import Targets
from headgate.server.lane import FastLane
from headgate.server.listener import Listener
from headgate.server.ports import open_control_socket, open_port
from headgate.server.process import RunningProcess
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database, open_database
from headgate.storage.declared import take_declared
from headgate.storage.health import HealthStore
from headgate.storage.location import make_data_folder, state_folder
from headgate.storage.objects import ObjectStore
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox
from headgate.upstream.client import UpstreamClient

_log = logging.getLogger("headgate.server")
_log_proxy = logging.getLogger("headgate.proxy")

_OBJECTS_IN_MEMORY = 100_000


def run(loaded: Loaded, *, clock: Clock | None = None) -> int:
    """Run the gateway until a signal ends it. Returns 0; raises HeadgateError when it cannot start."""
    log.configure(loaded.settings.log.model_dump())
    _raise_descriptor_limit()
    gateway = _Gateway(loaded, clock or SystemClock())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(gateway.live())
    return 0


class _Gateway:
    """One life: open, serve, drain, close."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        self._loaded = loaded
        self._settings: Settings = loaded.settings
        self._clock = clock
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._providers: dict[str, Provider] = {"anthropic": AnthropicProvider()}

    async def live(self) -> None:
        async with AsyncExitStack() as closing:
            listener, process = await self._open(closing)
            _spare_the_collector()
            await self._stop.wait()
            process.is_draining = True
            _log.info("Shutting down: running requests may end")
            await listener.drain(self._settings.server.shutdown_grace_seconds, self._hurry)
        _log.info("Stopped")

    # ---- opening, bottom up ----------------------------------------------------------------------

    async def _open(self, closing: AsyncExitStack) -> tuple[Listener, RunningProcess]:
        settings, clock = self._settings, self._clock
        self._refuse_to_stand_open()
        write_default_file(self._loaded.path)
        tcp = open_port(settings.server.host, settings.server.port)
        closing.callback(tcp.close)

        database = await self._open_database(closing)
        make_data_folder(self._loaded.data_folder)
        folder = state_folder(database.path, self._loaded.data_folder)
        await catch_up(folder / "journal", database, clock)
        secrets = SecretBox.open_or_create(folder, environment.current().get(SECRET_KEY_VARIABLE))
        accounts = AccountStore(database, secrets, clock)
        await take_declared(accounts, settings.accounts)
        closed_warnings = await accounts.warnings()
        if not closed_warnings:
            secrets.make_key()  # to be backed up from the first day; not where another one is missing

        journal = Journal(folder / "journal", "gateway", clock)
        url = str(database.path) if database.path else self._database_url() or ""
        recorder = RecorderProcess(folder / "journal", url, settings.log.model_dump(), clock)
        await recorder.start()
        closing.push_async_callback(recorder.stop)
        closing.callback(journal.close)  # before the recorder is asked to finish

        pool = await self._fill_pool(database, accounts, journal)
        outbox = Outbox(journal.commit)
        upstream = UpstreamClient(clock, outbox, keepalive_seconds=settings.upstream.keepalive_seconds)
        closing.push_async_callback(upstream.close)
        lane = FastLane(
            await self._relay(pool, upstream, journal, database),
            self._callers(),
            outbox=outbox,
            clock=clock,
            limits=settings.server,
        )
        process = RunningProcess(lane, journal, recorder)
        owner = self._owner(database, accounts, pool, process)
        listener = Listener(lane, build_app(owner=owner), clock)
        closing.callback(listener.close)
        await listener.listen(tcp)
        await self._listen_locally(listener, closing)
        self._take_signals()  # before the start line: whoever waits for it may stop us at once
        folder_warnings = _mode_warnings(self._loaded.data_folder)
        file_warnings = [*folder_warnings, *database.warnings, *secrets.warnings]
        self._announce(tcp, [*self._loaded.warnings, *file_warnings, *closed_warnings])
        return listener, process

    async def _open_database(self, closing: AsyncExitStack) -> Database:
        database = await open_database(self._database_url(), self._loaded.data_folder)
        closing.push_async_callback(database.close)
        await database.upgrade()
        return database

    def _database_url(self) -> str | None:
        url = self._settings.storage.url
        return url.get_secret_value() if url else None

    async def _fill_pool(self, database: Database, accounts: AccountStore, journal: Journal) -> Pool:
        """The accounts with the health that an earlier life left them in."""
        routing = self._settings.routing

        def on_health(living: LivingAccount) -> None:
            at_ms = int(self._clock.now() * 1000)
            state = living.health.to_state()
            journal.append(HealthRecord(living.account.id, living.account.name, at_ms, state))

        def on_soft_limit(living: LivingAccount, status: str) -> None:
            _log_proxy.warning(
                "Account %s is near its limit: the provider says %s", living.account.name, status
            )

        def on_switch(switch: Switch) -> None:
            # Switches between attempts are told by the recorder, from the request's record.
            if switch.is_conversation:
                _log_proxy.info(
                    "Switched account: %s -> %s: %s", switch.from_account, switch.to_account, switch.why
                )

        pool = Pool(
            self._clock,
            self._providers,
            strategy=routing.strategy,
            session_seconds=routing.session_duration_ms / 1000,
            rotation=routing.rotation,
            on_health=on_health,
            on_soft_limit=on_soft_limit,
            on_switch=on_switch,
        )
        pool.replace(await accounts.list())
        pool.restore(await HealthStore(database).load())
        return pool

    async def _relay(
        self, pool: Pool, upstream: UpstreamClient, journal: Journal, database: Database
    ) -> Relay:
        settings, clock = self._settings, self._clock
        known = await ObjectStore(database).load(_OBJECTS_IN_MEMORY)
        objects = Objects(_OBJECTS_IN_MEMORY)
        objects.load(known.items(), is_complete=len(known) < _OBJECTS_IN_MEMORY)

        def on_object(object_id: str, account_id: int) -> None:
            journal.append(ObjectRecord(object_id, account_id, int(clock.now() * 1000)))

        base_urls = {name: one.base_url for name, one in settings.providers.items() if one.base_url}
        targets = Targets(base_urls)
        patience = Patience(settings.server, settings.upstream, clock)
        answers = Answers(journal, clock, settings.routing)
        return Relay(
            pool=pool,
            planner=Planner(pool, objects, self._providers, on_object=on_object),
            targets=targets,
            upstream=upstream,
            patience=patience,
            retry=settings.retry,
            answers=answers,
            ending=Ending(
                pool=pool,
                targets=targets,
                upstream=upstream,
                patience=patience,
                answers=answers,
                clock=clock,
            ),
            clock=clock,
        )

    def _callers(self) -> Callers:
        access = self._settings.access
        return Callers(
            access.api_keys,
            client_auth=access.client_auth,
            listens_wide=not _is_loopback(self._settings.server.host),
            own_credentials=access.own_credentials,
        )

    def _owner(
        self, database: Database, accounts: AccountStore, pool: Pool, process: RunningProcess
    ) -> Owner:
        async def save(path: str, value: Any) -> bool:
            return await asyncio.to_thread(save_setting, self._loaded.path, path, value)

        return Owner(
            settings=self._settings,
            clock=self._clock,
            version=version("headgate"),
            database=database,
            accounts=accounts,
            requests=RequestStore(database),
            pool=pool,
            providers=set(self._providers),
            save_setting=save,
            sources=self._loaded.sources,
            process=process,
            started_at=self._clock.now(),
        )

    async def _listen_locally(self, listener: Listener, closing: AsyncExitStack) -> None:
        if not hasattr(socket, "AF_UNIX"):
            return
        path = self._loaded.data_folder / CONTROL_SOCKET
        control = open_control_socket(path)
        closing.callback(path.unlink, missing_ok=True)
        closing.callback(control.close)
        await listener.listen_locally(control)

    # ---- what is said and what is refused --------------------------------------------------------

    def _refuse_to_stand_open(self) -> None:
        """Beyond loopback only with keys on both doors."""
        settings = self._settings
        if _is_loopback(settings.server.host):
            return
        missing = [
            name
            for name, is_missing in (
                ("access.api_keys", not settings.access.api_keys),
                ("admin.key", settings.admin.key is None),
            )
            if is_missing
        ]
        if missing:
            raise SettingsError(
                f"Refusing to listen on {settings.server.host} without {' and '.join(missing)}.",
                hint="Set both in the settings file, or listen on 127.0.0.1.",
            )

    def _announce(self, tcp: socket.socket, warnings: list[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)
        host, port = tcp.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _log.info("Server running on http://%s:%d", shown, port)

    def _take_signals(self) -> None:
        """The first signal asks for the drain, the second one cuts it short."""

        def on_signal() -> None:
            if self._stop.is_set():
                self._hurry.set()
            self._stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: Ctrl+C ends the runner
                loop.add_signal_handler(number, on_signal)


def _mode_warnings(folder: Path) -> list[str]:
    """The files in it guard themselves, but whoever may write here can put others in their place."""
    if os.name != "posix" or not (mode := stat.S_IMODE(folder.stat().st_mode)) & 0o077:
        return []
    return [f"{folder} is open to others (mode {mode:04o}). Mend: chmod 700 {folder}"]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _spare_the_collector() -> None:
    """What start-up made lives as long as the process: it need not be searched for garbage again.

    The relay makes hardly any cycles, so the young generation may grow larger before it is searched.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _raise_descriptor_limit() -> None:
    """Two descriptors per open stream: the usual soft limit of 1 024 ends at 500."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
