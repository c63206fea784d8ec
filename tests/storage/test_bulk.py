"""Rows that go to the driver by columns arrive as SQLAlchemy would have written them."""

import sqlalchemy as sa

from headgate.storage.bulk import insert_new
from headgate.storage.database import Database, insert
from headgate.storage.schema import requests
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
