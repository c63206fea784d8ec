"""What is read from the roll-ups is what the requests say."""

import random

import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.rollup_queries import (
    Span,
    count_keys,
    cover,
    failures_by,
    finest_kept,
    sums_by,
    times_by,
)
from headgate.storage.rollup_tables import DAY, HOUR, MINUTE
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
