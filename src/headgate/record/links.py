"""The recorder links requests: messages become facts once, histories become chains, chains find their past.

All of it in the transaction that stores the requests, so that a batch is linked once or not at all.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.clock import Clock, SystemClock
from headgate.conversation.chain import MOST_PLACES, scoped
from headgate.conversation.chains import Chains
from headgate.conversation.facts import Facts, opaque, split
from headgate.conversation.linking import Ask, Linker
from headgate.conversation.past import Link, Past
from headgate.dialects.anthropic_turns import read_facts
from headgate.record.events import Record, RequestRecord, SpanRecord
from headgate.record.redaction import redact
from headgate.record.spans import HASH_BYTES
from headgate.storage.conversation_past import load_past, save_past
from headgate.storage.conversation_sums import (
    add_links,
    add_to_conversations,
    change_conversations,
    conversation_row,
    link_row,
    sums_of,
)
from headgate.storage.locks import lock_conversations
from headgate.storage.spans import facts_by_hash, keep_facts
from headgate.storage.sums import MOST

_MOST_FACTS = 20_000
"""Messages whose facts stay in memory: some ten megabytes."""
_OPENING = "opening-"
"""What the gateway calls a session that nobody named."""

_READERS = {"anthropic": read_facts}

_log = logging.getLogger("headgate.async-db-writer")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)

Row = dict[str, Any]


class Links:
    """One for each life of a recorder. What it remembers is true whether a batch is committed or not."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._now = (clock or SystemClock()).now
        self._facts: dict[bytes, Facts] = {}
        self._chains = Chains()

    async def add(self, connection: AsyncConnection, records: Sequence[Record], rows: Iterable[Row]) -> None:
        """`rows` are those of `requests` that the records became, stored by now."""
        await self._keep_messages(connection, records)
        requests = [one for one in records if isinstance(one, RequestRecord) and one.spans]
        gaps: set[bytes] = set()
        asks = [ask for one in requests if (ask := await self._ask(connection, one, gaps)) is not None]
        if not asks:
            return
        past = Past()
        await lock_conversations(connection)
        await load_past(connection, past, asks)
        domains = {one.id: one.domain for one in requests}
        stored = {row["id"]: row | {"domain": domains[row["id"]]} for row in rows if row["id"] in domains}
        try:
            links = _linked(past, asks)
        except Exception:
            # A history that we get wrong must not hold up what happened: the requests stand without links.
            _log.exception("%d requests could not be linked", len(asks), extra={"request_id": asks[0].id})
            return
        await _write(connection, past, asks, links, stored)

    # ---- messages ------------------------------------------------------------------------------

    async def _keep_messages(self, connection: AsyncConnection, records: Sequence[Record]) -> None:
        if len(self._facts) > _MOST_FACTS:
            self._facts.clear()
        found: dict[bytes, bytes] = {}
        for one in records:
            if isinstance(one, SpanRecord) and len(one.hash) == HASH_BYTES:
                facts = _read(one)
                self._facts[one.hash] = facts
                found[one.hash] = _encoder.encode(facts)
        # By our clock: messages come before their request ends, and often in a batch of their own.
        await keep_facts(connection, found, round(self._now() * 1000))

    async def _ask(self, connection: AsyncConnection, record: RequestRecord, gaps: set[bytes]) -> Ask | None:
        """None for a request in which nothing was said, or too much. Adds to `gaps`."""
        scope = scope_of(record)
        hashes = record.spans[HASH_BYTES:]
        chain = self._chains.chain(scope, hashes, self._facts, gaps)
        if chain is None:
            gaps |= await self._load_facts(connection, set(split(hashes)))
            chain = self._chains.chain(scope, hashes, self._facts, gaps)
            assert chain is not None
        if not 0 < len(chain) <= MOST_PLACES:
            return None
        named = record.session if record.session and not record.session.startswith(_OPENING) else None
        tokens = record.usage.output_tokens if record.usage is not None else None
        return Ask(
            record.id,
            chain,
            record.at_ms,
            record.at_ms + int(record.duration_ms),
            record.status < 400 and record.error is None,
            scoped(scope, named.encode("utf-8", "replace")) if named else b"",
            record.spans[:HASH_BYTES],
            min(tokens, MOST) if tokens is not None else None,
            len(hashes) // HASH_BYTES,
        )

    async def _load_facts(self, connection: AsyncConnection, named: set[bytes]) -> set[bytes]:
        """Gives those that the journal had no room for."""
        missing = named - self._facts.keys()
        for key, data in (await facts_by_hash(connection, sorted(missing))).items():
            self._facts[key] = _decoder.decode(data)
            missing.discard(key)
        return missing


def scope_of(record: RequestRecord) -> bytes:
    """Who speaks, and to which domain: conversations of two never meet. A key is known by its id, so that it
    may be renamed."""
    if record.key_id is not None:
        who = f"key {record.key_id}".encode()
    elif record.apart:
        who = b"own " + record.apart
    else:
        who = b"name " + record.caller.encode("utf-8", "replace")
    domain = (record.domain or "").encode("utf-8", "replace")
    return _scope(domain + b"\0" + who)


@lru_cache(maxsize=1_024)
def _scope(whose: bytes) -> bytes:
    return hashlib.blake2b(whose, digest_size=HASH_BYTES).digest()


def _read(record: SpanRecord) -> Facts:
    """Only of a first message its beginning is kept, where titles are."""
    reader = _READERS.get(record.dialect)
    if reader is None or not record.span:
        return opaque(record.hash)
    facts = reader(record.span)
    if facts.title is None:
        return facts
    title = redact(facts.title.encode()).body.decode() if record.is_first else None
    return msgspec.structs.replace(facts, title=title)


def _linked(past: Past, asks: Sequence[Ask]) -> list[Link]:
    linker = Linker(past)
    return [linker.link(ask) for ask in asks]


async def _write(
    connection: AsyncConnection,
    past: Past,
    asks: Sequence[Ask],
    links: Sequence[Link],
    requests: dict[str, Row],
) -> None:
    conversations: dict[str, Row] = {}
    rows = []
    for ask, link in zip(asks, links, strict=True):
        talk, request = past.talk(link.conversation), requests[ask.id]
        assert talk is not None
        row = conversations.get(talk.id)
        if row is None:
            row = conversations[talk.id] = conversation_row(talk, request, title=ask.chain.title)
        for name, count in sums_of(request).items():
            row[name] += count
        rows.append(
            link_row(
                link,
                messages=ask.messages,
                session=ask.session,
                opening=ask.chain.opening,
                continues=ask.chain.continues,
            )
        )
    await add_to_conversations(connection, conversations.values())
    others = [talk for its, talk in past.changed_talks.items() if its not in conversations]
    await change_conversations(connection, others)
    await save_past(connection, past)
    await add_links(connection, rows)
