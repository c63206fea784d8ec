"""Conversations read: pages, and one as a tree of its branches and of what its tool calls opened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.errors import InvalidRequest
from headgate.storage.account_history import Place, newest_first
from headgate.storage.database import Database
from headgate.storage.schema import conversations, request_links, requests

Row = dict[str, Any]

MOST_REQUESTS = 2_000
MOST_CONVERSATIONS = 200
"""In one tree; how many were left out is said."""
_DEEPEST = 8
_AT_ONCE = 500

_PLACE = (conversations.c.last_at, conversations.c.id)
_INNER = ("scope", "opening", "session_hash", "last_request", "last_branch")


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    caller: str | None = None
    domain: str | None = None
    model: str | None = None
    session: str | None = None
    since_ms: int | None = None
    """Of the last request."""
    until_ms: int | None = None
    all: bool = False
    """Also those that lie below another one."""

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        table = conversations.c
        equal = ("caller", "domain", "model", "session")
        found = [table[name] == value for name in equal if (value := getattr(self, name)) is not None]
        if self.since_ms is not None:
            found.append(table.last_at >= self.since_ms)
        if self.until_ms is not None:
            found.append(table.last_at < self.until_ms)
        if not self.all:
            found.append(table.parent_id.is_(None))
        return found


class ConversationStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: ConversationFilter, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Row], str | None]:
        """By their last requests, newest first; each with how many lie right below it as `below`."""
        after = None if cursor is None else _read_cursor(cursor)
        query = newest_first(sa.select(conversations).where(*wanted.conditions()), after, _PLACE)
        async with self._database.read() as connection:
            rows = [_outer(row) for row in (await connection.execute(query.limit(limit + 1))).mappings()]
            next_cursor = None
            if len(rows) > limit:
                rows = rows[:limit]
                next_cursor = f"{rows[-1]['last_at']}.{rows[-1]['id']}"
            await _count_below(connection, rows)
        return rows, next_cursor

    async def tree(self, conversation: str) -> Row | None:
        """One with its `links` (rows of its requests, oldest first) and its `children`, each the same; and
        `left_out`: how many requests of all were too many."""
        async with self._database.read() as connection:
            rows = await _rows(connection, conversations.c.id, [conversation])
            if not rows:
                return None
            root, level, found = rows[0], rows, list(rows)
            for _ in range(_DEEPEST):
                level = await _rows(connection, conversations.c.parent_id, [one["id"] for one in level])
                level = level[: MOST_CONVERSATIONS - len(found)]
                if not level:
                    break
                found += level
            await _count_below(connection, found)
            links = await _links(connection, [one["id"] for one in found])
        by_id = {one["id"]: one | {"links": [], "children": []} for one in found}
        for link in links[:MOST_REQUESTS]:
            by_id[link["conversation_id"]]["links"].append(link)
        for one in by_id.values():
            if one["id"] != root["id"]:
                by_id[one["parent_id"]]["children"].append(one)
        total = sum(one["requests"] for one in found)
        return by_id[root["id"]] | {"left_out": max(0, total - MOST_REQUESTS)}


async def mark_conversations(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Give rows of `requests` their place: `conversation`, `branch`, `relation`, `continues`, or None."""
    found: dict[str, Any] = {}
    ids = [row["id"] for row in rows]
    for start in range(0, len(ids), _AT_ONCE):
        query = sa.select(request_links).where(request_links.c.request_id.in_(ids[start : start + _AT_ONCE]))
        found |= {link.request_id: link for link in await connection.execute(query)}
    for row in rows:
        link = found.get(row["id"])
        row["conversation"] = link.conversation_id if link is not None else None
        row["branch"] = link.branch if link is not None else None
        row["relation"] = link.relation if link is not None else None
        row["continues"] = link.parent_request_id if link is not None else None


async def _rows(connection: AsyncConnection, column: sa.Column[Any], values: Iterable[str]) -> list[Row]:
    query = sa.select(conversations).where(column.in_(list(values)))
    query = query.order_by(conversations.c.started_at, conversations.c.id).limit(MOST_CONVERSATIONS)
    return [_outer(row) for row in (await connection.execute(query)).mappings()]


async def _count_below(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    its = conversations.c.parent_id
    ids = [row["id"] for row in rows]
    query = sa.select(its, sa.func.count()).where(its.in_(ids)).group_by(its)
    counts = {found[0]: found[1] for found in await connection.execute(query)}
    for row in rows:
        row["below"] = counts.get(row["id"], 0)


async def _links(connection: AsyncConnection, ids: Sequence[str]) -> list[Row]:
    link, request = request_links.c, requests.c
    query = (
        sa.select(
            *(link.conversation_id, link.branch, link.relation, link.parent_request_id, link.messages),
            *(request.id, request.timestamp, request.model, request.account, request.status, request.error),
            *(request.duration_ms, request.input_tokens, request.output_tokens),
            *(request.cache_read_tokens, request.nano_usd),
        )
        .join(requests, request.id == link.request_id)
        .where(link.conversation_id.in_(ids))
        .order_by(request.timestamp, request.id)
        .limit(MOST_REQUESTS)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _outer(row: sa.RowMapping) -> Row:
    return {name: value for name, value in row.items() if name not in _INNER}


def _read_cursor(cursor: str) -> Place:
    moment, dot, its = cursor.partition(".")
    if not (dot and moment.isascii() and moment.isdigit() and len(moment) <= 15):
        raise InvalidRequest(
            "Invalid cursor.", hint="Use `next_cursor` of an earlier answer as it is, or leave it out."
        )
    return int(moment), its
