"""Pages of what has no index of its own are those of a plain search, and found without reading all."""

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.narrowing import is_narrowed, times_of
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.rollup_tables import DAY
from headgate.storage.rollups import forget_rollups
from tests.storage.rows import request_row
from tests.storage.test_rollups import NOW, made_up, record

H = 3_600_000


WANTED = [
    RequestFilter(model="claude-sonnet-4-5"),
    RequestFilter(model="ü" * 200, status="error"),
    RequestFilter(caller="laptop", status="success"),
    RequestFilter(caller="laptop", model="claude-sonnet-4-5", status="429"),
    RequestFilter(provider="anthropic", error="overloaded_error"),
    RequestFilter(provider="anthropic", since_ms=NOW - 60 * DAY * 1000 + 7, until_ms=NOW - H + 1),
    RequestFilter(model="rare"),
    RequestFilter(model="never"),
    RequestFilter(client="claude-code", project="website"),
    RequestFilter(project="ü" * 64, caller="laptop", status="error"),
    RequestFilter(client="", project=""),
    RequestFilter(session="3"),
    RequestFilter(session="3", account="work", status="error", since_ms=NOW - 40 * DAY * 1000),
    RequestFilter(session="never", client="curl"),
]


async def test_pages_are_those_of_a_plain_search(database: Database) -> None:
    """Each request once and in order, over all pages, also where hours are kept no longer."""
    rare = [request_row(f"rare{day}", timestamp=NOW - day * DAY * 1000, model="rare") for day in (1, 50, 109)]
    rows = [
        *made_up(60, since=NOW - 6 * H, until=NOW),
        *made_up(60, since=NOW - 110 * DAY * 1000, until=NOW, seed=8),
    ]
    rows = [*rows, *rare]
    for number, row in enumerate(rows):
        row["session"] = str(number % 7) if number % 9 else None
    await record(database, rows, 50)
    while await forget_rollups(database, NOW):
        pass
    store = RequestStore(database)
    for wanted in WANTED:
        found, cursor = await store.page(wanted, limit=7)
        while cursor is not None:
            more, cursor = await store.page(wanted, limit=7, cursor=cursor)
            found += more
        fits = [row for row in rows if _fits(row, wanted)]
        fits.sort(key=lambda row: (row["timestamp"], row["id"]), reverse=True)
        assert [row["id"] for row in found] == [row["id"] for row in fits], wanted


def _fits(row: dict[str, object], wanted: RequestFilter) -> bool:
    at, status = row["timestamp"], row["status"]
    assert isinstance(at, int)
    assert isinstance(status, int)
    has_failed = status >= 400 or row["error"] is not None
    return (
        wanted.model in (None, row["model"])
        and wanted.caller in (None, row["caller"])
        and wanted.provider in (None, row["provider"])
        and wanted.error in (None, row["error"])
        and wanted.account in (None, row["account"])
        and wanted.client in (None, row["client"] or "")
        and wanted.project in (None, row["project"] or "")
        and wanted.session in (None, row["session"])
        and (wanted.since_ms or 0) <= at < (wanted.until_ms or NOW + 1)
        and {"error": has_failed, "success": not has_failed}.get(str(wanted.status), True)
        and (wanted.status != "429" or status == 429)
    )


async def test_only_the_hours_that_have_it_are_read(database: Database) -> None:
    """Those that follow each other are one time."""
    at = NOW // H * H
    rows = [request_row(f"r{hours}", timestamp=at - hours * H, model="rare") for hours in (0, 1, 40)]
    await record(database, rows, 10)
    wanted = RequestFilter(model="rare")
    async with database.read() as connection:
        times = [one async for one in times_of(connection, wanted, None)]
        assert times == [(at - H, at + H), (at - 40 * H, at - 39 * H)]
        assert [one async for one in times_of(connection, RequestFilter(model="never"), None)] == []
        await connection.execute(sa.select(1))
    assert is_narrowed(wanted)
    assert not is_narrowed(RequestFilter(status="error"))
    assert not is_narrowed(RequestFilter(session="s", model="rare"))
