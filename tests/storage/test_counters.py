"""The accounts' counters, kept with the history."""

from cryptography.fernet import Fernet

from headgate.clock import SystemClock
from headgate.pool.accounts import Credential
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.counters import CounterStore, Counts
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.secrets import SecretBox
from tests.storage.rows import attempt_row, request_row


async def test_batches_add_up_and_a_reset_leaves_the_history(database: Database) -> None:
    """Tries and failures per account; a try of an account that was removed counts for nobody."""
    accounts = AccountStore(database, SecretBox([Fernet.generate_key()], file=None), SystemClock())
    account = await accounts.add(AccountDraft(name="a", provider="anthropic", secret=Credential("sk-1")))
    store = CounterStore(database)
    for number in (1, 2):
        tries = [
            attempt_row(f"r{number}", 0, account_id=account.id, error="http_500"),
            attempt_row(f"r{number}", 1, account_id=account.id, started_ms=250.4),
            attempt_row(f"r{number}", 2, account_id=account.id + 77),
        ]
        batch = Rows(requests=[request_row(f"r{number}", timestamp=number * 1000)], attempts=tries)
        await write_batch(database, Step("g", "s", number - 1, number), batch)
    assert (await store.load())[account.id] == Counts(4, 2, 2250)
    assert await store.reset() == 1
    assert (await store.load())[account.id] == Counts(0, 0, 2250)
