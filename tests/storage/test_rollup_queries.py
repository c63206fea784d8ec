"""What is read from the roll-ups is what the requests say."""

import random
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import (
    Dimension,
    Span,
    count_keys,
    cover,
    failures_by,
    finest_kept,
    sums_by,
    times_by,
)
from headgate.storage.rollup_tables import BY_CLIENT, BY_KEY, DAY, HOUR, LAYOUT, MINUTE
from headgate.storage.schema import FAILED, requests
from tests.storage.test_rollups import NOW, made_up, record

H, D = 3_600_000, 86_400_000


def test_a_time_is_covered_once_by_the_coarsest_that_fit() -> None:
    """Days in the middle, hours and minutes at its ends; nothing twice, nothing left out."""
    assert cover(2 * D + H, 5 * D + 2 * H, HOUR) == [
        Span(HOUR, 2 * D + H, 3 * D),
        Span(DAY, 3 * D, 5 * D),
        Span(HOUR, 5 * D, 5 * D + 2 * H),
    ]
    assert cover(D, None) == [Span(DAY, D)]
    chance = random.Random(3)
    for _ in range(300):
        since, until = sorted(chance.randrange(10_000) * 60_000 for _ in range(2))
        spans = cover(since, until)
        at = since
        for span in spans:
            assert span.since == at
            assert span.since % (span.resolution * 1000) == 0
            assert span.until is not None
            assert span.until > span.since
            assert span.until % (span.resolution * 1000) == 0
            at = span.until
        assert at == until or not spans
        assert len(spans) <= 5


def test_how_fine_it_may_be_is_how_long_it_is_kept() -> None:
    assert finest_kept(NOW - 2 * D, NOW) == MINUTE
    assert finest_kept(NOW - 50 * D, NOW) == HOUR
    assert finest_kept(NOW - 101 * D, NOW) == DAY


async def test_sums_are_those_of_the_requests(database: Database) -> None:
    """By groups and filters, on both databases."""
    rows = made_up(400, since=NOW - 2 * D, until=NOW)
    await record(database, [{**row, "session": str(number % 5)} for number, row in enumerate(rows)], 50)
    since = (NOW - D) // 60_000 * 60_000
    spans = cover(since, None)
    async with database.read() as connection:
        for wanted, condition in (
            (RequestFilter(), sa.true()),
            (RequestFilter(status="error"), FAILED),
            (RequestFilter(status="success"), sa.not_(FAILED)),
            (RequestFilter(account="gone"), requests.c.account == "gone"),
            (RequestFilter(caller="laptop", provider="anthropic"), requests.c.caller == "laptop"),
            (RequestFilter(project="website"), requests.c.project == "website"),
            (
                RequestFilter(client="curl", project="", status="success"),
                (requests.c.client == "curl") & requests.c.project.is_(None) & sa.not_(FAILED),
            ),
            (RequestFilter(session="3"), requests.c.session == "3"),
            (
                RequestFilter(session="3", client="", account="work", status="error"),
                (requests.c.session == "3")
                & requests.c.client.is_(None)
                & (requests.c.account == "work")
                & FAILED,
            ),
        ):
            counted = sa.select(requests.c.caller, sa.func.count()).where(
                requests.c.timestamp >= since, condition
            )
            expected = {tuple(row) for row in await connection.execute(counted.group_by(requests.c.caller))}
            found = await sums_by(connection, spans, wanted, ["caller"])
            assert {(row["caller"], row["requests"]) for row in found} == expected
            keys = await count_keys(connection, spans, wanted)
            assert keys == len(expected)
            failures = await failures_by(connection, spans, wanted)
            failed = sa.select(sa.func.count()).where(requests.c.timestamp >= since, condition, FAILED)
            assert sum(row["requests"] for row in failures) == (await connection.execute(failed)).scalar()
            by_day = await sums_by(connection, spans, wanted, [], bucket_ms=D)
            assert sum(row["requests"] for row in by_day) == sum(count for _, count in expected)
            times = await times_by(connection, spans, wanted, ["caller"])
            went_well = counted.where(sa.not_(FAILED)).group_by(requests.c.caller)
            expected = {tuple(row) for row in await connection.execute(went_well)}
            assert {(row["caller"], row["requests"]) for row in times} == expected


MADE_UP = made_up(300, since=NOW - 3 * D, until=NOW)
OF_CLIENTS_ALONE: list[tuple[RequestFilter, list[Dimension]]] = [
    (RequestFilter(), ["client"]),
    (RequestFilter(), ["project"]),
    (RequestFilter(status="error"), ["project", "client"]),
    (RequestFilter(status="success", client="curl"), []),
    (RequestFilter(project=""), ["client"]),
    (RequestFilter(project="ü" * 64, client="claude-code"), ["project", "failed"]),
]
OF_CLIENTS: list[tuple[RequestFilter, list[Dimension]]] = [
    *OF_CLIENTS_ALONE,
    (RequestFilter(client="curl"), ["account_id", "account", "model"]),
    (RequestFilter(project="", status="error"), ["account_id", "account", "model", "failed"]),
    (RequestFilter(model="claude-sonnet-4-5"), ["project"]),
    (RequestFilter(account="work"), ["client", "model"]),
]


def _sorted(rows: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted(row.items()) for row in rows)


@pytest.mark.parametrize(("wanted", "by"), OF_CLIENTS)
async def test_sums_of_clients_are_the_same_from_the_few_rows(
    database: Database, wanted: RequestFilter, by: list[Dimension]
) -> None:
    """Counts, failures and whole histograms, in one sum or by time: as from the rows that tell all apart,
    which a condition that holds for every request asks for. Those are not looked at any more: of days, and
    where accounts and models do not matter of hours and minutes too."""
    await record(database, [{**row, "caller": "laptop"} for row in MADE_UP], 40)
    all_told = replace(wanted, caller="laptop")
    timed = [one for one in by if one != "failed"]
    spans = cover((NOW - 3 * D) // 60_000 * 60_000, None)

    async def found(asked: RequestFilter, spans: list[Span]) -> list[list[list[tuple[str, Any]]]]:
        async with database.read() as connection:
            rows = [
                await sums_by(connection, spans, asked, by),
                await times_by(connection, spans, asked, timed),
                await sums_by(connection, spans, asked, by, bucket_ms=D),
                await times_by(connection, spans, asked, timed, bucket_ms=D, has_buckets=False),
                await failures_by(connection, spans, asked),
            ]
        return [_sorted(one) for one in rows]

    told = await found(all_told, spans)
    days = await found(all_told, [Span(DAY, 0)])
    assert min(len(told[0]), len(days[0])) > 0
    assert await found(wanted, spans) == told
    async with database.write() as connection:
        for table in LAYOUT:
            its = f"by_key IN ({BY_KEY}, {BY_CLIENT})"
            await connection.exec_driver_sql(f"DELETE FROM {table} WHERE {its}")
    assert await found(all_told, spans) == [[]] * 5
    assert await found(wanted, [Span(DAY, 0)]) == days
    if (wanted, by) in OF_CLIENTS_ALONE:
        assert await found(wanted, spans) == told
