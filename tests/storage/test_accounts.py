import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.errors import Conflict, NotFound, SecretUnreadable
from headgate.pool.accounts import Credential
from headgate.storage.accounts import AccountStore
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.drafts import OWNER, SETTINGS, AccountDraft
from headgate.storage.health import HealthStore
from headgate.storage.objects import ObjectStore
from headgate.storage.secrets import SecretBox


@pytest.fixture
def store(database: Database, tmp_path: Path) -> AccountStore:
    return AccountStore(database, SecretBox.open_or_create(tmp_path), SystemClock())


def draft(name: str, secret: str | None = None, **fields: Any) -> AccountDraft:
    fields = {"provider": "anthropic", "secret": Credential(secret or f"sk-{name}"), **fields}
    return AccountDraft(name=name, **fields)


async def test_an_account_comes_back_as_it_was_put_in(store: AccountStore) -> None:
    full = draft(
        "work",
        priority=1,
        weight=2,
        tier=5,
        base_url="http://127.0.0.1:1/x",
        proxy="http://me:hidden@127.0.0.1:2",
        email="me@example.org",
        domain="example.org",
        models=("claude-a", "claude-b"),
        paused=True,
    )
    added = await store.add(full)
    assert await store.list() == (added,)
    assert await store.get("work") == added
    assert added.credential.secret == "sk-work"
    for field in ("name", "provider", "kind", "priority", "weight", "tier", "base_url", "proxy", "email"):
        assert getattr(added, field) == getattr(full, field)
    assert (added.domain, added.models, added.paused) == (full.domain, full.models, True)


async def test_no_secret_is_stored_in_the_clear(store: AccountStore, database: Database) -> None:
    await store.add(draft("work", "sk-ant-very-secret", proxy="http://me:very-secret@127.0.0.1:2"))
    async with database.read() as connection:
        row = (await connection.execute(sa.text("SELECT * FROM accounts"))).one()
    assert "very-secret" not in repr(row)


async def test_a_taken_name_is_a_conflict(store: AccountStore) -> None:
    await store.add(draft("work"))
    with pytest.raises(Conflict, match="already called work"):
        await store.add(draft("work", "sk-other"))


async def test_a16_the_same_secret_is_refused_with_the_accounts_name(store: AccountStore) -> None:
    await store.add(draft("work", "sk-1"))
    with pytest.raises(Conflict, match="as account work"):
        await store.add(draft("again", "sk-1"))
    await store.add(draft("elsewhere", "sk-1", provider="other"))
    assert [account.name for account in await store.list()] == ["work", "elsewhere"]


@pytest.mark.parametrize(("origin", "mend"), [(OWNER, "account remove work"), (SETTINGS, "in the settings")])
async def test_the_mend_of_a_taken_secret_can_be_followed(
    store: AccountStore, origin: str, mend: str
) -> None:
    """What the settings declare cannot be removed by command."""
    await store.add(draft("work", "sk-1", origin=origin))
    with pytest.raises(Conflict) as caught:
        await store.add(draft("again", "sk-1"))
    assert mend in caught.value.hint


