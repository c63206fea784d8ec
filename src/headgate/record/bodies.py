"""The recorder keeps what was said: out of the journal, without content coding, without secrets, packed and
sealed into the database.

Nothing of it is the gateway's work. A body that cannot be kept is told of in its row and in the log; it never
holds up the record of its request, nor is it ever written in clear.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zstandard
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.record.events import BodyRecord, Record, RequestRecord, SpanRecord, decode, encode
from headgate.record.redaction import redact
from headgate.record.sealing import Unsealable, open_span, opened
from headgate.record.words import words_of
from headgate.storage.bodies import add_bodies, keep_parts, place_of, take_parts
from headgate.storage.body_keys import BodyKey, BodyKeys
from headgate.storage.body_tables import WORD_BYTES
from headgate.wire.coding import CodingError, decoder_for

DEFAULT_MAX_BYTES = 1 << 20
_STEP = 4_096
"""Coded bytes undone at a time: between two steps we look how far it has swollen."""
_MOST_SWELL = 32
"""Times: what swells more is no text."""
_LEAST_SWELL = 65_536
_MOST_TOKENS = 100_000
"""Words whose hashes stay in memory."""

_WORDS = {
    "memory": "Too many answers were under way: there was no room to capture it",
    "journal_full": "The journal had no room for it",
    "left": "The client left before it could be captured",
    "streamed": "It was forwarded as it came, without a copy",
    "stream_tee": "Stream tee error: it could not be captured",
    "fault": "A fault of ours; the log has the details",
    "coding": "It is not what its content-encoding says",
    "unknown_coding": "Its content-encoding is not one that can be undone",
    "key_missing": "The encryption key that it was sealed with is missing",
    "damaged": "It was damaged on its way through the journal",
}

Row = dict[str, Any]
Place = tuple[str, str]

_log = logging.getLogger("headgate.stream-tee")


class BodyWishes(msgspec.Struct, frozen=True):
    """What the settings ask for."""

    max_bytes: int = DEFAULT_MAX_BYTES
    """Of one body, without its coding."""
    most_bytes: int = 0
    """Of all of them; 0: as many as come."""
    retention_days: int = 0
    """0: for ever."""


@dataclass(slots=True)
class Prepared:
    """Of one batch."""

    rows: list[Row] = field(default_factory=list)
    words: dict[str, set[int]] = field(default_factory=dict)
    """By request."""
    loose: list[list[BodyRecord]] = field(default_factory=list)
    """Parts, in order, of bodies that are not whole in this batch."""


class Bodies:
    """One for each life of a recorder."""

    def __init__(self, keys: BodyKeys, wishes: BodyWishes | None = None) -> None:
        self.wishes = wishes or BodyWishes()
        self._keys = keys
        self._packer = zstandard.ZstdCompressor(level=3)
        self._tokens: dict[tuple[int, str], int] = {}

    async def unsealed(self, records: Sequence[Record]) -> list[Record]:
        """With their messages in clear."""
        return [
            open_span(one, await self._keys.get(one.key_id))
            if isinstance(one, SpanRecord) and one.key_id
            else one
            for one in records
        ]

    async def prepare(self, records: Sequence[Record]) -> Prepared:
        """All that needs no transaction."""
        groups: dict[Place, list[BodyRecord]] = {}
        for one in records:
            if isinstance(one, BodyRecord):
                groups.setdefault((one.request_id, one.kind), []).append(one)
        prepared = Prepared()
        for parts in groups.values():
            if len(parts) == parts[0].parts:
                await self._take(parts, prepared)
            else:
                prepared.loose.append(parts)
        return prepared

    async def add(self, connection: AsyncConnection, prepared: Prepared) -> None:
        """In the transaction of the batch."""
        for parts in prepared.loose:
            first = parts[0]
            earlier = await take_parts(connection, first.request_id, first.kind)
            parts = [*(decode(record) for record in earlier), *parts]  # type: ignore[list-item]
            if parts[-1].part == first.parts - 1:
                await self._take(parts, prepared)
            else:
                await keep_parts(connection, [_part_row(one) for one in parts])
        if prepared.rows:
            await add_bodies(connection, prepared.rows, prepared.words, most_bytes=self.wishes.most_bytes)

    async def _take(self, parts: Sequence[BodyRecord], prepared: Prepared) -> None:
        first = parts[0]
        if not first.data and first.error is None:
            return
        key = await self._keys.get(first.key_id) if first.data else None
        try:
            row, words = self._made(parts, key)
        except Exception:
            # What somebody said must not hold up what happened: the request stands without its body.
            _log.exception("Failed to capture a body", extra={"request_id": first.request_id})
            row, words = _row(first, error="fault", is_cut=False, limit=0), set()
        prepared.rows.append(row)
        if words:
            prepared.words.setdefault(first.request_id, set()).update(words)

    def _made(self, parts: Sequence[BodyRecord], key: BodyKey | None) -> tuple[Row, set[int]]:
        """The row, and the words of it."""
        first, error, body, is_cut = parts[0], parts[0].error, None, bool(parts[0].limit)
        if first.data:
            try:
                body, error_found, swollen = self._plain(parts, key)
                error, is_cut = error or error_found, is_cut or swollen
            except Unsealable as failure:
                _log.error("A body in the journal: %s", failure, extra={"request_id": first.request_id})
                error = "damaged"
        row = _row(first, error=error, is_cut=is_cut, limit=self.wishes.max_bytes)
        if error is not None and error != "streamed":
            what = "streaming response" if first.kind == "response" else "request"
            _log.warning(
                "Failed to capture %s: %s", what, row["note"], extra={"request_id": first.request_id}
            )
        if body is None or key is None:
            return row, set()
        is_stream = first.content_type.startswith("text/event-stream")
        clean = redact(body, is_stream=is_stream)
        words, has_more = words_of(clean.body, first.content_type, from_end=first.kind == "request")
        data = key.seal(self._packer.compress(clean.body), of=place_of(first.request_id, first.kind))
        row |= {
            "kept": len(clean.body),
            "stored": len(data) + WORD_BYTES * len(words),
            "redacted": clean.secrets,
            "has_more_words": has_more,
            "key_id": key.id,
            "data": data,
        }
        return row, {self._token(key, word) for word in words}

    def _plain(
        self, parts: Sequence[BodyRecord], key: BodyKey | None
    ) -> tuple[bytes | None, str | None, bool]:
        """The body as far as it can be read, what went wrong, and whether it was cut here."""
        if key is None:
            return None, "key_missing", False
        coded = opened(parts, key)
        decoder = decoder_for(parts[0].coding.encode("latin-1", "replace"))
        if decoder is None:
            return None, "unknown_coding", False
        if not parts[0].coding or parts[0].coding == "identity":
            return coded, None, False
        most = min(self.wishes.max_bytes, max(_LEAST_SWELL, _MOST_SWELL * len(coded)))
        plain = bytearray()
        try:
            for start in range(0, len(coded), _STEP):
                plain += decoder.feed(coded[start : start + _STEP])
                if len(plain) > most:
                    return bytes(plain[:most]), None, True
        except CodingError:
            return bytes(plain[:most]) or None, "coding", False
        return bytes(plain), None, False

    def _token(self, key: BodyKey, word: str) -> int:
        token = self._tokens.get((key.id, word))
        if token is None:
            if len(self._tokens) >= _MOST_TOKENS:
                self._tokens.clear()
            token = self._tokens[key.id, word] = key.token(word)
        return token


def _row(first: BodyRecord, *, error: str | None, is_cut: bool, limit: int) -> Row:
    note = _WORDS.get(error, error) if error is not None else None
    if is_cut and note is None:
        note = f"Buffer truncated at {in_words(first.limit or limit)}"
    return {
        "request_id": first.request_id,
        "kind": first.kind,
        "content_type": first.content_type.replace("\0", ""),
        "size": first.size,
        "kept": 0,
        "stored": 0,
        "redacted": 0,
        "has_more_words": False,
        "truncated": is_cut,
        "note": note,
        "error": error,
        "created_at": first.at_ms,
        "key_id": None,
        "data": None,
    }


def in_words(size: int) -> str:
    """1MB, 64KB, 1000 bytes."""
    for shift, unit in ((20, "MB"), (10, "KB")):
        if size >= 1 << shift and not size % (1 << shift):
            return f"{size >> shift}{unit}"
    return f"{size} bytes"


def _part_row(one: BodyRecord) -> Row:
    return {
        "request_id": one.request_id,
        "kind": one.kind,
        "part": one.part,
        "created_at": one.at_ms,
        "record": encode(one),
    }


def first_without_bodies(records: Sequence[Record | None]) -> int | None:
    """Place of the first request whose bodies are still to come; None: there is none."""
    waiting: dict[str, list[int]] = {}
    for place, one in enumerate(records):
        if isinstance(one, RequestRecord):
            if one.bodies:
                waiting[one.id] = [place, one.bodies]
        elif isinstance(one, BodyRecord) and one.part == one.parts - 1 and one.request_id in waiting:
            waiting[one.request_id][1] -= 1
    return min((place for place, left in waiting.values() if left > 0), default=None)
