"""Requests linked anew come to be what they were told as, whatever was made of them before."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headgate.storage.database import Database
from headgate.storage.relinking import Relinked, relink
from headgate.storage.schema import conversations, request_links
from headgate.testing.sessions import Told, coding_session, tell_session
from tests.conversation.linked import truth
from tests.record.test_links import Gateway, replayed, stored


async def _rows(database: Database) -> list[dict[str, Any]]:
    # Of two calls in one message with the same prompt it is not known which came first.
    hidden = ("last_request", "last_branch", "parent_tool_id")
    async with database.read() as connection:
        found = (await connection.execute(sa.select(conversations).order_by(conversations.c.id))).mappings()
        return [{name: value for name, value in row.items() if name not in hidden} for row in found]


@pytest.mark.parametrize("session", [None, "3f1c"])
async def test_what_was_right_stays(database: Database, tmp_path: Path, session: str | None) -> None:
    told = coding_session(6, session=session)
    gateway = Gateway(tmp_path)
    for one in told.in_order_of_ends():
        gateway.serve(one)
    await replayed(tmp_path, database)
    before = await _rows(database)
    done = await relink(database)
    assert (done.scopes, done.requests, done.moved) == (1, len(told.sent), 0)
    assert await _rows(database) == before
    assert await stored(database) == truth(told)


async def test_what_came_in_another_order_is_put_right(database: Database, tmp_path: Path) -> None:
    """As from a gateway whose recorder was away for long; every caller by itself."""
    told = Told(7)
    tell_session(told, "ann's", caller="ann")
    tell_session(told, "bob's", caller="bob", session="1")
    gateway = Gateway(tmp_path)
    for one in reversed(told.in_order_of_ends()):
        gateway.serve(one)
    await replayed(tmp_path, database)
    assert await stored(database) != truth(told)
    seen: list[int] = []
    done = await relink(database, lambda so_far: seen.append(so_far.scopes))
    assert done.moved > 10 and seen == [1, 2]
    assert await stored(database) == truth(told)
    assert (await relink(database)).moved == 0
    titles = {row["id"]: row["title"] for row in await _rows(database)}
    assert titles["0"] is not None


async def test_wrong_links_are_put_right(database: Database, tmp_path: Path) -> None:
    told = coding_session(8)
    gateway = Gateway(tmp_path)
    for one in told.in_order_of_ends():
        gateway.serve(one)
    await replayed(tmp_path, database)
    async with database.write() as connection:
        await connection.execute(sa.update(request_links).values(branch=9, relation="fork"))
    assert (await relink(database)).moved == len(told.sent)
    assert await stored(database) == truth(told)


async def test_nothing_is_linked_where_nothing_is(database: Database) -> None:
    assert await relink(database) == Relinked()
