from pathlib import Path

from headgate.clock import SystemClock
from headgate.pool.accounts import Credential
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.objects import ObjectStore
from headgate.storage.secrets import SecretBox


async def test_the_newest_objects_are_loaded_oldest_first(database: Database, tmp_path: Path) -> None:
    """So that a bounded memory filled in this order keeps the newest; the others are found one by one."""
    accounts = AccountStore(database, SecretBox.open_or_create(tmp_path), SystemClock())
    account = await accounts.add(AccountDraft(name="a", provider="anthropic", secret=Credential("s")))
    rows = [{"object_id": f"file_{n}", "account_id": account.id, "at_ms": n} for n in (3, 1, 2)]
    rows.append({"object_id": "file_of_nobody", "account_id": 99, "at_ms": 9})
    await write_batch(database, Step("j", "s", 0, 1), Rows(objects=rows))
    store = ObjectStore(database)
    assert list((await store.load(2)).items()) == [("file_2", account.id), ("file_3", account.id)]
    assert await store.find("file_1") == account.id
    assert await store.find("file_of_nobody") is None
    assert await store.find("file_4") is None
