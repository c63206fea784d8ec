import pytest

from headgate.errors import InvalidRequest
from headgate.storage.batch import Step, write_batch
from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from tests.storage.pages import every_page
from tests.storage.rows import request_row, rows_of


@pytest.fixture
async def store(database: Database) -> RequestStore:
    """r0 … r9, two to each moment, every third on account b, some of them gone wrong."""
    statuses = {3: 429, 5: 500, 7: 499}
    rows = [
        request_row(
            f"r{n}",
            timestamp=1000 + n // 2,
            status=statuses.get(n, 200),
            account="b" if n % 3 == 0 else "a",
            model="big" if n > 4 else "small",
            error="overloaded_error" if n == 8 else None,
        )
        for n in range(10)
    ]
    await write_batch(database, Step("j", "s", 0, 1), rows_of(*rows))
    return RequestStore(database)


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 50])
async def test_pages_of_any_size_hold_every_request_once_newest_first(
    store: RequestStore, limit: int
) -> None:
    """Equal times too: the id decides between them."""
    newest_first = ["r9", "r8", "r7", "r6", "r5", "r4", "r3", "r2", "r1", "r0"]
    assert await every_page(store, RequestFilter(), limit) == newest_first


async def test_a_newer_request_does_not_shift_the_next_page(store: RequestStore, database: Database) -> None:
    _, cursor = await store.page(limit=2)
    await write_batch(database, Step("j", "t", 0, 1), rows_of(request_row("new", timestamp=5000)))
    rows, _ = await store.page(limit=2, cursor=cursor)
    assert [row["id"] for row in rows] == ["r7", "r6"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        # r8 failed after its first byte: its status is 200, its answer ended in an error event.
        (RequestFilter(status="error"), ["r8", "r7", "r5", "r3"]),
        (RequestFilter(status="success"), ["r9", "r6", "r4", "r2", "r1", "r0"]),
        (RequestFilter(status=429), ["r3"]),
        (RequestFilter(status="500"), ["r5"]),
        (RequestFilter(account="b"), ["r9", "r6", "r3", "r0"]),
        (RequestFilter(account="b", model="big"), ["r9", "r6"]),
        (RequestFilter(since_ms=1004), ["r9", "r8"]),
        (RequestFilter(account="nobody"), []),
    ],
)
async def test_filters_hold_together_and_across_pages(
    store: RequestStore, wanted: RequestFilter, expected: list[str]
) -> None:
    assert await every_page(store, wanted, 2) == expected


@pytest.mark.parametrize("status", ["bad", "42", "-200", "2000", ""])
async def test_an_unknown_status_names_the_valid_ones(store: RequestStore, status: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid status") as caught:
        await store.page(RequestFilter(status=status))
    assert "success" in caught.value.hint


@pytest.mark.parametrize("cursor", ["", "x", "1", ".", "x.r1", "9999999999999999999.r1", "١.r1"])
async def test_a_foreign_cursor_is_the_callers_fault(store: RequestStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid cursor"):
        await store.page(cursor=cursor)


async def test_a_request_that_is_not_there_is_none(store: RequestStore) -> None:
    assert await store.get("nothing") is None
    found = await store.get("r1")
    assert found is not None
    assert found["attempts"] == []


async def test_a_live_view_follows_the_order_of_recording(store: RequestStore, database: Database) -> None:
    """A long request is recorded late and began early: it is new all the same."""
    last = await store.last_seq()
    assert await store.after(last) == []
    await write_batch(database, Step("j", "t", 0, 1), rows_of(request_row("long", timestamp=1)))
    rows = await store.after(last)
    assert [row["id"] for row in rows] == ["long"]
    assert rows[0]["seq"] == await store.last_seq()
    assert len(await store.after(0, limit=4)) == 4


async def test_an_empty_history_is_an_empty_page(database: Database) -> None:
    store = RequestStore(database)
    assert await store.page() == ([], None)
    assert await store.last_seq() == 0
