"""Which tokens are the newer ones, on both databases."""

import asyncio
from pathlib import Path

import pytest

from headgate.pool.accounts import Account, Credential, Kind
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.from_files import BUSY, FileAccount, FileAccounts, Taken
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import SignInStore
from tests.pool.sample import START, StillClock

FIRST = Credential("access-1", "refresh-1", START + 100)
SECOND = Credential("access-2", "refresh-2", START + 200)
THIRD = Credential("access-3", "refresh-3", START + 300)


class Shelf:
    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = StillClock()
        box = SecretBox.open_or_create(folder)
        self.accounts = AccountStore(database, box, self.clock)
        self.sign_ins = SignInStore(database, box, self.accounts, self.clock)
        self.files = FileAccounts(self.accounts, self.clock)

    async def take(self, *credentials: Credential, **fields: bool) -> Taken:
        names = ("team", "other", "third")
        found = [_found(name, one, **fields) for name, one in zip(names, credentials, strict=False)]
        return await self.files.take(found)

    async def renew(self, credential: Credential) -> Account:
        """As the gateway does it."""
        account = await self.accounts.get("team")
        assert account.credential is not None
        kept = await self.sign_ins.keep(account.id, credential, version=account.credential.version)
        assert kept is not None
        return kept

    async def tokens(self, name: str = "team") -> tuple[str, str | None]:
        credential = (await self.accounts.get(name)).credential
        assert credential is not None
        return credential.secret, credential.refresh_token


def _found(name: str, credential: Credential, *, is_off: bool = False) -> FileAccount:
    kind = Kind.OAUTH if credential.refresh_token else Kind.API_KEY
    draft = AccountDraft(
        name=name, provider="anthropic", kind=kind, secret=credential, origin="file:accounts.json"
    )
    return FileAccount(draft, is_off)


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Shelf:
    return Shelf(database, tmp_path)


async def test_the_same_twice_changes_nothing(shelf: Shelf) -> None:
    assert (await shelf.take(FIRST)).added == ["team"]
    before = await shelf.accounts.get("team")
    again = await shelf.take(FIRST)
    assert (again.is_changed, again.behind, again.left_out) == (False, set(), {})
    assert await shelf.accounts.get("team") == before


async def test_a_file_that_is_behind_is_to_be_written(shelf: Shelf) -> None:
    """Before it is written, after, and when an old copy is put back later."""
    await shelf.take(FIRST)
    await shelf.renew(SECOND)
    assert (await shelf.take(FIRST)).behind == {"team"}
    assert (await shelf.take(SECOND)).behind == set()
    await shelf.renew(THIRD)
    for old in (FIRST, SECOND):
        taken = await shelf.take(old)
        assert (taken.behind, taken.is_changed) == ({"team"}, False)
    assert await shelf.tokens() == ("access-3", "refresh-3")


async def test_tokens_that_another_program_renewed_are_taken_over(shelf: Shelf) -> None:
    await shelf.take(FIRST)
    before = await shelf.accounts.get("team")
    taken = await shelf.take(SECOND)
    assert (taken.changed, taken.behind) == (["team"], set())
    after = await shelf.accounts.get("team")
    assert after.id == before.id and after.credential is not None and after.credential.version == 1
    assert (await shelf.take(FIRST)).behind == {"team"}


async def test_the_same_refresh_token_is_the_same_sign_in(shelf: Shelf) -> None:
    await shelf.take(FIRST)
    before = await shelf.accounts.get("team")
    shelf.clock.at += 10
    newer = Credential("access-9", "refresh-1", START + 150)
    assert (await shelf.take(newer)).changed == ["team"]
    after = await shelf.accounts.get("team")
    assert (after.signed_in_at, after.place) == (before.signed_in_at, before.place)
    assert await shelf.tokens() == ("access-9", "refresh-1")
    assert (await shelf.take(FIRST)).behind == {"team"}


async def test_unknown_tokens_that_end_earlier_are_left_alone(shelf: Shelf) -> None:
    """Unless the provider refuses those in force."""
    await shelf.take(SECOND)
    account = await shelf.accounts.get("team")
    stranger = Credential("access-0", "refresh-0", START + 50)
    taken = await shelf.take(stranger)
    assert (taken.is_changed, taken.behind, list(taken.left_out)) == (False, set(), ["team"])
    assert await shelf.tokens() == ("access-2", "refresh-2")
    turn = {"version": 0, "holder": "me"}
    await shelf.sign_ins.take_turn(account.id, seconds=60, version=0, holder="me")
    await shelf.sign_ins.fail(account.id, reason="invalid_grant", retry_seconds=None, **turn)  # type: ignore[arg-type]
    assert (await shelf.take(stranger)).changed == ["team"]
    assert await shelf.tokens() == ("access-0", "refresh-0")


