"""The past taken away."""

import sqlalchemy as sa

from headgate.storage import history
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.history import clear_before
from headgate.storage.schema import attempts, requests
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
