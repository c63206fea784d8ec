"""The roll-ups say what the rows say, whichever way they are made, on both databases."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.storage import rollups as rollups_module
from headgate.storage.batch import Rows, Step, write_batch
from headgate.storage.database import Database
from headgate.storage.request_filter import RequestFilter
from headgate.storage.requests import RequestStore
from headgate.storage.rollup_check import differing_days
from headgate.storage.rollup_rebuild import lock_rollups, rebuild
from headgate.storage.rollup_tables import CLIENTS_ALONE, DAY, HOUR, MINUTE, OTHERS, OVER_KEYS
from headgate.storage.rollups import forget_rollups, kind_of
from headgate.storage.schema import requests, rollup_failures, rollup_times, rollups
from tests.storage.rows import request_row

NOW = 1_790_000_000_000
TABLES = (rollups, rollup_failures, rollup_times)
PROJECTS = (None, "website", "ü" * 64)


def made_up(
    count: int, *, since: int, until: int, seed: int = 7, projects: Sequence[str | None] = PROJECTS
) -> list[dict[str, Any]]:
    """With all that is odd: no account, no model, long names, nonsense of providers, times at the bounds."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        account = chance.choice((None, "work", "team", "gone"))
        tokens = chance.choice((None, 0, 1, 300, 2**62))
        rows.append(
            request_row(
                f"hgr_{seed}_{number}",
                timestamp=chance.randrange(since, until),
                account=account,
                account_id=chance.choice((None, 3)) if account == "gone" else account and len(account),
                key_id=chance.choice((None, 1, 2)),
                caller=chance.choice(("anonymous", "laptop")),
                user_agent=chance.choice(("claude-cli/2.0.76 (external, cli)", "curl/8.5.0", "")),
                project=chance.choice(projects),
                model=chance.choice((None, "claude-sonnet-4-5", "ü" * 200)),
                path=chance.choice(
                    ("/v1/messages", "/v1/messages/count_tokens", "/V1beta/models/g:generateContent", "/x")
                ),
                status=chance.choice((200, 200, 200, 429, 500)),
                error=chance.choice((None, None, None, "overloaded_error", "e" * 100)),
                stream=chance.random() < 0.5,
                first_byte_ms=chance.choice((None, 9.999, 10.0, 0.0005, 640.0625)),
                duration_ms=chance.choice((0.0, 10.0, 16.0, 1600.0, 640.5629, 1e6, 1e300)),
                output_tokens=tokens,
                cache_read_tokens=chance.choice((None, 5)),
                cache_write_1h_tokens=chance.choice((None, 7)),
                nano_usd=chance.choice((None, 123_456_789)),
                tool_calls=chance.choice((None, 2)),
                service_tier=chance.choice((None, "batch")),
            )
        )
    return rows


async def _content(database: Database, resolutions: tuple[int, ...]) -> list[list[tuple[Any, ...]]]:
    async with database.read() as connection:
        return [
            sorted(tuple(row) for row in await connection.execute(_of(table, resolutions)))
            for table in TABLES
        ]


def _of(table: sa.Table, resolutions: tuple[int, ...]) -> sa.Select[Any]:
    return sa.select(table).where(table.c.resolution.in_(resolutions))


async def record(database: Database, rows: list[dict[str, Any]], piece: int) -> None:
    for start in range(0, len(rows), piece):
        step = Step("j", rows[0]["id"], start, start + piece)
        await write_batch(database, step, Rows(requests=rows[start : start + piece]))


async def test_what_is_added_in_batches_is_what_the_migration_makes_of_the_rows(database: Database) -> None:
    """To the last number, however the batches are cut; minutes and hours as far back as they are kept."""
    rows = [
        *made_up(300, since=NOW - 2 * 3_600_000, until=NOW, projects=[None]),
        *made_up(200, since=NOW - 5 * DAY * 1000, until=NOW, seed=8, projects=[None]),
        *made_up(60, since=NOW - 110 * DAY * 1000, until=NOW, seed=9, projects=[None]),
    ]
    # Neither was known then.
    rows = [row | {"tool_calls": None, "service_tier": None} for row in rows]
    await record(database, rows, 37)
    while await forget_rollups(database, NOW):
        pass
    recorded = await _content(database, (HOUR, DAY))
    assert len(recorded[0]) > 300
    assert {row[0] for row in (await _content(database, (MINUTE,)))[0]} == {MINUTE}
    async with database.write() as connection:
        for table in TABLES:
            await connection.execute(sa.text(f"DROP TABLE {table.name}"))
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '0009'"))
    assert "0010" in await database.upgrade()
    made = await _content(database, (HOUR, DAY))
    # What lies between the newest request and now is another horizon: of the oldest day of hours alone.
    oldest = (
        max(min(row[2] for row in found if row[0] == HOUR) for found in (recorded[0], made[0])) + DAY * 1000
    )
    for one, other in zip(recorded, made, strict=True):
        assert [row for row in one if row[0] == DAY] == [row for row in other if row[0] == DAY]
        assert _since(one, oldest) == _since(other, oldest) != []


def _since(rows: list[tuple[Any, ...]], oldest: int) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[2] >= oldest]


