"""The past that linking needs, read for a batch of requests, and what linking changed of it, written."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.conversation.chain import Chain
from headgate.conversation.linking import Ask
from headgate.conversation.past import MOST_AT_A_PREFIX, Past, Place, Talk, WaitingCall
from headgate.storage.bulk import put
from headgate.storage.schema import agent_calls, conversations, turns

_AT_ONCE = 500
_WINDOW = 12
"""Blocks at the end of a history that are looked for first: a turn brings two to four."""
_MOST_ALIKE = 16
_DEEPEST = 16

Row = dict[str, Any]


async def load_past(connection: AsyncConnection, past: Past, asks: Sequence[Ask]) -> None:
    await _load_places(connection, past, {one for ask in asks for one in ask.chain.prefixes[-_WINDOW:]})
    await _load_places(
        connection,
        past,
        {
            one
            for ask in asks
            if len(ask.chain) > _WINDOW and not _has_end(past, ask.chain)
            for one in ask.chain.prefixes[:-_WINDOW]
        },
    )
    sessions = {ask.session for ask in asks if ask.session}
    await _load_talks(connection, past, conversations.c.session_hash, sessions, only_roots=True)
    prompts = {call.prompt for ask in asks for call in _new_calls(past, ask.chain)}
    for prompt in prompts:
        await _load_opened(connection, past, prompt)
    openings = {ask.chain.opening for ask in asks if ask.chain.opening}
    await _load_waiting(connection, past, prompts | openings)
    for scope in {ask.chain.scope for ask in asks if ask.chain.continues}:
        await _load_summaries(connection, past, scope)
    await _load_above(connection, past)


def _has_end(past: Past, chain: Chain) -> bool:
    return any(
        place.request is not None for prefix in chain.prefixes[-_WINDOW:] for place in past.places(prefix)
    )


def _new_calls(past: Past, chain: Chain) -> Iterable[Any]:
    return (call for number, call in chain.calls if number and not past.places(chain.prefixes[number - 1]))


async def _load_places(connection: AsyncConnection, past: Past, prefixes: set[bytes]) -> None:
    conversations_found: set[str] = set()
    for piece in _pieces(prefixes):
        query = sa.select(turns).where(turns.c.prefix.in_(piece)).limit(MOST_AT_A_PREFIX * len(piece))
        for row in await connection.execute(query):
            past.know_place(_place(row))
            conversations_found.add(row.conversation_id)
    await _load_talks(connection, past, conversations.c.id, conversations_found)


async def _load_talks(
    connection: AsyncConnection,
    past: Past,
    column: sa.Column[Any],
    values: Iterable[Any],
    *,
    only_roots: bool = False,
) -> None:
    for piece in _pieces(values):
        query = sa.select(conversations).where(column.in_(piece))
        if only_roots:
            query = query.where(conversations.c.parent_id.is_(None))
        for row in await connection.execute(query.order_by(conversations.c.started_at)):
            past.know_talk(_talk(row))


async def _load_opened(connection: AsyncConnection, past: Past, prompt: bytes) -> None:
    query = sa.select(conversations).where(conversations.c.opening == prompt)
    query = query.order_by(conversations.c.started_at.desc()).limit(_MOST_ALIKE)
    for row in await connection.execute(query):
        past.know_talk(_talk(row))


async def _load_waiting(connection: AsyncConnection, past: Past, prompts: Iterable[bytes]) -> None:
    for piece in _pieces(prompts):
        query = sa.select(agent_calls).where(
            agent_calls.c.prompt.in_(piece), agent_calls.c.is_answered.is_(False)
        )
        for row in await connection.execute(query.order_by(agent_calls.c.at).limit(_AT_ONCE)):
            past.know_waiting(
                WaitingCall(
                    bytes(row.prompt),
                    row.tool_id,
                    row.conversation_id,
                    row.request_id,
                    row.at,
                    bytes(row.session_hash),
                    bytes(row.prefix),
                )
            )


async def _load_summaries(connection: AsyncConnection, past: Past, scope: bytes) -> None:
    query = sa.select(turns).where(turns.c.summary_scope == scope)
    found = (await connection.execute(query.order_by(turns.c.began_at.desc()).limit(_MOST_ALIKE))).all()
    for row in found:
        past.know_place(_place(row))
    await _load_talks(connection, past, conversations.c.id, {row.conversation_id for row in found})


async def _load_above(connection: AsyncConnection, past: Past) -> None:
    """The conversations above those that were loaded, so that none comes to lie in itself."""
    wanted = {call.conversation for call in past.all_waiting()}
    for _ in range(_DEEPEST):
        wanted |= {talk.parent for talk in past.talks() if talk.parent is not None}
        missing = {one for one in wanted if past.talk(one) is None}
        if not missing:
            return
        await _load_talks(connection, past, conversations.c.id, missing)
        wanted -= missing


# ---- written ---------------------------------------------------------------------------------------


async def save_past(connection: AsyncConnection, past: Past) -> None:
    """All but the conversations themselves, which come first (`conversations.add_to_conversations`)."""
    if past.forgotten_places:
        gone = sa.delete(turns).where(
            turns.c.prefix == sa.bindparam("of_prefix"), turns.c.conversation_id == sa.bindparam("of_id")
        )
        keys = sorted(past.forgotten_places)
        await connection.execute(gone, [{"of_prefix": prefix, "of_id": its} for prefix, its in keys])
    places = [_turn_row(past.changed_places[key]) for key in sorted(past.changed_places)]
    await put(connection, turns, places)
    calls = [
        _call_row(call, is_answered)
        for call, is_answered in sorted(past.changed_calls.items(), key=lambda one: one[0].tool_id)
        if past.talk(call.conversation) is not None
    ]
    await put(connection, agent_calls, calls)


def _turn_row(place: Place) -> Row:
    return {
        "prefix": place.prefix,
        "conversation_id": place.conversation,
        "before": place.before,
        "place": place.place,
        "side": place.side,
        "branch": place.branch,
        "size": place.size,
        "session_hash": place.session,
        "is_continued": place.is_continued,
        "request_id": place.request,
        "began_at": place.began_at,
        "ended_at": place.ended_at,
        "went_well": place.went_well,
        "output_tokens": place.output_tokens,
        "system": place.system,
        "summary_scope": place.summary_scope,
    }


def _call_row(call: WaitingCall, is_answered: bool) -> Row:
    return {
        "prompt": call.prompt,
        "tool_id": call.tool_id,
        "conversation_id": call.conversation,
        "request_id": call.request,
        "at": call.at,
        "session_hash": call.session,
        "prefix": call.prefix,
        "is_answered": is_answered,
    }


# ---- read ------------------------------------------------------------------------------------------


def _place(row: Any) -> Place:
    return Place(
        bytes(row.prefix),
        row.conversation_id,
        bytes(row.before),
        row.place,
        row.side,
        row.branch,
        row.size,
        bytes(row.session_hash),
        row.is_continued,
        row.request_id,
        row.began_at,
        row.ended_at,
        row.went_well,
        row.output_tokens,
        bytes(row.system),
        None if row.summary_scope is None else bytes(row.summary_scope),
    )


def _talk(row: Any) -> Talk:
    return Talk(
        row.id,
        bytes(row.scope),
        bytes(row.opening),
        bytes(row.session_hash),
        row.kind,
        row.started_at,
        row.parent_id,
        row.parent_request_id,
        row.parent_tool_id,
        row.branches,
        row.last_request,
        row.last_branch,
        row.last_at,
    )


def _pieces(values: Iterable[Any]) -> Iterable[list[Any]]:
    asked = list(values)
    return (asked[start : start + _AT_ONCE] for start in range(0, len(asked), _AT_ONCE))
