"""How a body lies in the journal: sealed in parts, so that no file ever holds it in clear.

AES-256-GCM under a key of its own (`storage/body_keys.py`): a nonce of 12 bytes, the sealed bytes, a tag of
16. What it belongs to is sealed with it: a part put elsewhere does not open.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from cryptography.exceptions import InvalidTag

from headgate.record.events import BodyRecord, SpanRecord
from headgate.record.segments import MAX_PAYLOAD_BYTES
from headgate.storage.body_keys import NONCE_BYTES, BodyKey

PART_BYTES = MAX_PAYLOAD_BYTES - 4_096
"""The rest is for what the record says beside it."""
MOST_OF_A_NAME = 128
"""Characters of a coding or a content type: the far side's text."""


class Unsealable(Exception):
    """A part that does not open, or is missing."""


def sealed(
    body: bytes | bytearray,
    key: BodyKey,
    *,
    request_id: str,
    kind: str,
    at_ms: int,
    size: int,
    coding: str,
    content_type: str,
    limit: int,
    error: str | None = None,
) -> list[BodyRecord]:
    """At least one part, of an empty body as well."""
    parts = max(1, -(-len(body) // PART_BYTES))
    found = []
    for part in range(parts):
        piece = body if parts == 1 else memoryview(body)[part * PART_BYTES : (part + 1) * PART_BYTES]
        nonce = os.urandom(NONCE_BYTES)
        data = nonce + key.journal.encrypt(nonce, piece, _place(request_id, kind, part, parts))
        found.append(
            BodyRecord(
                *(request_id, kind, at_ms, size, data, key.id, part, parts),
                *(coding[:MOST_OF_A_NAME], content_type[:MOST_OF_A_NAME], limit, error),
            )
        )
    return found


def opened(parts: Sequence[BodyRecord], key: BodyKey) -> bytes:
    """The body that all its parts make. Raises Unsealable."""
    if [one.part for one in parts] != list(range(parts[0].parts)):
        raise Unsealable("a part of it is missing")
    try:
        pieces = [
            key.journal.decrypt(
                one.data[:NONCE_BYTES],
                one.data[NONCE_BYTES:],
                _place(one.request_id, one.kind, one.part, one.parts),
            )
            for one in parts
        ]
    except (InvalidTag, ValueError) as error:
        raise Unsealable("its seal is broken") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def seal_span(span: bytes, key: BodyKey, digest: bytes) -> bytes:
    """A message, where bodies are kept: then no file holds it in clear either."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.journal.encrypt(nonce, span, digest)


def open_span(record: SpanRecord, key: BodyKey | None) -> SpanRecord:
    """In clear. One that does not open is as one that was too long: known by its hash alone."""
    span = b""
    if key is not None:
        with suppress(InvalidTag, ValueError):
            data = record.span
            span = key.journal.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], record.hash)
    return msgspec.structs.replace(record, span=span, key_id=0)


def _place(request_id: str, kind: str, part: int, parts: int) -> bytes:
    return f"{request_id} {kind} {part}/{parts}".encode()