async def test_a_rebuilt_bucket_is_as_it_was(database: Database) -> None:
    """All three that hold the moment, and no other."""
    await record(database, made_up(300, since=NOW - 300_000, until=NOW), 100)
    before = await _content(database, (MINUTE, HOUR, DAY))
    async with database.write() as connection:
        await lock_rollups(connection)
        for resolution in (MINUTE, HOUR, DAY):
            at = NOW - 60_000
            at -= at % (resolution * 1000)
            for table in TABLES:
                its = (table.c.resolution == resolution) & (table.c.at == at)
                assert (await connection.execute(sa.delete(table).where(its))).rowcount > 0
        await rebuild(connection, NOW - 60_000)
    assert await _content(database, (MINUTE, HOUR, DAY)) == before


async def test_sums_are_whole_after_a_batch_that_failed(database: Database) -> None:
    """They come with the rows or not at all."""
    rows = made_up(50, since=NOW - 3_600_000, until=NOW)
    await record(database, rows, 50)
    before = await _content(database, (MINUTE, HOUR, DAY))
    with pytest.raises(KeyError):
        await write_batch(database, Step("j", "s", 0, 1), Rows(requests=[{"id": "hgr_half"}]))
    assert await _content(database, (MINUTE, HOUR, DAY)) == before
    async with database.read() as connection:
        summed = sa.select(sa.func.sum(rollups.c.requests)).where(
            rollups.c.resolution == DAY, rollups.c.by_key == 1
        )
        counted = sa.select(sa.func.count()).select_from(requests)
        assert (
            (await connection.execute(summed)).scalar() == (await connection.execute(counted)).scalar() == 50
        )


async def test_old_minutes_and_hours_are_forgotten_and_days_are_not(database: Database) -> None:
    """In steps of an hour and a day; what is younger stays."""
    days = (0, 2, 4, 90, 102, 400)
    rows = [request_row(f"hgr_{day}", timestamp=NOW - day * DAY * 1000) for day in days]
    await record(database, rows, 10)
    steps = 0
    while await forget_rollups(database, NOW):
        steps += 1
    assert steps > 1
    async with database.read() as connection:
        for resolution, kept, families in ((MINUTE, 2, 4), (HOUR, 4, 4), (DAY, 6, 6)):
            for table in (rollups, rollup_times):
                count = sa.select(sa.func.count()).where(table.c.resolution == resolution)
                assert (await connection.execute(count)).scalar() == families * kept


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/messages", "inference"),
        ("/api/v1/messages", "inference"),
        ("/v1/messages/count_tokens", "count_tokens"),
        ("/v1beta/models/g:streamGenerateContent", "inference"),
        ("/v1beta/models/g:countTokens", "count_tokens"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/models", "other"),
    ],
)
def test_what_a_request_was_for(path: str, kind: str) -> None:
    """By its path alone."""
    assert kind_of(path) == kind


async def test_a_time_is_read_in_one_piece(sqlite_url: str, tmp_path: Path) -> None:
    """By the key, and without the rest of the table."""
    from headgate.storage.database import open_database

    opened = await open_database(sqlite_url)
    await opened.upgrade()
    async with opened.read() as connection:
        for table in TABLES:
            plan = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT sum(requests) FROM {table.name}"
                " WHERE resolution = 60 AND by_key = 0 AND at >= 5"
            )
            assert "USING PRIMARY KEY (resolution=? AND by_key=? AND at>?)" in " ".join(
                str(row) for row in plan.all()
            )
    await opened.close()


@pytest.mark.parametrize("kind", ["model", "client", "project"])
async def test_of_a_day_only_so_many_names_are_told_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Names are the callers'. Those that were there first stay, the next day has its own; requests keep
    theirs and are found by them, and the check takes sums of several names as that."""
    monkeypatch.setattr(rollups_module, "MOST_NAMES", 3)
    names = ["a", "b", None, "c", "d", "a", "e"]
    days = (NOW - 2 * DAY * 1000, NOW - DAY * 1000, NOW)
    for at in days:
        rows = [
            request_row(f"hgr_{at}_{number}", timestamp=at + number, duration_ms=1e3, **{kind: name})
            for number, name in enumerate(names)
        ]
        await record(database, rows, 2)
    async with database.read() as connection:
        its = rollups.c.by_key == (OVER_KEYS if kind == "model" else CLIENTS_ALONE)
        of_days = sa.select(rollups.c[kind], rollups.c.requests).where(its)
        of_days = of_days.where(rollups.c.resolution == DAY, rollups.c.at == NOW - NOW % (DAY * 1000))
        found = {row[0]: row[1] for row in await connection.execute(of_days)}
        assert found == {"a": 2, "b": 1, "": 1, "c": 1, OTHERS[kind]: 2}
        assert await differing_days(connection) == []
    page, _ = await RequestStore(database).page(RequestFilter(**{kind: "d"}))
    assert len(page) == 3
    async with database.write() as connection:
        await connection.execute(sa.update(rollups).values(requests=rollups.c.requests + 1))
    async with database.read() as connection:
        assert len(await differing_days(connection)) == 2
