"""The past taken away."""

import sqlalchemy as sa

from headgate.storage import history
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.history import clear_before, delete_before
from headgate.storage.rollup_tables import DAY, FAMILIES, OF_DAYS
from headgate.storage.schema import attempts, requests, rollup_times, rollups
from tests.storage.rows import attempt_row, request_row


async def _left(database: Database) -> tuple[list[str], int]:
    async with database.read() as connection:
        ids = (await connection.execute(sa.select(requests.c.id).order_by(requests.c.id))).scalars()
        count = (await connection.execute(sa.select(sa.func.count()).select_from(attempts))).scalar_one()
        return list(ids), count


async def test_what_began_earlier_goes_with_its_attempts(database: Database) -> None:
    """In pieces; what is younger stays, and a call that found fewer than it may take has found all."""
    history.PIECE = 2
    try:
        rows = [request_row(f"r{number}", timestamp=number) for number in range(1, 8)]
        tries = [attempt_row(row["id"], 0) for row in rows]
        await write_batch(database, Step("g", "s", 0, 1), Rows(requests=rows, attempts=tries))
        assert await clear_before(database, 6, most=4) == 4
        assert await clear_before(database, 6, most=4) == 1
        assert await _left(database) == (["r6", "r7"], 2)
        assert await clear_before(database, 10**15, most=100) == 2
        assert await _left(database) == ([], 0)
    finally:
        history.PIECE = 2_000


async def _summed(database: Database) -> list[tuple[int, int, int]]:
    """Resolution, count and when, from both tables alike, in each family that has all resolutions; the others
    have the same days."""
    async with database.read() as connection:
        found = [
            [
                tuple(row)
                for row in await connection.execute(
                    sa.select(table.c.resolution, table.c.requests, table.c.at)
                    .where(table.c.by_key == by_key)
                    .order_by(table.c.resolution, table.c.at)
                )
            ]
            for table in (rollups, rollup_times)
            for by_key in FAMILIES
        ]
    days = [row for row in found[0] if row[0] == DAY]
    assert found == [days if family in OF_DAYS else found[0] for family in FAMILIES] * 2
    return found[0]


async def test_the_rollups_of_what_was_cleared_go_with_it(database: Database) -> None:
    """To the request: the minute, hour and day in which the line is drawn have what is left of them; sums
    whose requests are long gone go too."""
    day, minute = 86_400_000, 60_000
    times = (5 * day, 9 * day, 9 * day + 5 * minute, 9 * day + 5 * minute + 1, 9 * day + 70 * minute)
    rows = [request_row(f"r{number}", timestamp=at) for number, at in enumerate(times)]
    await write_batch(database, Step("g", "s", 0, 1), Rows(requests=rows))
    async with database.write() as connection:
        await connection.execute(sa.delete(requests).where(requests.c.id == "r0"))
    assert await clear_before(database, 9 * day + 5 * minute + 1, most=100) == 2
    assert await _summed(database) == [
        (60, 1, 9 * day + 5 * minute),
        (60, 1, 9 * day + 70 * minute),
        (3600, 1, 9 * day),
        (3600, 1, 9 * day + 60 * minute),
        (86400, 2, 9 * day),
    ]
    assert await clear_before(database, 10**15, most=100) == 2
    assert await _summed(database) == []


async def test_sums_outlive_their_requests_also_on_the_day_in_which_the_line_is_drawn(
    database: Database,
) -> None:
    """What went because it was too old is in no bucket made anew from requests, so finer sums tell."""
    day, hour = 86_400_000, 3_600_000
    times = (9 * day, 9 * day + 5 * hour, 9 * day + 5 * hour + 60_000, 9 * day + 7 * hour)
    rows = [request_row(f"r{number}", timestamp=at) for number, at in enumerate(times)]
    await write_batch(database, Step("g", "s", 0, 1), Rows(requests=rows))
    assert await delete_before(database, 10 * day, most=100) == 4
    assert await clear_before(database, 9 * day + 5 * hour + 60_000, most=100) == 0
    left = [(resolution, count) for resolution, count, _ in await _summed(database)]
    assert left == [(60, 1), (60, 1), (3600, 1), (3600, 1), (86400, 2)]
