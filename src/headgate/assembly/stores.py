"""What is kept, opened for a gateway or for a command that finds none running."""

from dataclasses import dataclass
from pathlib import Path

from headgate.clock import Clock
from headgate.config.loading import Loaded
from headgate.config.settings import Settings
from headgate.pool.pool import Pool
from headgate.pricing.prices import Listed, own_prices
from headgate.record.instance import InstanceLock
from headgate.storage.accounts import AccountStore
from headgate.storage.bodies import BodyStore
from headgate.storage.body_keys import BodyKeys
from headgate.storage.client_keys import KeyStore
from headgate.storage.counters import CounterStore
from headgate.storage.database import Database, open_database
from headgate.storage.health import HealthStore
from headgate.storage.location import locate, make_data_folder, make_folder, state_folder
from headgate.storage.prices import PriceStore
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import SignInStore
from headgate.storage.spending import SpendingStore


async def open_current(loaded: Loaded, *, create: bool = True) -> Database:
    """The database that the settings name, at the newest schema. Whoever gets it closes it."""
    database = await open_database(loaded.settings.storage.address, loaded.data_folder, create=create)
    try:
        await database.upgrade()
    except BaseException:
        await database.close()
        raise
    return database


async def become_the_only_one(loaded: Loaded) -> InstanceLock:
    """Before anything is opened: makes the folders, which are this process's alone until it ends."""
    location = locate(loaded.settings.storage.address, loaded.data_folder)
    make_folder(location)
    make_data_folder(loaded.data_folder)
    folders = {loaded.data_folder}
    if location.path is not None:
        # Of a link also the place that it leads to.
        folders |= {location.path.parent, location.path.resolve().parent}
    instance = InstanceLock()
    await instance.take(folders)
    return instance


def own_of(settings: Settings) -> list[Listed]:
    """The owner's own prices."""
    accounts = {one.name: one.prices for one in settings.accounts if one.prices}
    return own_prices(settings.pricing.models, accounts)


@dataclass(frozen=True, slots=True)
class Stores:
    """On one open database."""

    database: Database
    folder: Path
    """Where journal and key lie."""
    secrets: SecretBox
    accounts: AccountStore
    sign_ins: SignInStore
    health: HealthStore
    client_keys: KeyStore
    spending: SpendingStore
    prices: PriceStore
    bodies: BodyStore

    @classmethod
    def on(cls, database: Database, loaded: Loaded, clock: Clock) -> "Stores":
        """Raises SettingsError for a key that cannot be one."""
        folder = state_folder(database.path, loaded.data_folder)
        secrets = SecretBox.open_or_create(folder, loaded.secret_key)
        accounts = AccountStore(database, secrets, clock)
        sign_ins = SignInStore(database, secrets, accounts, clock)
        keys, spending = KeyStore(database, clock), SpendingStore(database)
        prices = PriceStore(database, clock, own_of(loaded.settings))
        health = HealthStore(database)
        bodies = BodyStore(database, BodyKeys(database, secrets, clock))
        return cls(database, folder, secrets, accounts, sign_ins, health, keys, spending, prices, bodies)

    async def fill(self, pool: Pool) -> None:
        """The accounts with the health and the counts that an earlier life left them."""
        pool.replace(await self.accounts.list())
        pool.restore(await self.health.load())
        for account_id, counts in (await CounterStore(self.database).load()).items():
            last_used_at = None if counts.last_used_ms is None else counts.last_used_ms / 1000
            pool.restore_counts(account_id, counts.requests, counts.errors, last_used_at)
