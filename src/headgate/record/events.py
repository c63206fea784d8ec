"""What the gateway tells the recorder: the records of the journal, and their bytes.

Records travel as msgpack arrays (`msgspec`, tagged by their first element): the order of the fields
is the format. A new field goes to the end, with a default, so that a journal written by an older
version still reads.
"""

from typing import Any

import msgspec

from headgate.dialects.usage import Usage


class Attempt(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One try on one account; the last one of a request is the one that answered, if any did."""

    account_id: int
    account: str
    started_ms: float
    """Milliseconds after the request began."""
    duration_ms: float
    """Until the answer's head (an attempt that served) or until it failed."""
    status: int | None = None
    """The provider's status; None when there was no answer."""
    error: str | None = None
    """Stable code, None when the attempt served."""
    reason: str | None = None
    """In words, for the log line: network reason, the provider's error type and message."""
    until_at: float | None = None
    """Unix seconds until which the account now rests."""


class Skipped(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Why nobody could be asked: as much of it as the client was told."""

    accounts: tuple[tuple[str, str], ...]
    """Name and reason of the first few; empty: there was no account."""
    more: int = 0
    """How many others were passed by."""


class RequestRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="request"):
    """One request of a client, from its first byte to just before the last byte of its answer."""

    id: str
    at_ms: int
    """Unix milliseconds when the request's head was complete."""
    dialect: str
    provider: str
    method: str
    path: str
    """Without the query: it may hold a key."""
    caller: str
    """Name of the client key, or `anonymous`, or `own-credential`."""
    client_address: str
    user_agent: str
    session: str | None
    model: str | None
    stream: bool
    account_id: int | None
    account: str | None
    attempts: tuple[Attempt, ...]
    status: int
    """What the client saw; 499 when it left before the end."""
    error: str | None
    """Stable code of ours, or the provider's error type; None on success."""
    first_byte_ms: float | None
    """From the request's head to the first byte handed to the client."""
    duration_ms: float
    overhead_ms: float
    """Our own time before the first byte: duration less the waits for the provider and its accounts."""
    request_bytes: int
    response_bytes: int
    usage: Usage | None
    provider_request_id: str | None = None
    skipped: Skipped | None = None
    """Where no account could be asked, or all that could be are limited."""
    key_id: int | None = None
    """Of a client key that the database keeps; `caller` is its name."""
    spans: bytes = b""
    """Hashes, 16 bytes each: of `system`, then of every message (`SpanRecord`). Empty: it is not linked."""
    apart: bytes = b""
    """What keeps callers of one name apart: a hash of the own credential that was shown."""
    domain: str | None = None
    """The host that was called, where hosts have accounts of their own."""
    bodies: int = 0
    """How many `BodyRecord` follow, parts not counted: within a moment, unless the gateway dies."""
    traceparent: bytes = b""
    """As the client sent it, whatever it is; kept nowhere."""
    project: str | None = None
    """What the client says that it works on."""


class HealthRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="health"):
    """The whole health of an account after it changed; the newest record wins."""

    account_id: int
    account: str
    at_ms: int
    state: dict[str, Any]
    """As `pool.health.Health.to_state` writes it and `from_state` reads it."""


class ObjectRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="object"):
    """An object that lives in one account (a file, a batch, a container)."""

    object_id: str
    account_id: int
    at_ms: int


class SpanRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="span"):
    """A message that requests name by its hash, before the first of them."""

    hash: bytes
    """16 bytes, of the message as it was sent (xxh3-128, with the installation's seed)."""
    span: bytes
    """JSON; empty when it is too long for the journal."""
    size: int
    """Bytes of the message."""
    dialect: str
    is_first: bool = False
    """It was the first of a request: only of such a one a title is kept."""
    key_id: int = 0
    """Of the key that `span` is sealed with, where bodies are kept; 0: it is not."""


class BodyRecord(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="body"):
    """What a client sent, or what it got, or a part of that; behind its request. Sealed: see `sealing.py`."""

    request_id: str
    kind: str
    """`request` or `response`."""
    at_ms: int
    """When its request began."""
    size: int
    """Bytes that passed; more than there are in `data` where it was cut."""
    data: bytes
    """Sealed. Empty: it could not be captured, and `error` says why; or there was nothing."""
    key_id: int = 0
    part: int = 0
    parts: int = 1
    coding: str = ""
    """Its Content-Encoding."""
    content_type: str = ""
    limit: int = 0
    """Bytes at which it was cut; 0: it was not."""
    error: str | None = None
    """Stable word."""


Record = RequestRecord | HealthRecord | ObjectRecord | SpanRecord | BodyRecord

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Record:
    """Raises `msgspec.DecodeError` for bytes that are no record of a version we know."""
    return _decoder.decode(data)
