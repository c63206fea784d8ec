"""The history by months, on PostgreSQL: every row finds its place, what is too old goes with its table."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from headgate.storage import partitions as months
from headgate.storage.batch import PositionMoved, Rows, Step, write_batch
from headgate.storage.database import Database, open_database
from headgate.storage.history import clear_before, delete_before
from headgate.storage.partitions import (
    FIRST_MS,
    LAST_MS,
    drop_months,
    make_months,
    make_months_ahead,
    month_of,
    partitions,
)
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.schema import attempts, bodies, conversations, request_links, requests
from headgate.storage.upkeep import check, info
from tests.storage.migrations.plain import without_months
from tests.storage.pages import every_page
from tests.storage.rows import attempt_row, request_row

MAY, JUNE, JULY = 1_937_000_000_000, 1_939_000_000_000, 1_941_000_000_000
"""In 2031, which no first part reaches."""
END_OF_MAY, END_OF_JUNE = month_of(MAY).until_ms, month_of(JUNE).until_ms


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgres_url)
    yield opened
    await opened.close()


def _rows(*times: int) -> Rows:
    rows = Rows()
    for at in times:
        rows.requests.append(request_row(f"r{at}", timestamp=at))
        rows.attempts.append(attempt_row(f"r{at}", 0))
    return rows


async def _names(database: Database, table: str) -> list[str]:
    async with database.read() as connection:
        return [one.name for one in await partitions(connection) if one.table == table]


async def _counts(database: Database) -> tuple[int, ...]:
    async with database.read() as connection:
        return tuple(
            [
                (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()
                for table in (requests, attempts, request_links)
            ]
        )


@pytest.mark.parametrize(
    ("at_ms", "label", "since_ms", "until_ms"),
    [
        (0, "1970_01", 0, 31 * 86_400_000),
        (-1, "1969_12", -31 * 86_400_000, 0),
        (1_704_067_199_999, "2023_12", 1_701_388_800_000, 1_704_067_200_000),
        (1_704_067_200_000, "2024_01", 1_704_067_200_000, 1_706_745_600_000),
        (10**15, "9999_12", 253_399_622_400_000, LAST_MS),
        (2**63 - 1, "9999_12", 253_399_622_400_000, LAST_MS),
        (-(2**62), "0001_01", FIRST_MS, -62_132_918_400_000),
    ],
)
def test_a_month_begins_where_the_last_one_ends(at_ms: int, label: str, since_ms: int, until_ms: int) -> None:
    """Years too, and what no calendar holds is in its ends."""
    month = month_of(at_ms)
    if at_ms == 10**15:
        assert month.since_ms <= at_ms < month.until_ms
        return
    assert (month.label, month.since_ms, month.until_ms) == (label, since_ms, until_ms)


async def test_a_row_of_any_month_finds_a_place(database: Database) -> None:
    """Long ago, now, in years to come, and at the ends of time; each month is made once."""
    times = (-(2**62), 0, 1_700_000_000_000, MAY, END_OF_MAY - 1, END_OF_MAY, 10**15, 2**63 - 2)
    await write_batch(database, Step("g", "s", 0, 1), _rows(*times))
    assert await _counts(database) == (8, 8, 0)
    names = await _names(database, "requests")
    assert (names[0], "requests_2031_05" in names, "requests_2031_06" in names) == (
        "requests_first",
        True,
        True,
    )
    assert [one.replace("attempts", "requests") for one in await _names(database, "attempts")] == names
    async with database.write() as connection:
        assert await make_months(connection, times) == []
    assert (await check(database)).problems == []


async def test_a_replayed_batch_is_there_once(database: Database) -> None:
    """Also where its position was lost: the same record has the same id and the same time."""
    await write_batch(database, Step("g", "s", 0, 1), _rows(MAY, JUNE))
    with pytest.raises(PositionMoved):
        await write_batch(database, Step("g", "s", 0, 1), _rows(MAY, JUNE))
    await write_batch(database, Step("g", "other", 0, 1), _rows(MAY, JUNE, JULY))
    assert await _counts(database) == (3, 3, 0)


async def test_two_recorders_make_the_same_month(database: Database, postgres_url: str) -> None:
    """At once: both batches are stored."""
    other = await open_database(postgres_url)
    first, second = Step("a", "s", 0, 1), Step("b", "s", 0, 1)
    await asyncio.gather(write_batch(database, first, _rows(MAY)), write_batch(other, second, _rows(MAY + 1)))
    await other.close()
    assert await _counts(database) == (2, 2, 0)


async def test_this_month_and_the_next_are_made_ahead(database: Database) -> None:
    assert await make_months_ahead(database, MAY / 1000) == [
        *("requests_2031_05", "attempts_2031_05"),
        *("requests_2031_06", "attempts_2031_06"),
    ]
    assert await make_months_ahead(database, MAY / 1000) == []


async def test_what_is_too_old_goes_with_its_month(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole months as tables, the month at the edge row by row; attempts and links go along."""
    await write_batch(database, Step("g", "s", 0, 1), _rows(5, MAY, JUNE, JULY - 1, JULY, JULY + 1))
    async with database.write() as connection:
        talk = {column.name: _filler(column) for column in conversations.columns}
        talk |= {"id": "c", "started_at": MAY, "last_at": JULY + 1}
        await connection.execute(sa.insert(conversations), [talk])
        link = {column.name: _filler(column) for column in request_links.columns}
        links = [{**link, "request_id": f"r{at}", "conversation_id": "c"} for at in (MAY, JULY - 1, JULY)]
        await connection.execute(sa.insert(request_links), links)
        seqs = {row.timestamp: row.seq for row in await connection.execute(sa.select(requests))}
        body = {column.name: _filler(column) for column in bodies.columns}
        said = [{**body, "seq": seqs[at], "kind": kind} for at in (MAY, JULY) for kind in ("a", "b")]
        await connection.execute(sa.insert(bodies), said)
    monkeypatch.setattr("headgate.storage.history.BODIES", 1)
    assert await delete_before(database, END_OF_JUNE + 1, most=100) == 3
    async with database.read() as connection:
        left = await connection.execute(sa.select(bodies.c.seq).distinct())
        assert left.scalars().all() == [seqs[JULY]]
    kept = ["requests_2031_07"]
    assert [name for name in await _names(database, "requests") if name != "requests_first"] == kept
    assert await _names(database, "attempts") == ["attempts_2031_07"]
    assert await _counts(database) == (3, 3, 2)
    assert await clear_before(database, JULY, most=100) == 1
    assert await _counts(database) == (2, 2, 1)
    # What comes late makes its month anew.
    await write_batch(database, Step("g", "s", 1, 2), _rows(7, MAY))
    assert await every_page(RequestStore(database), RequestFilter(), 2) == [
        *(f"r{JULY + 1}", f"r{JULY}", f"r{MAY}", "r7")
    ]


