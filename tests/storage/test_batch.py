import asyncio

import pytest
import sqlalchemy as sa

from headgate.storage.batch import (
    PositionMoved,
    Rows,
    RowsRefused,
    Step,
    forget_position,
    read_positions,
    write_batch,
)
from headgate.storage.database import Database
from headgate.storage.health import HealthStore
from headgate.storage.requests import RequestStore
from headgate.storage.schema import accounts
from tests.storage.rows import attempt_row, request_row, rows_of


async def recorded(database: Database) -> list[str]:
    return [row["id"] for row in await RequestStore(database).after(0)]


async def test_rows_and_position_are_written_together(database: Database) -> None:
    rows = Rows(requests=[request_row("a")], attempts=[attempt_row("a", 0), attempt_row("a", 1)])
    await write_batch(database, Step("j", "s", 0, 10), rows)
    assert await read_positions(database) == {("j", "s"): 10}
    found = await RequestStore(database).get("a")
    assert found is not None
    assert [attempt["position"] for attempt in found["attempts"]] == [0, 1]


async def test_a_part_that_was_written_is_not_written_again(database: Database) -> None:
    await write_batch(database, Step("j", "s", 0, 10), rows_of(request_row("a")))
    for start in (0, 5, 11):
        with pytest.raises(PositionMoved):
            await write_batch(database, Step("j", "s", start, 20), rows_of(request_row("b")))
    assert await recorded(database) == ["a"]
    assert await read_positions(database) == {("j", "s"): 10}


async def test_of_many_replayers_at_once_one_writes(database: Database) -> None:
    results = await asyncio.gather(
        *(write_batch(database, Step("j", "s", 0, 10), rows_of(request_row(f"r{n}"))) for n in range(8)),
        return_exceptions=True,
    )
    assert sorted(map(repr, results)) == ["None"] + ["PositionMoved()"] * 7
    assert len(await recorded(database)) == 1


async def test_the_same_id_from_another_segment_is_kept_once(database: Database) -> None:
    """The second belt, under a journal that was copied or put back."""
    rows = Rows(requests=[request_row("a")], attempts=[attempt_row("a", 0)], objects=[_object("file_1")])
    await write_batch(database, Step("j", "s1", 0, 10), rows)
    await write_batch(database, Step("j", "s2", 0, 10), rows)
    assert await recorded(database) == ["a"]


def _object(object_id: str) -> dict[str, object]:
    return {"object_id": object_id, "account_id": 1, "at_ms": 1}


@pytest.mark.parametrize(
    "bad", [{"input_tokens": 2**63}, {"input_tokens": 2**70}, {"method": None}, {"status": "x" * 10}]
)
async def test_a_value_that_is_refused_is_told_from_a_database_that_is_away(
    database: Database, bad: dict[str, object]
) -> None:
    """And neither its neighbours nor the position are written."""
    if database.dialect == "sqlite" and "status" in bad:
        pytest.skip("SQLite keeps any value in any column")
    with pytest.raises(RowsRefused):
        await write_batch(
            database, Step("j", "s", 0, 10), rows_of(request_row("good"), request_row("bad", **bad))
        )
    assert await recorded(database) == []
    assert await read_positions(database) == {}


async def test_the_newest_health_wins(database: Database) -> None:
    """Also when an older one comes later, from another worker's journal."""
    async with database.write() as connection:
        await connection.execute(sa.insert(accounts).values(_account()))
    states = [(5, "first"), (9, "newest"), (7, "late")]
    for number, (at_ms, word) in enumerate(states):
        row = {"account_id": 1, "at_ms": at_ms, "state": {"is": word}}
        await write_batch(database, Step("j", "s", number, number + 1), Rows(health=[row]))
    assert await HealthStore(database).load() == {1: {"is": "newest"}}


def _account() -> dict[str, object]:
    texts = dict.fromkeys(("name", "provider", "kind", "secret", "secret_digest", "origin"), "x")
    numbers = dict.fromkeys(("id", "priority", "weight", "account_tier", "created_at", "updated_at"), 1)
    return {**texts, **numbers, "models": [], "paused": False}


async def test_a_position_is_forgotten_alone(database: Database) -> None:
    for segment in ("s1", "s2"):
        await write_batch(database, Step("j", segment, 0, 10), Rows())
    await forget_position(database, "j", "s1")
    assert await read_positions(database) == {("j", "s2"): 10}
