"""Listens to an answer in the Anthropic dialect: usage, the error it reports, ids it names.

Sources: Anthropic API reference, "Streaming messages" (usage in `message_start`, cumulative in
`message_delta`; `error` events), "Messages" (`usage`), "Prompt caching" (`cache_creation`).

The meter never changes or delays bytes. It costs two searches on a piece of a stream that carries
none of the events it wants, and a decode on one that does.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headgate.dialects.usage import Usage
from headgate.wire.coding import IDENTITY, CodingError, Decoder, decoder_for
from headgate.wire.sse import EventBuffer, read_events

_MAX_JSON = 8 * 1_048_576
"""A JSON answer longer than this is relayed, but its usage is not read."""


class _Error(msgspec.Struct):
    type: str | None = None


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
    error: _Error | str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


_WANTED_EVENTS = frozenset({b"message_start", b"message_delta", b"error", b""})


class Meter(Protocol):
    """One answer's listener: `feed` all its bytes in order, then `finish` once."""

    @property
    def has_event(self) -> bool:
        """Whether enough has come to judge the answer by."""
        ...

    @property
    def error_data(self) -> bytes | None:
        """The JSON of the error that the answer reports, without content coding."""
        ...

    @property
    def error_type(self) -> str | None:
        """The provider's word for that error."""
        ...

    on_text: Callable[[bytes], None] | None
    """Called with the plain JSON or events of the answer, in whole pieces; for who looks for more."""

    def feed(self, data: bytes) -> None: ...

    def finish(self) -> Usage | None:
        """What the answer cost. Safe to call again."""
        ...


def meter_for(fields: Mapping[bytes, bytes]) -> Meter:
    """The meter that suits an answer's `content-type` and `content-encoding` (names lower case)."""
    content_type = fields.get(b"content-type", b"")
    coding = fields.get(b"content-encoding")
    decoder = IDENTITY if coding is None else decoder_for(coding)
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
    error_data: bytes | None = None
    error_type: str | None = None
    on_text: Callable[[bytes], None] | None = None

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> Usage | None:
        return None


class JsonMeter(msgspec.Struct, eq=False):
    """Collects a JSON answer and reads `usage` or `error` when it is whole."""

    _decoder: Decoder
    has_event: bool = True
    error_data: bytes | None = None
    error_type: str | None = None
    on_text: Callable[[bytes], None] | None = None
    _size: int = 0
    _pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        if self._size > _MAX_JSON:
            return
        if self._decoder is not IDENTITY:
            try:
                data = self._decoder.feed(data)
            except CodingError:
                data = b""
                self._size = _MAX_JSON + 1
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _MAX_JSON:  # nobody will read it: a few bytes may have swollen to all this
            self._pieces.clear()

    def plain(self) -> bytes:
        """The answer so far, without content coding."""
        return b"".join(self._pieces)

    def finish(self) -> Usage | None:
        if self._size > _MAX_JSON:
            return None
        plain = self.plain()
        if self.on_text is not None:
            self.on_text(plain)
        answer = _read(plain)
        if answer.error is not None:
            self.error_data = plain
            self.error_type = _type_of(answer.error)
        return _usage(answer.usage) if answer.usage else None


class StreamMeter:
    """Reads the two or three events of a stream that matter."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder: Decoder | None = decoder
        self.is_plain = decoder is IDENTITY
        """Whether words of our own may join the stream."""
        self._events = EventBuffer()
        self._usage: Usage | None = None
        self._is_calm = False
        """Nothing is kept from earlier pieces, and nobody else listens."""
        self.has_event = False
        self.error_data: bytes | None = None
        self.error_type: str | None = None
        self.on_text: Callable[[bytes], None] | None = None

    @property
    def open_event(self) -> bytes:
        """The event that has begun and not ended; b"" between two events."""
        return self._events.tail

    def feed(self, data: bytes) -> None:
        # Nearly every piece of a stream: whole events, none of them wanted.
        if self._is_calm and data.endswith(b"\n\n") and b"message_" not in data and b"error" not in data:
            return
        if self._decoder is None:
            return
        try:
            whole = self._events.feed(self._decoder.feed(data))
        except CodingError:
            self._decoder = None
            return
        if whole:
            self._listen(whole)
        self._is_calm = self.is_plain and self._events.is_empty and self.on_text is None

    def finish(self) -> Usage | None:
        if rest := self._events.rest():
            self._listen(rest)
        return self._usage

    def _listen(self, whole: bytes) -> None:
        self.has_event = True
        if self.on_text is not None:
            self.on_text(whole)
        # Two LFs end an event in any mixture of line ends: a cheap cut round the few that are wanted.
        for block in whole.split(b"\n\n"):
            if b"message_" not in block and b"error" not in block:
                continue
            for event, data in read_events(block):
                if event in _WANTED_EVENTS:
                    self._note(_read(data), data)

    def _note(self, event: _Answer, data: bytes) -> None:
        if event.error is not None:
            self.error_data = data
            self.error_type = _type_of(event.error)
        counts = event.message.usage if isinstance(event.message, _Message) else event.usage
        if counts is not None:
            self._usage = _merge(self._usage, _usage(counts))


def _read(data: bytes) -> _Answer:
    """An answer of another shape is one that says nothing to us."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Answer()


def _type_of(error: _Error | str) -> str:
    """Some gateways in between write the error as a bare string."""
    return "error" if isinstance(error, str) else error.type or "error"


def _usage(counts: _Counts) -> Usage:
    """Cache writes without the split by lifetime are five-minute ones: the provider's default."""
    split = counts.cache_creation
    if split is None:
        write_5m, write_1h = counts.cache_creation_input_tokens, None
    else:
        write_5m, write_1h = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    return Usage(
        counts.input_tokens, counts.output_tokens, counts.cache_read_input_tokens, write_5m, write_1h
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
