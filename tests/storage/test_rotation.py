"""The encryption key changed: all or nothing at every step, whoever else is at work."""

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from headgate.clock import SystemClock
from headgate.errors import Conflict, SettingsError, StorageError
from headgate.pool.accounts import Credential, Kind
from headgate.storage.accounts import AccountStore
from headgate.storage.body_keys import BodyKeys
from headgate.storage.database import Database, open_database
from headgate.storage.drafts import AccountDraft
from headgate.storage.rotation import Rotated, needs_a_key, rotate
from headgate.storage.secrets import SecretBox

PROXY = "http://me:pw@127.0.0.1:2"
TOKENS = Credential("sk-access", "sk-refresh", 1_900_000_000.0, ("all",))


def drafts() -> list[AccountDraft]:
    return [
        AccountDraft(name="key", provider="anthropic", secret=Credential("sk-key")),
        AccountDraft(name="way", provider="anthropic", secret=Credential("sk-way"), proxy=PROXY),
        AccountDraft(name="signed", provider="anthropic", kind=Kind.OAUTH, secret=TOKENS),
    ]


async def fill(database: Database, box: SecretBox) -> AccountStore:
    store = AccountStore(database, box, SystemClock())
    await store.take(drafts(), {})
    return store


async def all_open(store: AccountStore) -> bool:
    found = await store.list()
    return [(one.name, one.credential, one.proxy) for one in found] == [
        ("key", Credential("sk-key"), None),
        ("way", Credential("sk-way"), PROXY),
        ("signed", TOKENS, None),
    ]


async def test_everything_is_sealed_anew(database: Database, tmp_path: Path) -> None:
    """Keys, tokens, proxies; equal secrets are still noticed, and nothing else of an account is another."""
    box = SecretBox.open_or_create(tmp_path)
    store = await fill(database, box)
    before = await store.list()
    old = (tmp_path / "secret.key").read_text()
    done = await rotate(database, store, box, Fernet.generate_key().decode())
    assert (done.sealed, done.closed) == (3, ())
    assert await store.list() == before
    with pytest.raises(Conflict, match="as account key"):
        await store.add(AccountDraft(name="again", provider="anthropic", secret=Credential("sk-key")))
    kept = (tmp_path / "secret.key").read_text()
    assert done.old_keys_are_gone is (database.dialect == "sqlite")
    assert (old in kept) is not done.old_keys_are_gone
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "secret.key").write_text(old)
    lost = AccountStore(database, SecretBox.open_or_create(tmp_path / "old"), SystemClock())
    assert [one.credential for one in await lost.list()] == [None, None, None]


async def test_what_no_key_opens_stays_as_it_is(database: Database, tmp_path: Path) -> None:
    """It is named, and its lost key, should it come back, opens it."""
    other = SecretBox.open_or_create(tmp_path / "other")
    await AccountStore(database, other, SystemClock()).add(
        AccountDraft(name="lost", provider="anthropic", secret=Credential("sk-lost"))
    )
    box = SecretBox.open_or_create(tmp_path)
    store = await fill(database, box)
    done = await rotate(database, store, box, Fernet.generate_key().decode())
    assert (done.sealed, done.closed) == (3, ("lost",))
    lost = await AccountStore(database, other, SystemClock()).get("lost")
    assert lost.credential == Credential("sk-lost")


async def test_another_process_follows(database: Database, tmp_path: Path) -> None:
    """One that has read the old key file opens and seals by the new one, without a restart."""
    store = await fill(database, SecretBox.open_or_create(tmp_path))
    elsewhere = SecretBox.open_or_create(tmp_path)
    done = await rotate(database, AccountStore(database, elsewhere, SystemClock()), elsewhere, None)
    if database.dialect == "sqlite":
        assert done.old_keys_are_gone
    assert await all_open(store)
    await store.update("key", {"secret": Credential("sk-2")})
    fresh = AccountStore(database, SecretBox.open_or_create(tmp_path), SystemClock())
    assert (await fresh.get("key")).credential == Credential("sk-2")


async def test_two_at_once_leave_one_key_that_opens_all(sqlite_url: str, tmp_path: Path) -> None:
    """Whatever their order."""
    first = await open_database(sqlite_url)
    await first.upgrade()
    second = await open_database(sqlite_url)
    store = await fill(first, SecretBox.open_or_create(tmp_path))

    async def run(database: Database) -> Rotated:
        box = SecretBox.open_or_create(tmp_path)
        return await rotate(database, AccountStore(database, box, SystemClock()), box, None)

    for _ in range(5):
        await asyncio.gather(run(first), run(second))
        assert len((tmp_path / "secret.key").read_text().splitlines()) == 1
        assert await all_open(store)
    await first.close()
    await second.close()


