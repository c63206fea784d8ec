"""Conversations and the links of their requests, written; sums are added up."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.conversation.past import Link, Talk
from headgate.storage.bulk import insert_new, merge
from headgate.storage.schema import conversations, request_links
from headgate.storage.sums import COUNTED, bounded_sum, counts_of

SUMS = COUNTED
_STATE = (
    *("kind", "parent_id", "parent_request_id", "parent_tool_id"),
    *("branches", "last_request", "last_branch", "last_at"),
)

Row = dict[str, Any]


def sums_of(row: Row) -> Row:
    """What one request, a row of `requests`, adds to its conversation."""
    return dict(zip(SUMS, counts_of(row), strict=True))


def conversation_row(talk: Talk, opened_by: Row, *, title: str | None) -> Row:
    """A conversation as it stands, with no requests yet. `opened_by` is a row of `requests`, and what is
    taken from it is only written for a conversation that is new."""
    session = opened_by["session"] if talk.session else None
    return {
        "id": talk.id,
        "key_id": opened_by["key_id"],
        "caller": opened_by["caller"],
        "domain": opened_by["domain"],
        "session": session,
        "title": title,
        "model": opened_by["model"],
        "started_at": talk.started_at,
        "scope": talk.scope,
        "opening": talk.opening,
        "session_hash": talk.session,
        **state_of(talk),
        **dict.fromkeys(SUMS, 0),
    }


def state_of(talk: Talk) -> Row:
    return {
        "kind": talk.kind,
        "parent_id": talk.parent,
        "parent_request_id": talk.parent_request,
        "parent_tool_id": talk.parent_tool,
        "branches": talk.branches,
        "last_request": talk.last_request,
        "last_branch": talk.last_branch,
        "last_at": talk.last_at,
    }


async def add_to_conversations(connection: AsyncConnection, rows: Iterable[Row]) -> None:
    """What each is becomes what its row says; the row's sums are added to its own."""
    in_one_order = sorted(rows, key=lambda row: row["id"])  # or two recorders would wait for each other
    await merge(connection, conversations, in_one_order, _as_it_stands)


def _as_it_stands(adding: Any) -> Row:
    new = adding.excluded
    sums = {name: bounded_sum(conversations.c[name], new[name]) for name in SUMS}
    return {name: new[name] for name in _STATE} | sums


async def change_conversations(connection: AsyncConnection, talks: Sequence[Talk]) -> None:
    """Those of which no request is in this batch: a call of theirs was found."""
    if not talks:
        return
    this = sa.update(conversations).where(conversations.c.id == sa.bindparam("of_id"))
    values = [{"of_id": talk.id, **state_of(talk)} for talk in sorted(talks, key=lambda talk: talk.id)]
    await connection.execute(this.values({name: sa.bindparam(name) for name in _STATE}), values)


def link_row(link: Link, *, messages: int, session: bytes, opening: bytes, continues: bool) -> Row:
    return {
        "request_id": link.request,
        "conversation_id": link.conversation,
        "branch": link.branch,
        "relation": link.relation,
        "parent_request_id": link.parent,
        "prefix": link.prefix,
        "place": link.place,
        "messages": messages,
        "session_hash": session,
        "opening": opening,
        "continues": continues,
    }


async def add_links(connection: AsyncConnection, rows: list[Row]) -> None:
    await insert_new(connection, request_links, rows)
