"""The requests of an account: served by it, and those in which it only failed. On both databases."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from headgate.errors import InvalidRequest
from headgate.record.events import RequestRecord
from headgate.record.rows import to_rows
from headgate.storage.account_history import queries
from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from tests.record.samples import attempt, request
from tests.storage.pages import every_page

LIMITED: dict[str, Any] = {"status": 429, "error": "rate_limit_error"}


def in_vain(request_id: str, at_ms: int, *, by: str, then: str | None = "b", **changes: Any) -> RequestRecord:
    """Account `by`, id 1, was asked twice and failed; `then`, id 2, served, or nobody."""
    tries = [attempt(by, **LIMITED), attempt(by, **LIMITED)]
    if then is not None:
        tries.append(attempt(then, account_id=2))
    served = {"account": then, "account_id": 2 if then is not None else None}
    return request(request_id, at_ms=at_ms, attempts=tuple(tries), **served, **changes)


@pytest.fixture
async def store(database: Database) -> RequestStore:
    """What account 1 did as `old`, then as `a`, beside account 2, `b`; two requests to a moment."""
    records = (
        in_vain("r0", 1000, by="old"),
        request("r1", at_ms=1000, account="old"),
        request("r2", at_ms=1001, account="a", model="big"),
        in_vain("r3", 1001, by="a", model="big"),
        in_vain("r4", 1002, by="a", then=None, status=429, error="all_accounts_limited"),
        request("r5", at_ms=1002, account="a", status=500, error="api_error"),
        in_vain("r6", 1003, by="a", error="answer_cut"),
        request("r7", at_ms=1003, account="a", attempts=(attempt("a", **LIMITED), attempt("a"))),
        request("r8", at_ms=1004, account="b", account_id=2),
    )
    await write_batch(database, Step("j", "s", 0, 1), to_rows(records))
    return RequestStore(database)


ALL_OF_A = RequestFilter(account="a", account_id=1, former_names=("old",))


async def test_pages_hold_what_it_served_and_what_it_failed_in(store: RequestStore) -> None:
    """Each once, newest first, however many attempts were made; on pages of any size."""
    cases = (
        (RequestFilter(account="a"), "r7 r6 r5 r4 r3 r2"),
        (ALL_OF_A, "r7 r6 r5 r4 r3 r2 r1 r0"),
        (RequestFilter(account="b"), "r8 r6 r3 r0"),
        (RequestFilter(account="old"), "r1 r0"),
        (RequestFilter(account="a", status="error"), "r6 r5 r4"),
        (RequestFilter(account="a", status="success"), "r7 r3 r2"),
        (RequestFilter(account="a", status=429), "r4"),
        (RequestFilter(account="a", status=500), "r5"),
        (RequestFilter(account="a", status="200"), "r7 r6 r3 r2"),
        (RequestFilter(account="a", model="big"), "r3 r2"),
        (RequestFilter(account="a", since_ms=1002), "r7 r6 r5 r4"),
        (RequestFilter(account="nobody"), ""),
    )
    for wanted, expected in cases:
        for limit in (1, 2, 3, 50):
            assert await every_page(store, wanted, limit) == expected.split(), (wanted, limit)


async def test_a_row_says_that_the_account_only_failed(store: RequestStore) -> None:
    """Under the name of that day; who served is in the request itself. The live view says the same."""
    rows, _ = await store.page(ALL_OF_A)
    failed = {row["id"]: row["failed_account"] for row in rows if row.get("failed_account")}
    assert failed == {"r6": "a", "r4": "a", "r3": "a", "r0": "old"}
    live = await store.after(0, marking=ALL_OF_A)
    assert {row["id"]: row["failed_account"] for row in live if row["failed_account"]} == failed
    assert len(live) == 9
    assert await store.after(live[-1]["seq"], marking=ALL_OF_A) == []
    b_alone = await store.after(0, marking=RequestFilter(account="b"))
    assert [row["failed_account"] for row in b_alone] == [None] * 9


async def test_a_name_that_only_ever_failed_is_a_former_name_too(
    store: RequestStore, database: Database
) -> None:
    await write_batch(database, Step("j", "t", 0, 1), to_rows([in_vain("r9", 900, by="oldest")]))
    assert await store.former_names(1, but="a") == ("old", "oldest")
    assert await store.former_names(2, but="b") == ()
    assert await store.had_name("oldest") == {1}
    assert await store.had_name("nobody") == set()


async def test_an_unknown_status_is_refused_here_too(store: RequestStore) -> None:
    with pytest.raises(InvalidRequest, match="Invalid status"):
        await store.page(RequestFilter(account="a", status="bad"))


@pytest.mark.parametrize(
    ("status", "indexes"),
    [
        (None, ["requests_account", "attempts_left", "attempts_left"]),
        ("error", ["requests_account_failed", "attempts_left"]),
        ("success", ["requests_account", "attempts_left"]),
        (429, ["requests_account_failed", "attempts_left"]),
    ],
)
async def test_a_page_is_read_from_its_indexes(
    database: Database, status: str | int | None, indexes: list[str]
) -> None:
    """In their order and no further: whether the account did it once or a million times."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL chooses by its statistics, which a small table does not have")
    found = []
    async with database.read() as connection:
        for query in queries(RequestFilter(account="a", status=status), (1003, "r7")):
            sql = query.limit(51).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            plan = await connection.execute(sa.text(f"EXPLAIN QUERY PLAN {sql}"))
            steps = [row.detail for row in plan]
            assert "USE TEMP B-TREE FOR ORDER BY" not in steps
            found.append(steps[0].partition("INDEX ")[2].split()[0])
    assert found == indexes