async def test_keys_of_the_environment_are_its_owners(sqlite_url: str, tmp_path: Path) -> None:
    """One: the new one has to be put there first. Several: the first is the new one."""
    database = await open_database(sqlite_url)
    await database.upgrade()
    old, new = "an old passphrase of some length", "a new passphrase of some length"
    box = SecretBox.open_or_create(tmp_path, old)
    await fill(database, box)
    assert "environment" in (needs_a_key(database, box) or "")
    both = SecretBox.open_or_create(tmp_path, f"{new},{old}")
    assert needs_a_key(database, both) is None
    done = await rotate(database, AccountStore(database, both, SystemClock()), both, None)
    assert (done.sealed, done.old_keys_are_gone) == (3, False)
    alone = AccountStore(database, SecretBox.open_or_create(tmp_path, new), SystemClock())
    assert await all_open(alone)
    assert not (tmp_path / "secret.key").exists()
    await database.close()


@pytest.mark.parametrize("key", ["short", " ", "x" * 15])
async def test_a_key_that_is_none_changes_nothing(sqlite_url: str, tmp_path: Path, key: str) -> None:
    """Too short to be one."""
    database = await open_database(sqlite_url)
    await database.upgrade()
    box = SecretBox.open_or_create(tmp_path)
    store = await fill(database, box)
    before = (tmp_path / "secret.key").read_bytes()
    with pytest.raises(SettingsError, match="too short"):
        await rotate(database, store, box, key)
    assert (tmp_path / "secret.key").read_bytes() == before and await all_open(store)
    (tmp_path / "secret.key").write_bytes(b"spoilt")
    with pytest.raises(StorageError):
        await rotate(database, store, box, None)
    assert (tmp_path / "secret.key").read_bytes() == b"spoilt" and await all_open(store)
    await database.close()


# ---- killed ------------------------------------------------------------------------------------------


class _Death:
    """SIGKILL to this process at the n-th step of what it counts."""

    def __init__(self, at: int) -> None:
        self._left = at

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = work(*arguments, **named)
            self.step()
            return result

        return counted

    def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def _rotate_in(folder: Path) -> None:
    database = await open_database(f"sqlite:///{folder / 'headgate.db'}")
    box = SecretBox.open_or_create(folder)
    await rotate(database, AccountStore(database, box, SystemClock()), box, None)
    await database.close()


def _die_in_a_child(folder: Path, at: int) -> bool:
    """Whether it came to its end before its death."""
    child = os.fork()
    if child == 0:
        try:
            death = _Death(at)
            os.fsync = death.around(os.fsync)  # type: ignore[assignment]
            Path.replace = death.around(Path.replace)  # type: ignore[method-assign]
            SecretBox.seal = death.around(SecretBox.seal)  # type: ignore[method-assign]
            sa.engine.RootTransaction.commit = death.around(  # type: ignore[method-assign]
                sa.engine.RootTransaction.commit
            )
            asyncio.run(_rotate_in(folder))
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFEXITED(status)


def test_a_kill_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """The next start opens every account, and the next rotation comes to its end."""
    template = tmp_path / "template"

    async def make() -> None:
        database = await open_database(f"sqlite:///{template / 'headgate.db'}")
        await database.upgrade()
        await fill(database, SecretBox.open_or_create(template))
        await database.close()

    async def check(folder: Path) -> None:
        for _ in range(2):
            database = await open_database(f"sqlite:///{folder / 'headgate.db'}")
            box = SecretBox.open_or_create(folder)
            assert await all_open(AccountStore(database, box, SystemClock()))
            await database.close()
            await _rotate_in(folder)
            assert len((folder / "secret.key").read_text().splitlines()) == 1

    asyncio.run(make())
    steps = 0
    while True:
        folder = tmp_path / f"killed-{steps}"
        shutil.copytree(template, folder)
        is_over = _die_in_a_child(folder, steps)
        asyncio.run(check(folder))
        if is_over:
            break
        steps += 1
    assert steps >= 12, "the steps are no longer counted"


async def test_bodies_open_by_the_new_key(database: Database, tmp_path: Path) -> None:
    """Their own key alone is sealed anew: what was kept before opens, and what comes is sealed so."""
    box = SecretBox.open_or_create(tmp_path)
    store = await fill(database, box)
    before = await BodyKeys(database, box, SystemClock()).current()
    assert before is not None
    said = before.seal(b"said", of="a request")
    new = Fernet.generate_key().decode()
    await rotate(database, store, box, new)
    for only_new in (SecretBox.open_or_create(tmp_path, new), SecretBox.open_or_create(tmp_path)):
        after = await BodyKeys(database, only_new, SystemClock()).current()
        assert after is not None and after.id == before.id
        assert after.open(said, of="a request") == b"said"
