"""Another system's requests in our own history."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.clock import SystemClock
from headgate.errors import ForeignDataUnreadable
from headgate.moving.found import FoundAccount, PastRequest
from headgate.moving.history import Accounts, Moved, add_history
from headgate.pool.accounts import Credential
from headgate.storage.accounts import AccountStore
from headgate.storage.database import Database
from headgate.storage.drafts import AccountDraft
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.schema import requests, rollups
from headgate.storage.secrets import SecretBox
from headgate.storage.usage import usage


class Past:
    """A history out of a list."""

    def __init__(self, rows: Iterable[PastRequest], *, breaks_after: int | None = None) -> None:
        self._rows = list(rows)
        self._breaks_after = breaks_after
        self.total = len(self._rows)
        self.unreadable = 0

    async def batches(self, size: int) -> AsyncIterator[list[PastRequest]]:
        for start in range(0, self.total, size):
            if self._breaks_after is not None and start >= self._breaks_after:
                raise ForeignDataUnreadable("the file ends in the middle")
            yield self._rows[start : start + size]


def past(number: int, **values: Any) -> PastRequest:
    fields: dict[str, Any] = {
        **{"id": f"old-{number:06}", "at_ms": 1_700_000_000_000 + number, "method": "POST"},
        **{"path": "/v1/messages", "status": 200, "error": None, "account_key": "a1", "input_tokens": 3},
        **values,
    }
    return PastRequest(**fields)


THEIRS = Accounts.of(
    [
        FoundAccount(name="work", key="a1"),
        FoundAccount(name="spare", key="a2"),
        FoundAccount(name="no", key="a3"),
    ],
    {"spare": "office"},
    {"no"},
)


@pytest.fixture
async def account_id(database: Database) -> int:
    """Of the account `work`, which is here."""
    store = AccountStore(database, SecretBox([b"A" * 43 + b"="], file=None), SystemClock())
    added = await store.add(AccountDraft(name="work", provider="anthropic", secret=Credential("sk-ant-1")))
    return added.id


async def add(database: Database, history: Past, *, writes: bool = True, since_ms: int = 0) -> Moved:
    moved = Moved()
    await add_history(
        database,
        history,
        THEIRS,
        moved=moved,
        clock=SystemClock(),
        since_ms=since_ms,
        writes=writes,
        gently=True,
        tell=lambda moved: None,
    )
    return moved


async def test_each_request_comes_once(database: Database, account_id: int) -> None:
    """Over several pieces, twice, with one of them twice in a piece: the same history."""
    rows = [past(number) for number in range(1200)]
    tried = await add(database, Past([*rows, rows[-1]]), writes=False)
    assert (tried.added, tried.there) == (1200, 1)
    first = await add(database, Past([*rows, rows[-1]]))
    again = await add(database, Past(rows))
    assert ((first.added, first.there), (again.added, again.there)) == ((1200, 1), (0, 1200))
    page, cursor = await RequestStore(database).page(limit=2)
    assert [row["id"] for row in page] == ["old-001199", "old-001198"]
    assert cursor is not None
    total = (await usage(database, RequestFilter(), "account"))[0]
    assert (total["key"], total["requests"], total["input_tokens"]) == (account_id, 1200, 3600)


async def test_what_would_be_deleted_at_once_is_left_out(database: Database, account_id: int) -> None:
    """It is counted, and not added up; those of that moment are kept."""
    rows = [past(number) for number in range(700)]
    moved = await add(database, Past(rows), since_ms=rows[600].at_ms)
    assert (moved.added, moved.there, moved.older, moved.seen) == (100, 0, 600, 700)
    async with database.read() as connection:
        oldest = await connection.execute(sa.select(sa.func.min(requests.c.timestamp)))
        summed = await connection.execute(
            sa.select(sa.func.sum(rollups.c.requests)).where(
                (rollups.c.resolution == 86_400) & (rollups.c.by_key == 0)
            )
        )
        assert (oldest.scalar(), int(summed.scalar() or 0)) == (rows[600].at_ms, 100)


async def test_whose_request_it_was(database: Database, account_id: int) -> None:
    """Our account under its name of today; one that is not here keeps the name that it had there."""
    rows = [
        *(past(1), past(2, account_key="a2"), past(3, account_key="a3", account_name="theirs")),
        *(past(4, account_key="x9", provider="codex"), past(5, account_key=None, path="/v1/responses")),
    ]
    await add(database, Past(rows))
    page, _ = await RequestStore(database).page()
    found = {row["id"][-1]: (row["account_id"], row["account"]) for row in page}
    assert found == {
        **{"1": (account_id, "work"), "2": (None, "office"), "3": (None, "theirs")},
        **{"4": (None, "x9"), "5": (None, None)},
    }
    assert (page[0]["dialect"], page[1]["provider"], page[4]["provider"]) == ("openai", "codex", "anthropic")


async def test_why_it_failed_is_shown_with_it(database: Database, account_id: int) -> None:
    """As the reason of an attempt; a request that nobody served has none."""
    failed = {"status": 429, "error": "rate_limit_error", "reason": "slow down"}
    await add(database, Past([past(1, **failed), past(2, **failed, account_key=None), past(3)]))
    store = RequestStore(database)
    request = await store.get("old-000001")
    assert request is not None
    assert [one["reason"] for one in request["attempts"]] == ["slow down"]
    other = await store.get("old-000002")
    assert other is not None
    assert (other["error"], other["attempts"]) == ("rate_limit_error", [])


async def test_a_live_view_is_not_flooded_with_the_past(database: Database, account_id: int) -> None:
    """What comes in lies before all that was recorded, and what is recorded next comes after it."""
    store = RequestStore(database)
    await add(database, Past([past(number) for number in range(700)]))
    place = await store.last_seq()
    assert place < 0
    row = (await store.page(limit=1))[0][0]
    async with database.write() as connection:
        new = {name: value for name, value in row.items() if name != "seq"} | {"id": "new"}
        await connection.execute(sa.insert(requests), [new])
    assert [one["id"] for one in await store.after(place)] == ["new"]
    place = await store.last_seq()
    await add(database, Past([past(number) for number in range(1000, 1700)]))
    assert (await store.last_seq(), await store.after(place)) == (place, [])


async def test_what_was_added_before_a_break_stays(database: Database, account_id: int) -> None:
    """And a second run goes on behind it."""
    rows = [past(number) for number in range(1100)]
    with pytest.raises(ForeignDataUnreadable):
        await add(database, Past(rows, breaks_after=1000))
    again = await add(database, Past(rows))
    assert (again.added, again.there) == (100, 1000)
