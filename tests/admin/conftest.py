"""An owner's side on a real SQLite file and a real pool, behind a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.access.gate import Gate
from headgate.access.queue import FairQueue
from headgate.access.ring import KeyRing
from headgate.admin.app import build_app
from headgate.admin.configuration import Configuration
from headgate.admin.owner import Owner
from headgate.admin.workings import Workings
from headgate.assembly import parts
from headgate.assembly.stores import Stores
from headgate.clock import SystemClock
from headgate.config.loading import load_settings
from headgate.config.settings import Settings
from headgate.errors import HeadgateError
from headgate.outbox import Outbox
from headgate.pool.pool import Pool
from headgate.providers.anthropic import AnthropicProvider
from headgate.record.replay import Counts
from headgate.record.supervisor import RecorderReport
from headgate.relay.exchange import Exchange
from headgate.storage.accounts import AccountStore
from headgate.storage.bodies import BodyStore
from headgate.storage.body_keys import BodyKeys
from headgate.storage.client_keys import KeyStore
from headgate.storage.conversations import ConversationStore
from headgate.storage.database import open_database
from headgate.storage.health import HealthStore
from headgate.storage.prices import PriceStore
from headgate.storage.requests import RequestStore
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import SignInStore
from headgate.storage.spending import SpendingStore
from headgate.upstream.client import UpstreamClient
from headgate.vitals import Vitals
from tests.admin.serving import served

ADMIN_KEY = "the-owner's-key"


def report(**changes: Any) -> RecorderReport:
    fields = {"is_alive": True, "pid": 4711, "restarts": 0, "lag_bytes": 0, "failure": None}
    return RecorderReport(**{**fields, "counts": Counts(), **changes})


def workings(**changes: Any) -> Workings:
    numbers = dict.fromkeys((one.name for one in fields(Workings)), 0)
    others = {"oldest_waiting_at": None, "vitals": Vitals(), "tally": None, "most_connections": 1000}
    return Workings(**{**numbers, **others, **changes})


@dataclass
class Relaying:
    """What the relaying side says of itself; a test sets it."""

    in_flight: int = 0
    open_streams: int = 0
    open_requests: list[Exchange] = field(default_factory=list)
    is_draining: bool = False
    journal_dropped: int = 0
    journal_failure: str | None = None
    certificate_failure: HeadgateError | None = None
    certificate_ends_at: float | None = None
    recorder: RecorderReport = field(default_factory=report)
    workings: Workings = field(default_factory=lambda: workings())


@pytest.fixture
def relaying() -> Relaying:
    return Relaying()


@pytest.fixture
async def owner(tmp_path: Path, relaying: Relaying) -> AsyncIterator[Owner]:
    """Its settings file is `config.yaml` in the test's folder; no variable has a say."""
    clock = SystemClock()
    database = await open_database(tmp_path / "headgate.db")
    await database.upgrade()
    provider, upstream = AnthropicProvider(), UpstreamClient(clock, Outbox())
    pool = Pool(clock, {provider.name: provider})

    async def apply(settings: Settings) -> None:
        pool.strategy = settings.routing.strategy

    configuration = Configuration(load_settings({}, {}, tmp_path / "config.yaml"), apply=apply)
    box = SecretBox.open_or_create(tmp_path)
    accounts = AccountStore(database, box, clock)
    sign_ins, keys = SignInStore(database, box, accounts, clock), KeyStore(database, clock)
    health, spending = HealthStore(database), SpendingStore(database)
    prices, bodies = PriceStore(database, clock), BodyStore(database, BodyKeys(database, box, clock))
    stores = Stores(database, tmp_path, box, accounts, sign_ins, health, keys, spending, prices, bodies)
    sign_in = parts.signing_in_of(
        stores,
        pool,
        upstream,
        clock,
        providers={provider.name: provider},
        settings=configuration.settings,
        holder=parts.new_holder(),
    )
    yield Owner(
        secrets=box,
        configuration=configuration,
        clock=clock,
        version="1.2.3",
        database=database,
        accounts=accounts,
        sign_in=sign_in,
        requests=RequestStore(database),
        conversations=ConversationStore(database),
        pool=pool,
        ring=KeyRing(),
        gate=Gate(clock),
        queue=FairQueue(clock.monotonic),
        client_keys=keys,
        prices=prices,
        bodies=bodies,
        upstream=upstream,
        providers={provider.name},
        process=relaying,
        started_at=clock.now(),
    )
    await sign_in.close()
    await upstream.close()
    await database.close()


@pytest.fixture
async def client(owner: Owner) -> AsyncIterator[httpx.AsyncClient]:
    """Without an admin key: this machine is the owner."""
    async with served(build_app(owner=owner)) as client:
        yield client


@asynccontextmanager
async def with_key(owner: Owner, settings: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends the admin key, which is set: some routes are not there without. `settings` are more
    of the file."""
    owner.configuration.loaded.path.write_text(f"admin: {{key: {ADMIN_KEY}}}\n{settings}")
    await owner.reload_settings()
    async with served(build_app(owner=owner)) as client:
        client.headers["x-management-key"] = ADMIN_KEY
        yield client


@pytest.fixture
async def manager(owner: Owner) -> AsyncIterator[httpx.AsyncClient]:
    async with with_key(owner) as client:
        yield client


def set_up(owner: Owner, **settings: Any) -> None:
    """These are in force, as if they had been loaded."""
    loaded = owner.configuration.loaded
    owner.configuration.loaded = replace(loaded, settings=Settings.model_validate(settings))


async def add(client: httpx.AsyncClient, name: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "api_key": f"sk-ant-{name}-secret", **fields}
    answer = await client.post("/api/accounts", json=body)
    assert answer.status_code == 201, answer.text
    account: dict[str, Any] = answer.json()
    return account
