"""All requests linked anew by the rules of today, from what was kept of them: no body is needed.

One scope (a caller and a domain) after the other, each in one transaction: linked anew, or as it was.
Recorders wait for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.conversation.chain import Chain
from headgate.conversation.facts import SubCall
from headgate.conversation.linking import Ask, Linker
from headgate.conversation.past import Link, Past
from headgate.storage.conversation_past import save_past
from headgate.storage.conversation_sums import (
    add_to_conversations,
    conversation_row,
    sums_of,
)
from headgate.storage.database import Database
from headgate.storage.locks import lock_conversations
from headgate.storage.schema import agent_calls, conversations, request_links, requests, turns

Row = dict[str, Any]
_AT_ONCE = 500
MOST_REQUESTS = 200_000
"""Of one scope: some 3 KB of memory each. A larger one is left as it is, and said."""


@dataclass(slots=True)
class Relinked:
    scopes: int = 0
    requests: int = 0
    moved: int = 0
    """Requests that are in another conversation, branch or place now."""
    left: int = 0
    """Requests of scopes that were too large."""


async def relink(database: Database, on_scope: Callable[[Relinked], None] | None = None) -> Relinked:
    done = Relinked()
    async with database.read() as connection:
        scopes = (await connection.execute(sa.select(conversations.c.scope).distinct())).scalars().all()
    for scope in sorted(map(bytes, scopes)):
        async with database.write() as connection:
            await lock_conversations(connection)
            await _relink_scope(connection, scope, done)
        done.scopes += 1
        if on_scope is not None:
            on_scope(done)
    return done


async def _relink_scope(connection: AsyncConnection, scope: bytes, done: Relinked) -> None:
    its = sa.select(conversations.c.id).where(conversations.c.scope == scope).scalar_subquery()
    counting = sa.select(sa.func.count()).where(request_links.c.conversation_id.in_(its))
    count = (await connection.execute(counting)).scalar() or 0
    if count > MOST_REQUESTS:
        done.left += count
        return
    of_scope = conversations.c.scope == scope
    old = {row["id"]: dict(row) for row in await _all(connection, sa.select(conversations).where(of_scope))}
    rows = await _all(
        connection,
        sa.select(request_links, *(requests.c[name] for name in _OF_REQUEST))
        .join(requests, requests.c.id == request_links.c.request_id)
        .where(request_links.c.conversation_id.in_(its)),
    )
    rows = sorted(rows, key=lambda row: (row["timestamp"] + int(row["duration_ms"]), row["seq"]))
    asks = await _Histories(scope).asks(connection, its, rows)
    past = Past()
    linker = Linker(past)
    links = [linker.link(ask) for ask in asks]
    done.requests += len(rows)
    done.moved += sum(_has_moved(row, link) for row, link in zip(rows, links, strict=True))
    await _write(connection, past, old, rows, links)


_OF_REQUEST = (
    *("seq", "timestamp", "caller", "session", "model", "status", "error", "duration_ms", "key_id"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens"),
    *("cache_write_1h_tokens", "nano_usd"),
)


class _Histories:
    """The chains of a scope's requests, put together from the blocks that are known of it."""

    def __init__(self, scope: bytes) -> None:
        self._scope = scope
        self._blocks: dict[bytes, tuple[bytes, str, int]] = {}
        self._ends: dict[bytes, Row] = {}
        self._calls: dict[bytes, list[SubCall]] = {}
        self._summaries: set[bytes] = set()
        """Where a request ended that asked for one."""

    async def asks(self, connection: AsyncConnection, its: Any, rows: Sequence[Row]) -> list[Ask]:
        for row in await _all(connection, sa.select(turns).where(turns.c.conversation_id.in_(its))):
            prefix = bytes(row["prefix"])
            self._blocks[prefix] = (bytes(row["before"]), row["side"], row["size"])
            if row["request_id"] is not None:
                self._ends[row["request_id"]] = row
            if row["summary_scope"] is not None:
                self._summaries.add(prefix)
        for row in await _all(
            connection, sa.select(agent_calls).where(agent_calls.c.conversation_id.in_(its))
        ):
            call = SubCall(row["tool_id"], bytes(row["prompt"]))
            known = self._calls.setdefault(bytes(row["prefix"]), [])
            if call not in known:
                known.append(call)
        return [self._ask(row) for row in rows]

    def _ask(self, row: Row) -> Ask:
        end = self._ends.get(row["request_id"])
        return Ask(
            row["request_id"],
            self._chain(row),
            row["timestamp"],
            row["timestamp"] + int(row["duration_ms"]),
            row["status"] < 400 and row["error"] is None,
            bytes(row["session_hash"]),
            bytes(end["system"]) if end is not None else b"",
            row["output_tokens"],
            row["messages"],
        )

    def _chain(self, row: Row) -> Chain:
        """A block that is no longer known (of an opening that many had) is one that nothing is known of."""
        prefix, place = bytes(row["prefix"]), row["place"]
        last = prefix
        found: list[tuple[bytes, str, int]] = []
        while len(found) < place and prefix != self._scope:
            before, side, size = self._blocks.get(prefix, (self._scope, "u", 0))
            found.append((prefix, side, size))
            prefix = before
        found.reverse()
        prefixes = tuple(one[0] for one in found)
        calls = [
            (number, call) for number, one in enumerate(prefixes, 1) for call in self._calls.get(one, ())
        ]
        return Chain(
            prefixes,
            "".join(side for _, side, _ in found),
            tuple(calls),
            self._scope,
            bytes(row["opening"]),
            None,
            tuple(size for _, _, size in found),
            row["continues"],
            last in self._summaries,
        )


def _has_moved(row: Row, link: Link) -> bool:
    before = (row["conversation_id"], row["branch"], row["relation"], row["parent_request_id"])
    return before != (link.conversation, link.branch, link.relation, link.parent)


async def _write(
    connection: AsyncConnection,
    past: Past,
    old: dict[str, Row],
    rows: Sequence[Row],
    links: Sequence[Link],
) -> None:
    made: dict[str, Row] = {}
    for row, link in zip(rows, links, strict=True):
        talk = past.talk(link.conversation)
        assert talk is not None
        if talk.id not in made:
            was = old.get(talk.id) or old[row["conversation_id"]]
            same = was["id"] == talk.id or bytes(was["opening"]) == talk.opening
            opened_by = {**row, "domain": was["domain"]}
            made[talk.id] = conversation_row(talk, opened_by, title=was["title"] if same else None)
        for name, count in sums_of(row).items():
            made[talk.id][name] += count
    # With them go their blocks, calls and links; all of these are written anew.
    ids = sorted(old)
    for start in range(0, len(ids), _AT_ONCE):
        piece = ids[start : start + _AT_ONCE]
        await connection.execute(sa.delete(conversations).where(conversations.c.id.in_(piece)))
    await add_to_conversations(connection, made.values())
    await save_past(connection, past)
    await _put_links(connection, rows, links)


async def _put_links(connection: AsyncConnection, rows: Sequence[Row], links: Sequence[Link]) -> None:
    values = [
        {
            **{name: row[name] for name in ("request_id", "prefix", "place", "messages", "session_hash")},
            **{name: row[name] for name in ("opening", "continues")},
            "conversation_id": link.conversation,
            "branch": link.branch,
            "relation": link.relation,
            "parent_request_id": link.parent,
        }
        for row, link in zip(rows, links, strict=True)
    ]
    if values:
        await connection.execute(sa.insert(request_links), values)


async def _all(connection: AsyncConnection, query: sa.Select[Any]) -> list[Row]:
    return [dict(row) for row in (await connection.execute(query)).mappings()]