def _filler(column: sa.Column[object]) -> object:
    if isinstance(column.type, sa.LargeBinary):
        return b""
    return "" if isinstance(column.type, sa.Text) else 0 if isinstance(column.type, sa.Integer) else False


async def test_a_month_that_is_read_goes_the_next_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits long for it, and nothing fails."""
    monkeypatch.setattr(months, "_PATIENCE", "20ms")
    await write_batch(database, Step("g", "s", 0, 1), _rows(MAY))
    before = await _names(database, "attempts")
    async with database.read() as reading:
        await reading.execute(sa.select(attempts))
        assert await drop_months(database, END_OF_MAY) == 0
        assert await _names(database, "attempts") == before
    assert await drop_months(database, END_OF_MAY) == 1


async def test_months_are_listed_with_their_size(database: Database) -> None:
    await write_batch(database, Step("g", "s", 0, 1), _rows(MAY))
    found = {one.name: one for one in (await info(database)).partitions}
    may = found["requests_2031_05"]
    assert (may.table, may.since_ms, may.until_ms) == ("requests", month_of(MAY).since_ms, END_OF_MAY)
    assert may.size_bytes > 0
    assert found["requests_first"].since_ms is None


async def test_a_history_of_before_is_kept_where_it_is(database: Database) -> None:
    """The tables of then become the first part: rows, marks, numbering, the view and who may read it."""
    now = 1_700_000_000_000
    tries = [
        attempt_row("failed", 0, error="x", request_at=now, request_failed=True, account="spare"),
        *(attempt_row(name, 1) for name in ("failed", "well")),
    ]
    rows = [
        request_row(name, timestamp=now, status=status) for name, status in (("failed", 500), ("well", 200))
    ]
    await write_batch(database, Step("g", "s", 0, 1), Rows(requests=rows, attempts=tries))
    query = sa.text("SELECT * FROM requests ORDER BY seq"), sa.text("SELECT * FROM api_requests ORDER BY 1")
    marks = sa.text("SELECT request_id, position, request_at, request_failed FROM attempts ORDER BY 1, 2")
    async with database.write() as connection:
        # Like one that was brought in from elsewhere.
        await connection.execute(sa.update(requests).where(requests.c.id == "well").values(seq=-5))
        before = [(await connection.execute(one)).all() for one in (*query, marks)]
        await without_months(connection)
        for statement in (
            "DROP ROLE IF EXISTS headgate_reader",
            "CREATE ROLE headgate_reader",
            "GRANT SELECT ON requests, api_requests TO headgate_reader",
            "UPDATE alembic_version SET version_num = '0012'",
        ):
            await connection.exec_driver_sql(statement)
    assert await partitions_of(database) == []
    assert await database.upgrade() == ["0014", "0015", "0016", "0017", "0018"]
    assert await partitions_of(database) == ["requests_first", "attempts_first"]
    async with database.write() as connection:
        assert [(await connection.execute(one)).all() for one in (*query, marks)] == before
        may = "SELECT has_table_privilege('headgate_reader', 'requests', 'SELECT')"
        assert (await connection.execute(sa.text(may))).scalar() is True
        await connection.exec_driver_sql("DROP OWNED BY headgate_reader")
        await connection.exec_driver_sql("DROP ROLE headgate_reader")
    await write_batch(database, Step("g", "s", 1, 2), _rows(MAY))
    found = await every_page(RequestStore(database), RequestFilter(account="spare"), 5)
    assert found == ["failed"]
    async with database.read() as connection:
        assert (await connection.execute(sa.text("SELECT max(seq) FROM requests"))).scalar() == 3
    assert (await check(database)).problems == []


async def partitions_of(database: Database) -> list[str]:
    return [*await _names(database, "requests"), *await _names(database, "attempts")]
