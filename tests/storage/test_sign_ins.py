"""Turns across processes: two stores on one database are two processes for all they know."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headgate.pool.accounts import Account, Credential, Kind
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import Failed, Gone, Held, Renewed, SignInStore, Taken, Turn
from tests.pool.sample import START, StillClock

OLD = Credential("access-1", "refresh-1", 2_000_000_000.0, ("a", "b"))


class Shelf:
    """One database as two processes see it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = StillClock()
        box = SecretBox.open_or_create(folder)
        self.accounts = AccountStore(database, box, self.clock)
        self.one, self.other = (SignInStore(database, box, self.accounts, self.clock) for _ in range(2))

    async def account(self) -> Account:
        draft = AccountDraft(name="team", provider="anthropic", kind=Kind.OAUTH, secret=OLD)
        return await self.accounts.add(draft)


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Shelf:
    return Shelf(database, tmp_path)


async def turn_of(store: SignInStore, account: Account, holder: str, **fields: Any) -> Turn:
    return await store.take_turn(
        account.id,
        **{"version": 0, "holder": holder, "seconds": 60, **fields},  # type: ignore[arg-type]
    )


async def test_tokens_come_back_as_they_were_put_in(shelf: Shelf) -> None:
    account = await shelf.account()
    assert (account.kind, account.credential, account.signed_in_at) == (Kind.OAUTH, OLD, START)


async def test_of_two_processes_one_has_the_turn(shelf: Shelf) -> None:
    account = await shelf.account()
    turns = await asyncio.gather(turn_of(shelf.one, account, "a"), turn_of(shelf.other, account, "b"))
    assert sorted(type(turn).__name__ for turn in turns) == ["Held", "Taken"]


async def test_the_other_finds_the_new_tokens(shelf: Shelf) -> None:
    """What is kept is newer by one version, on the record of the same sign-in."""
    account = await shelf.account()
    assert await turn_of(shelf.one, account, "a") == Taken(was_cut_off=False)
    new = Credential("access-2", "refresh-2", 2_000_000_100.0, ("a",))
    kept = await shelf.one.keep(account.id, new, version=0)
    assert kept is not None and kept.credential is not None
    assert (kept.credential.secret, kept.credential.version, kept.signed_in_at) == (
        "access-2",
        1,
        START,
    )
    found = await turn_of(shelf.other, account, "b")
    assert isinstance(found, Renewed)
    assert found.account == kept == await shelf.accounts.get("team")


async def test_a_dead_holders_turn_ends_by_itself(shelf: Shelf) -> None:
    account = await shelf.account()
    await turn_of(shelf.one, account, "a")
    assert isinstance(await turn_of(shelf.other, account, "b"), Held)
    await turn_of(shelf.one, account, "a", seconds=-1)
    assert await turn_of(shelf.other, account, "b") == Taken(was_cut_off=True)


async def test_a_failure_is_everybodys(shelf: Shelf) -> None:
    """Until its pause is over, or the owner insists."""
    account = await shelf.account()
    await turn_of(shelf.one, account, "a")
    await shelf.one.fail(account.id, version=0, holder="a", reason="no luck", retry_seconds=30)
    found = await turn_of(shelf.other, account, "b")
    assert isinstance(found, Failed)
    assert found.reason == "no luck"
    assert found.seconds is not None and 0 < found.seconds <= 30
    assert await turn_of(shelf.other, account, "b", insists=True) == Taken(was_cut_off=False)


async def test_a_final_failure_waits_for_a_new_sign_in(shelf: Shelf) -> None:
    account = await shelf.account()
    await turn_of(shelf.one, account, "a")
    await shelf.one.fail(account.id, version=0, holder="a", reason="dead", retry_seconds=None)
    assert await turn_of(shelf.other, account, "b") == Failed("dead", None)
    await shelf.other.forget_failures()
    assert await turn_of(shelf.other, account, "b") == Failed("dead", None)
    await shelf.accounts.update("team", {"secret": Credential("access-9", "refresh-9")})
    again = await shelf.accounts.get("team")
    assert again.credential is not None
    assert await turn_of(shelf.other, account, "b", version=again.credential.version) == Taken(
        was_cut_off=False
    )


async def test_a_sign_in_that_comes_first_is_not_written_over(shelf: Shelf) -> None:
    """The owner signed in again while a refresh was under way: its tokens go back to an older sign-in."""
    account = await shelf.account()
    await turn_of(shelf.one, account, "a")
    await shelf.accounts.update("team", {"secret": Credential("access-9", "refresh-9")})
    assert await shelf.one.keep(account.id, Credential("access-2", "refresh-2"), version=0) is None
    held = (await shelf.accounts.get("team")).credential
    assert held is not None and held.secret == "access-9"


async def test_a_turn_given_back_is_anybodys(shelf: Shelf) -> None:
    account = await shelf.account()
    await turn_of(shelf.one, account, "a")
    await shelf.one.give_back(account.id, holder="a")
    assert await turn_of(shelf.other, account, "b") == Taken(was_cut_off=False)


async def test_a_removed_account_has_no_turns(shelf: Shelf) -> None:
    account = await shelf.account()
    await shelf.accounts.remove("team")
    assert await turn_of(shelf.one, account, "a") == Gone()
    assert await shelf.one.keep(account.id, OLD, version=0) is None


async def test_what_a_file_declares_does_not_take_back_refreshed_tokens(shelf: Shelf) -> None:
    """The same start values again: what was refreshed since stays; other ones take its place."""
    draft = AccountDraft(name="team", provider="anthropic", kind=Kind.OAUTH, secret=OLD, origin="settings")
    await shelf.accounts.declare([draft])
    account = await shelf.accounts.get("team")
    await turn_of(shelf.one, account, "a")
    await shelf.one.keep(account.id, Credential("access-2", "refresh-2"), version=0)
    await shelf.accounts.declare([draft])
    held = (await shelf.accounts.get("team")).credential
    assert held is not None and held.secret == "access-2"
    fresh = AccountDraft(
        name="team", provider="anthropic", kind=Kind.OAUTH, secret=Credential("x", "y"), origin="settings"
    )
    await shelf.accounts.declare([fresh])
    held = (await shelf.accounts.get("team")).credential
    assert held is not None and held.secret == "x"
