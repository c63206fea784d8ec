from pathlib import Path

from headgate.clock import SystemClock
from headgate.pool.accounts import Credential
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.health import HealthStore
from headgate.storage.secrets import SecretBox


async def test_health_of_an_account_that_is_gone_is_not_loaded(database: Database) -> None:
    """A record may arrive after the removal; it is stored and means nothing."""
    row = {"account_id": 77, "at_ms": 1, "state": {"until": 5.0}}
    await write_batch(database, Step("j", "s", 0, 1), Rows(health=[row]))
    assert await HealthStore(database).load() == {}


async def test_a_saved_state_gives_way_to_a_newer_one_alone(database: Database, tmp_path: Path) -> None:
    accounts = AccountStore(database, SecretBox.open_or_create(tmp_path), SystemClock())
    account = await accounts.add(AccountDraft(name="a", provider="anthropic", secret=Credential("s")))
    store = HealthStore(database)
    await store.save({}, at_ms=1)
    for at_ms in (5, 9, 7):
        await store.save({account.id: {"at": at_ms}}, at_ms=at_ms)
    assert await store.load() == {account.id: {"at": 9}}
