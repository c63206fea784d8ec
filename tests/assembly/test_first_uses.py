"""When the days of a client key begin."""

from headgate.assembly.first_uses import FirstUses
from headgate.clock import SystemClock
from headgate.storage.client_keys import KeyStore
from headgate.storage.database import Database
from headgate.tasks import TaskGroup


async def test_a_first_use_right_before_the_stop_is_kept(database: Database) -> None:
    """Tasks are cancelled then, and the days of the key have begun."""
    store = KeyStore(database, SystemClock())
    made = await store.create("laptop", "hg_key", {"days_from_first_use": 3})
    tasks = TaskGroup()
    uses = FirstUses(store, SystemClock(), tasks)
    uses.ring.replace([made])
    uses.ring.check(made, made.digest, 1_000.0)
    await tasks.cancel()
    assert [key.first_used_at for key in await store.list()] == [None]
    await uses.finish()
    assert [key.first_used_at is None for key in await store.list()] == [False]
