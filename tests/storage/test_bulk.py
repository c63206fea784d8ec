"""Rows that go to the driver by columns arrive as SQLAlchemy would have written them."""

from typing import Any

import sqlalchemy as sa

from headgate.storage.bulk import insert_new, merge
from headgate.storage.database import Database, insert
from headgate.storage.schema import provider_sums, requests
from headgate.storage.sums import MOST, bounded_sum
from tests.storage.rows import request_row

ODD = {"accounts": [{"account": 'wörk "1"', "reason": "paused"}], "more": 0}


async def test_nothing_truth_and_json_arrive_as_they_were(database: Database) -> None:
    """In one batch beside rows that have none of them, and in one where no row has any."""
    rows = [
        request_row("plain", stream=True, error=None, skipped=None),
        request_row("odd", stream=False, error="x", skipped=ODD, account=None, account_id=None),
    ]
    alone = [request_row("alone", stream=False, error=None, skipped=None, model=None)]
    wanted = [{**row, "id": f"{row['id']} too"} for row in (*rows, *alone)]
    async with database.write() as connection:
        await insert_new(connection, requests, rows)
        await insert_new(connection, requests, alone)
        await connection.execute(insert(connection, requests), wanted)
        found = (await connection.execute(sa.select(requests).order_by(requests.c.seq))).mappings().all()
    ours, theirs = found[:3], found[3:]
    for one, other in zip(ours, theirs, strict=True):
        own = {"seq": one["seq"], "id": one["id"]}
        assert dict(one) == {**other, **own} and other["id"] == f"{one['id']} too"
    assert ours[1]["skipped"] == ODD
    raw = sa.text("SELECT stream, skipped FROM requests ORDER BY seq")
    async with database.read() as connection:
        stored = [tuple(row) for row in await connection.execute(raw)]
    assert stored[:3] == stored[3:]


async def test_what_is_there_already_stays(database: Database) -> None:
    async with database.write() as connection:
        await insert_new(connection, requests, [request_row("a", status=200)])
        await insert_new(connection, requests, [request_row("a", status=500), request_row("b", status=201)])
        await insert_new(connection, requests, [])
        found = await connection.execute(sa.select(requests.c.id, requests.c.status).order_by(requests.c.seq))
    assert [tuple(row) for row in found] == [("a", 200), ("b", 201)]


def _added_up(adding: Any) -> dict[str, Any]:
    names = ("requests", "failures")
    return {name: bounded_sum(provider_sums.c[name], adding.excluded[name]) for name in names}


async def test_what_meets_a_row_is_added_to_it(database: Database) -> None:
    """Whatever constants the sum has: they are parameters as well."""
    columns = {column.name: 0 for column in provider_sums.columns}
    one = {**columns, "provider": "anthropic", "status": 200, "requests": 3, "failures": 1}
    other = {**one, "status": 500, "requests": 7}
    async with database.write() as connection:
        await merge(connection, provider_sums, [one, other], _added_up)
        await merge(connection, provider_sums, [], _added_up)
        await merge(connection, provider_sums, [{**one, "requests": 4}, {**one, "requests": MOST}], _added_up)
        query = sa.select(provider_sums.c.requests, provider_sums.c.failures, provider_sums.c.status)
        found = [tuple(row) for row in await connection.execute(query.order_by(provider_sums.c.status))]
    assert found == [(MOST, 3, 200), (7, 1, 500)]
