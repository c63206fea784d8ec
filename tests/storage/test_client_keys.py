"""Client keys in both databases: versions, names that come free, digests that do not."""

import asyncio

import pytest
import sqlalchemy as sa

from headgate.access.client_keys import digest_of, name_of, new_secret
from headgate.access.limits import Limits
from headgate.clock import SystemClock
from headgate.errors import ChangedMeanwhile, Conflict, NotFound
from headgate.storage.client_keys import KeyStore
from headgate.storage.database import Database


@pytest.fixture
def store(database: Database) -> KeyStore:
    return KeyStore(database, SystemClock())


async def test_a_key_is_read_as_it_was_set(store: KeyStore) -> None:
    secret = new_secret()
    fields = {
        "note": "n",
        "owner": "o",
        "tags": ["t"],
        "models": ["a*"],
        "refused_models": ["b"],
        "providers": ["anthropic"],
        "accounts": ["work"],
        "domain": "d",
        "expires_at": 1_800_000_000.5,
        "days_from_first_use": 3,
        "may_choose_account": True,
        "limits": Limits(rpm=5, daily_usd=0.5),
    }
    made = await store.create("laptop", secret, fields)
    assert (await store.list()) == (made,)
    assert (made.digest, made.beginning, made.version) == (digest_of(secret), secret[:7], 1)
    assert (made.limits, made.expires_at, made.accounts) == (fields["limits"], 1_800_000_000.5, ("work",))
    changed = await store.change("laptop", lambda _: {"limits": Limits(), "expires_at": None}, version=1)
    assert (changed.limits, changed.expires_at, changed.version) == (Limits(), None, 2)
    with pytest.raises(ChangedMeanwhile):
        await store.change("laptop", lambda _: {"note": "late"}, version=1)


async def test_a_revoked_key_leaves_its_name_and_keeps_its_digest(store: KeyStore) -> None:
    secret = new_secret()
    await store.create("laptop", secret, {})
    await store.revoke("laptop")
    with pytest.raises(NotFound):
        await store.change("laptop", lambda _: {"note": "x"})
    with pytest.raises(Conflict, match="was revoked"):
        await store.create("other", secret, {})
    await store.create("laptop", new_secret(), {})
    assert [(one.name, one.revoked_at is None) for one in await store.list()] == [
        ("laptop", False),
        ("laptop", True),
    ]


async def test_of_many_at_once_one_gets_the_name(store: KeyStore) -> None:
    made = await asyncio.gather(
        *(store.create("laptop", new_secret(), {}) for _ in range(8)), return_exceptions=True
    )
    assert [type(one) for one in made].count(Conflict) == 7


async def test_the_first_use_counts_once(store: KeyStore) -> None:
    made = await store.create("laptop", new_secret(), {"days_from_first_use": 1})
    first = await store.note_first_use(made.id, 1000.0)
    second = await store.note_first_use(made.id, 2000.0)
    assert first is not None and second is not None
    assert (first.first_used_at, second.first_used_at) == (1000.0, 1000.0)
    assert await store.note_first_use(made.id + 1, 1.0) is None


async def test_keys_of_the_settings_are_taken_in_once(store: KeyStore) -> None:
    digests = [digest_of(f"key {number}") for number in range(3)]
    first = await store.adopt_all(digests)
    assert [one.name for one in first] == [name_of(one) for one in digests]
    assert all(one.is_declared and one.may_choose_account for one in first)
    await store.change(first[0].name, lambda _: {"name": "mine", "limits": Limits(rpm=1)})
    again = await store.adopt_all(digests)
    assert {one.id for one in again} == {one.id for one in first}
    assert again[0].limits.rpm == 1


async def test_thousands_are_taken_in_at_once(store: KeyStore, database: Database) -> None:
    """While they are, nobody else writes: not a statement for each. All of them or none."""
    statements: list[str] = []
    engine = database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    wanted = {digest_of(f"s{one}"): (f"k{one}", {"accounts": ["a"]}) for one in range(3000)}
    taken = await store.take(wanted)
    assert {(one.digest, one.name) for one in taken} == {(one, name) for one, (name, _) in wanted.items()}
    assert taken[0].accounts == ("a",) and len(statements) < 100
    for digest, name, words in (
        (digest_of("new"), "k7", "already called k7"),
        (digest_of("s7"), "other", "already there, as k7"),
    ):
        with pytest.raises(Conflict, match=words):
            await store.take({digest_of("good"): ("good", {}), digest: (name, {})})
    assert len(await store.list()) == 3000
