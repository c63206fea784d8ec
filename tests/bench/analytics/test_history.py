"""The history that the roll-ups are measured with."""

from bench.analytics.history import COLUMNS, DAYS, fill, rows
from headgate.storage.database import Database
from headgate.storage.requests import RequestStore

NOW = 1_790_000_000_000


async def test_it_is_as_long_as_asked_and_in_the_order_of_time(database: Database) -> None:
    """On both databases, straight into the table."""
    await fill(database, 2_000, NOW)
    found, cursor = await RequestStore(database).page(limit=1_000)
    assert cursor is not None
    times = [row["timestamp"] for row in found]
    assert times == sorted(times, reverse=True)
    assert NOW - 100_000_000 < times[0] <= NOW
    assert len({row["account"] for row in found}) == 12
    assert 0 < sum(row["status"] >= 400 for row in found) < 100


def test_it_is_the_same_each_time() -> None:
    first, second = list(rows(100, NOW)), list(rows(100, NOW))
    assert first == second
    assert {len(row) for row in first} == {len(COLUMNS)}
    assert first[0][1] == NOW - DAYS * 86_400_000
