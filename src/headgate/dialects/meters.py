"""Listens to an answer, whatever its dialect: usage, the error it reports, ids it names.

A meter never changes or delays bytes. It costs a search or four on a piece of a stream that carries none of
the events it wants, and a decode on one that does. What a dialect says is its `UsageReader`'s part.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headgate.dialects.parts import Beside, completed
from headgate.dialects.usage import Usage, merged
from headgate.wire.coding import IDENTITY, CodingError, Decoder, decoder_for
from headgate.wire.sse import EventBuffer, read_events

NEVER = b"\n\n"
"""No event begins so."""

_JSON = b"application/json"

_MAX_JSON = 8 * 1_048_576
"""A JSON answer longer than this is relayed, but its usage is not read."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What one JSON answer, or one event of a stream, says."""

    usage: Usage | None = None
    error_type: str | None = None
    """The provider's word, where it reports an error."""
    beside: Beside | None = None
    """Calls that the provider counts apart from `usage`, or of another model than was asked for."""
    tool_calls: int = 0


class UsageReader(Protocol):
    """What a dialect's answers say of their usage."""

    marks: tuple[bytes, bytes, bytes]
    """An event that is wanted has one of them in it; few others do."""
    dull: bytes
    """How an event begins that is most frequent and never wanted; `NEVER`: there is none."""
    events: frozenset[bytes]
    """Names of the events that are wanted; b"": those without a name."""

    def read(self, data: bytes) -> Heard:
        """Raises nothing: data of another shape says nothing to us."""
        ...


class Feeding(Protocol):
    def feed(self, data: bytes) -> None:
        """The next bytes of an answer."""
        ...


class Meter(Feeding, Protocol):
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

    def finish(self) -> Usage | None:
        """What the answer cost. Safe to call again."""
        ...


def listen(fields: Mapping[bytes, bytes], reader: UsageReader) -> Meter:
    """The meter that suits an answer's `content-type` and `content-encoding` (names lower case)."""
    content_type = fields.get(b"content-type", b"")
    coding = fields.get(b"content-encoding")
    decoder = IDENTITY if coding is None else decoder_for(coding)
    if decoder is None:
        return Deaf()
    # Compared first: to ask how bytes begin takes six times as long.
    if content_type == _JSON or content_type.startswith(_JSON):
        return JsonMeter(decoder, reader)
    if content_type.startswith(b"text/event-stream"):
        return StreamMeter(decoder, reader)
    return Deaf()


class Deaf:
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
    _reader: UsageReader
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
        heard = self._reader.read(plain)
        if heard.error_type is not None:
            self.error_data, self.error_type = plain, heard.error_type
        return _whole(heard.usage, heard.beside, heard.tool_calls)


class StreamMeter:
    """Reads the two or three events of a stream that matter."""

    def __init__(self, decoder: Decoder, reader: UsageReader) -> None:
        self._decoder: Decoder | None = decoder
        self._reader = reader
        self._dull = reader.dull
        self._mark, self._other_mark, self._tool_mark = reader.marks
        self.is_plain = decoder is IDENTITY
        """Whether words of our own may join the stream."""
        self._events = EventBuffer()
        self._usage: Usage | None = None
        self._beside: Beside | None = None
        self._tool_calls = 0
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
        if self._is_calm and data.endswith(b"\n\n"):
            if data.startswith(self._dull) and data.find(b"\n\n") == len(data) - 2:
                return  # one alone: a single search
            if not self._is_marked(data):
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
        return _whole(self._usage, self._beside, self._tool_calls)

    def _listen(self, whole: bytes) -> None:
        self.has_event = True
        if self.on_text is not None:
            self.on_text(whole)
        # Two LFs end an event in any mixture of line ends: a cheap cut round the few that are wanted.
        for block in whole.split(b"\n\n"):
            if not self._is_marked(block):
                continue
            for event, data in read_events(block):
                if event in self._reader.events:
                    self._note(data)

    def _is_marked(self, data: bytes) -> bool:
        """`find`: to `in` a text of bytes may be a number, which it finds out by an exception, in words."""
        find = data.find
        return find(self._mark) >= 0 or find(self._other_mark) >= 0 or find(self._tool_mark) >= 0

    def _note(self, data: bytes) -> None:
        heard = self._reader.read(data)
        if heard.error_type is not None:
            self.error_data, self.error_type = data, heard.error_type
        if heard.usage is not None:
            self._usage = merged(self._usage, heard.usage)
        if heard.beside is not None:
            self._beside = heard.beside
        self._tool_calls += heard.tool_calls


def _whole(usage: Usage | None, beside: Beside | None, tool_calls: int) -> Usage | None:
    if usage is None:
        return None
    if beside is not None:
        usage = completed(usage, beside)
    return msgspec.structs.replace(usage, tool_calls=tool_calls) if tool_calls else usage