async def test_of_two_equal_accounts_added_at_once_one_is_refused(store: AccountStore) -> None:
    results = await asyncio.gather(
        *(store.add(draft(name, "sk-1")) for name in ("a", "b", "c")), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Account", "Conflict", "Conflict"]


async def test_an_update_changes_what_it_names_and_nothing_else(store: AccountStore) -> None:
    before = await store.add(draft("work", weight=3))
    after = await store.update("work", {"paused": True, "tier": 20, "models": ("m",)})
    assert (after.id, after.weight, after.created_at) == (before.id, 3, before.created_at)
    assert (after.paused, after.tier, after.models) == (True, 20, ("m",))
    assert after.credential == before.credential
    assert await store.get("work") == after


async def test_a_new_secret_replaces_the_old_one(store: AccountStore) -> None:
    await store.add(draft("work", "sk-old"))
    await store.add(draft("home", "sk-home"))
    changed = await store.update("work", {"secret": Credential("sk-new")})
    assert changed.credential.secret == "sk-new"
    await store.update("work", {"secret": Credential("sk-new")})
    with pytest.raises(Conflict, match="as account home"):
        await store.update("work", {"secret": Credential("sk-home")})
    await store.add(draft("free-again", "sk-old"))


async def test_a_rename_keeps_the_id(store: AccountStore) -> None:
    before = await store.add(draft("work"))
    await store.add(draft("home"))
    assert (await store.update("work", {"name": "office"})).id == before.id
    with pytest.raises(Conflict):
        await store.update("office", {"name": "home"})
    with pytest.raises(NotFound):
        await store.get("work")


async def test_a_removed_account_takes_health_and_objects_along(
    store: AccountStore, database: Database
) -> None:
    """And its id is never given again: a late record of it must not meet a stranger."""
    removed = await store.add(draft("work"))
    kept = await store.add(draft("home"))
    rows = Rows(
        health=[{"account_id": account.id, "at_ms": 1, "state": {}} for account in (removed, kept)],
        objects=[{"object_id": f"file_{a.name}", "account_id": a.id, "at_ms": 1} for a in (removed, kept)],
    )
    await write_batch(database, Step("j", "s", 0, 1), rows)
    assert (await store.remove("work")).id == removed.id
    assert set(await HealthStore(database).load()) == {kept.id}
    assert await ObjectStore(database).load(10) == {"file_home": kept.id}
    await store.remove("home")
    assert (await store.add(draft("work"))).id not in (removed.id, kept.id)


@pytest.mark.parametrize("action", ["get", "remove"])
async def test_an_unknown_name_is_named(store: AccountStore, action: str) -> None:
    with pytest.raises(NotFound, match="No account is called nobody"):
        await getattr(store, action)("nobody")


async def test_accounts_of_the_settings_file_are_told_apart(store: AccountStore) -> None:
    await store.add(draft("typed"))
    await store.add(draft("declared", origin=SETTINGS))
    assert await store.names(origin=SETTINGS) == ("declared",)
    assert await store.names(origin=OWNER) == ("typed",)


@pytest.fixture
def keyless(database: Database, tmp_path: Path) -> AccountStore:
    """The same accounts, without the key that sealed them."""
    return AccountStore(database, SecretBox.open_or_create(tmp_path / "other"), SystemClock())


async def test_an_account_outlives_its_key(store: AccountStore, keyless: AccountStore) -> None:
    """What needs no secret works on it, and a new secret makes it whole; the others' stay as they are."""
    for name in ("work", "home", "old"):
        await store.add(draft(name))
    assert [one.credential for one in await keyless.list()] == [None, None, None]
    assert (await keyless.update("work", {"paused": True})).credential is None
    assert (await keyless.remove("old")).credential is None
    renewed = await keyless.update("work", {"secret": Credential("sk-new")})
    assert renewed.credential == Credential("sk-new")
    assert [one.credential for one in await store.list()] == [None, Credential("sk-home")]


async def test_an_account_that_lost_its_proxy_goes_no_other_way(
    store: AccountStore, keyless: AccountStore
) -> None:
    """A new secret alone does not bring it back to life: its owner chose a way, and that is not known."""
    await store.add(draft("work", proxy="http://me:pw@127.0.0.1:2"))
    assert (await keyless.get("work")).credential is None
    with pytest.raises(SecretUnreadable, match="proxy of account work") as refused:
        await keyless.update("work", {"secret": Credential("sk-new")})
    assert "--proxy" in refused.value.hint
    assert (await keyless.update("work", {"proxy": None})).credential is None
    renewed = await keyless.update("work", {"secret": Credential("sk-new")})
    assert (renewed.credential, renewed.proxy) == (Credential("sk-new"), None)


async def test_a_proxy_changes_like_any_other_field(store: AccountStore) -> None:
    """And goes away again."""
    await store.add(draft("work"))
    assert (await store.update("work", {"proxy": "direct"})).proxy == "direct"
    assert (await store.update("work", {"priority": 1})).proxy == "direct"
    assert (await store.update("work", {"proxy": None})).proxy is None


async def test_a_declared_proxy_follows_the_settings(store: AccountStore) -> None:
    """It is sealed anew only when it is another one."""
    await store.declare([draft("a", origin=SETTINGS, proxy="http://one:1")])
    before = await store.get("a")
    await store.declare([draft("a", origin=SETTINGS, proxy="http://one:1")])
    assert await store.get("a") == before
    await store.declare([draft("a", origin=SETTINGS, proxy="http://two:2")])
    assert (await store.get("a")).proxy == "http://two:2"
    await store.declare([draft("a", origin=SETTINGS)])
    assert (await store.get("a")).proxy is None


async def test_who_lost_a_secret_is_told_which(store: AccountStore, keyless: AccountStore) -> None:
    """By name, but for those whose secret stands in the settings: a start seals it anew."""
    await store.add(draft("declared", origin=SETTINGS))
    assert await keyless.warnings() == ()
    await store.add(draft("work"))
    assert await store.warnings() == ()
    (warning,) = await keyless.warnings()
    assert "serve: work. Mend:" in warning


async def test_a_secret_that_must_be_opened_names_the_account(
    store: AccountStore, keyless: AccountStore
) -> None:
    """Another provider wants the secret compared anew."""
    await store.add(draft("work"))
    with pytest.raises(SecretUnreadable, match="the secret of account work"):
        await keyless.update("work", {"provider": "other"})


async def test_declared_accounts_may_swap_their_secrets(store: AccountStore) -> None:
    """One change: neither stands in the other's way, ids stay, the pause of the owner stays."""
    await store.declare([draft("a", "sk-1", origin=SETTINGS), draft("b", "sk-2", origin=SETTINGS)])
    before = {one.name: one for one in await store.list()}
    await store.update("a", {"paused": True})
    await store.declare([draft("a", "sk-2", origin=SETTINGS), draft("b", "sk-1", origin=SETTINGS)])
    after = {one.name: one for one in await store.list()}
    assert {name: one.id for name, one in after.items()} == {name: one.id for name, one in before.items()}
    assert [one.credential and one.credential.secret for one in after.values()] == ["sk-2", "sk-1"]
    assert after["a"].paused


async def test_a_declared_secret_of_the_owner_s_changes_nothing(store: AccountStore) -> None:
    """All of the declaration or none of it."""
    await store.add(draft("mine", "sk-1"))
    await store.declare([draft("a", "sk-2", origin=SETTINGS)])
    with pytest.raises(Conflict, match="as account mine"):
        await store.declare([draft("b", "sk-3", origin=SETTINGS), draft("a", "sk-1", origin=SETTINGS)])
    assert {one.name: one.credential and one.credential.secret for one in await store.list()} == {
        "mine": "sk-1",
        "a": "sk-2",
    }


async def test_what_is_declared_no_more_is_removed(store: AccountStore) -> None:
    """The owner's accounts stay, and what is declared as before is not written again."""
    await store.add(draft("mine", "sk-1"))
    await store.declare([draft("a", "sk-2", origin=SETTINGS), draft("b", "sk-3", origin=SETTINGS)])
    (_, first, _) = await store.list()
    await store.declare([draft("a", "sk-2", origin=SETTINGS)])
    assert await store.list() == (await store.get("mine"), first)
