"""Listens to an answer in the Anthropic dialect: usage, the error it reports, ids it names.

Sources: Anthropic API reference, "Streaming messages" (usage in `message_start`, cumulative in
`message_delta`; `error` events), "Messages" (`usage`), "Prompt caching" (`cache_creation`).

The meter never changes or delays bytes. It costs two searches on a piece of a stream that carries
none of the events it wants, and a decode on one that does.
"""

from typing import Protocol

import msgspec

from headgate.dialects.usage import Usage
from headgate.wire.coding import CodingError, Decoder, decoder_for
from headgate.wire.headers import Headers, find
from headgate.wire.sse import EventBuffer, read_events

_MAX_JSON = 8 * 1_048_576
"""A JSON answer longer than this is relayed, but its usage is not read."""


class Complaint(msgspec.Struct):
    """What an error body or event says."""

    type: str = ""
    message: str = ""


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Counts(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None


class _Message(msgspec.Struct):
    usage: _Counts | None = None


class _Answer(msgspec.Struct):
    """The fields wanted of a JSON answer and of every event alike."""

    usage: _Counts | None = None
    message: _Message | str | None = None
    error: Complaint | str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Meter(Protocol):
    """One answer's listener: `feed` all its bytes in order, then `finish` once."""

    has_event: bool
    complaint: Complaint | None

    def feed(self, data: bytes) -> None: ...

    def finish(self) -> Usage | None: ...


def meter_for(headers: Headers) -> Meter:
    """The meter that suits an answer's Content-Type and Content-Encoding."""
    content_type = find(headers, b"content-type") or b""
    decoder = decoder_for(find(headers, b"content-encoding"))
    if decoder is None:
        return _Deaf()
    if content_type.startswith(b"text/event-stream"):
        return StreamMeter(decoder)
    if content_type.startswith(b"application/json"):
        return JsonMeter(decoder)
    return _Deaf()


class _Deaf:
    """For answers that carry no usage: files, unknown codings."""

    has_event = True
    complaint = None

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> Usage | None:
        return None


class JsonMeter:
    """Collects a JSON answer and reads `usage` or `error` when it is whole."""

    has_event = True

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._pieces: list[bytes] = []
        self._size = 0
        self.complaint: Complaint | None = None

    def feed(self, data: bytes) -> None:
        if self._size > _MAX_JSON:
            return
        try:
            plain = self._decoder.feed(data)
        except CodingError:
            self._size = _MAX_JSON + 1
            return
        self._pieces.append(plain)
        self._size += len(plain)

    def finish(self) -> Usage | None:
        if self._size > _MAX_JSON:
            return None
        answer = _read(b"".join(self._pieces))
        self.complaint = _complaint(answer)
        return _usage(answer.usage) if answer.usage else None


class StreamMeter:
    """Reads the two or three events of a stream that matter."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder: Decoder | None = decoder
        self._events = EventBuffer()
        self._usage: Usage | None = None
        self.has_event = False
        """Whether a whole event has come: the moment to judge the answer."""
        self.complaint: Complaint | None = None

    @property
    def is_between_events(self) -> bool:
        return self._events.is_empty

    def feed(self, data: bytes) -> None:
        if self._decoder is None:
            return
        try:
            whole = self._events.feed(self._decoder.feed(data))
        except CodingError:
            self._decoder = None
            return
        if whole:
            self._listen(whole)

    def finish(self) -> Usage | None:
        if rest := self._events.rest():
            self._listen(rest)
        return self._usage

    def _listen(self, whole: bytes) -> None:
        self.has_event = True
        if b"message_" not in whole and b"error" not in whole:
            return
        for event, data in read_events(whole):
            if event in (b"message_start", b"message_delta", b"error", b""):
                self._note(_read(data))

    def _note(self, event: _Answer) -> None:
        self.complaint = _complaint(event) or self.complaint
        counts = event.message.usage if isinstance(event.message, _Message) else event.usage
        if counts is not None:
            self._usage = _merge(self._usage, _usage(counts))


def _read(data: bytes) -> _Answer:
    """An answer of another shape is one that says nothing to us."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Answer()


def _complaint(answer: _Answer) -> Complaint | None:
    """Some gateways in between write the error as a bare string."""
    return Complaint(message=answer.error) if isinstance(answer.error, str) else answer.error


def _usage(counts: _Counts) -> Usage:
    """Cache writes without the split by lifetime are five-minute ones: the provider's default."""
    split = counts.cache_creation
    if split is None:
        write_5m, write_1h = counts.cache_creation_input_tokens, None
    else:
        write_5m, write_1h = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read_tokens=counts.cache_read_input_tokens,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
    )


def _merge(earlier: Usage | None, later: Usage) -> Usage:
    """Counts in a stream are cumulative: a later number replaces an earlier one, silence does not."""
    if earlier is None:
        return later
    chosen = {
        name: value if (value := getattr(later, name)) is not None else getattr(earlier, name)
        for name in Usage.__struct_fields__
    }
    # A later total without the split must not add to an earlier split.
    if earlier.cache_write_1h_tokens is not None and later.cache_write_1h_tokens is None:
        chosen["cache_write_5m_tokens"] = earlier.cache_write_5m_tokens
    return Usage(**chosen)