async def test_a_file_waits_while_tokens_are_being_renewed(shelf: Shelf) -> None:
    await shelf.take(FIRST)
    account = await shelf.accounts.get("team")
    await shelf.sign_ins.take_turn(account.id, seconds=60, version=0, holder="me")
    taken = await shelf.take(SECOND)
    assert (taken.left_out, taken.is_changed) == ({"team": BUSY}, False)
    assert await shelf.renew(THIRD)
    assert await shelf.tokens() == ("access-3", "refresh-3")
    # What ends earlier, and is of nobody we know, does not take the place of what is in force.
    assert list((await shelf.take(SECOND)).left_out) == ["team"]


async def test_two_may_swap_their_secrets(shelf: Shelf) -> None:
    one, other = Credential("key-1"), Credential("key-2")
    await shelf.take(one, other)
    taken = await shelf.take(other, one)
    assert (taken.left_out, sorted(taken.changed)) == ({}, ["other", "team"])
    assert (await shelf.tokens("team"), await shelf.tokens("other")) == (("key-2", None), ("key-1", None))


async def test_what_cannot_be_taken_leaves_the_others_alone(shelf: Shelf) -> None:
    """A name of the owner's, a secret twice; an account that would get another's secret keeps its own."""
    key = Credential("owners-key")
    await shelf.accounts.add(AccountDraft(name="team", provider="anthropic", secret=key))
    taken = await shelf.take(Credential("key-1"), Credential("key-2"), key)
    assert sorted(taken.left_out) == ["team", "third"]
    assert taken.added == ["other"]
    taken = await shelf.take(Credential("key-1"), key)
    assert list(taken.left_out) == ["team", "other"]
    assert await shelf.tokens("other") == ("key-2", None)
    assert (await shelf.take(Credential("key-1"), Credential("key-3"))).changed == ["other"]


async def test_files_that_were_not_read_keep_their_accounts(shelf: Shelf) -> None:
    await shelf.take(FIRST, SECOND)
    assert (await shelf.files.take([], unread=["file:accounts.json"])).is_changed is False
    assert (await shelf.files.take([], unread=["file:"])).removed == ["team", "other"]


async def test_a_folder_that_was_not_read_keeps_all_in_it(shelf: Shelf) -> None:
    draft = AccountDraft(name="a", provider="anthropic", secret=Credential("k"), origin="file:auth/a.json")
    await shelf.files.take([FileAccount(draft)])
    assert (await shelf.files.take([], unread=["file:auth/"])).is_changed is False
    assert (await shelf.files.take([], unread=["file:credentials/"])).removed == ["a"]


async def test_the_file_says_whether_it_is_on_and_the_owner_may_pause(shelf: Shelf) -> None:
    await shelf.take(FIRST, is_off=True)
    assert (await shelf.accounts.get("team")).paused is True
    await shelf.take(FIRST)
    assert (await shelf.accounts.get("team")).paused is False
    await shelf.accounts.update("team", {"paused": True})
    await shelf.take(FIRST)
    assert (await shelf.accounts.get("team")).paused is True


async def test_an_old_token_is_known_after_a_new_sign_in_here(shelf: Shelf) -> None:
    await shelf.take(SECOND)
    await shelf.accounts.update("team", {"kind": Kind.OAUTH, "secret": FIRST})
    taken = await shelf.take(SECOND)
    assert (taken.behind, taken.is_changed) == ({"team"}, False)
    assert await shelf.tokens() == ("access-1", "refresh-1")


async def test_two_gateways_take_the_same_files(shelf: Shelf) -> None:
    """One of them makes each change; both end with the same accounts."""
    found = [_found("team", FIRST), _found("other", SECOND)]
    done = await asyncio.gather(*[shelf.files.take(found) for _ in range(4)])
    assert sorted(len(one.added) for one in done) == [0, 0, 0, 2]
    assert all(not one.left_out for one in done)
