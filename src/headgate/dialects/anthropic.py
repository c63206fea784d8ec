"""The Anthropic dialect: what routing needs from a request, and errors in its own shape.

Sources: Anthropic API reference, "Messages", "Errors" and "Streaming messages" (event types).
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from headgate.errors import HeadgateError, InvalidRequest, RateLimited
from headgate.wire.utf8 import check_utf8


class RequestFacts(msgspec.Struct, frozen=True, gc=False):
    """What the gateway reads from a body; everything else travels unread."""

    model: str
    stream: bool
    session: str | None = None
    """Names the conversation; None when nothing in the body does."""
    container: str | None = None
    """Id of a code execution container, which lives in one account."""
    spans: bytes = b""
    """What the caller of `read_request` made of the messages."""


Take = Callable[[Sequence[msgspec.Raw], msgspec.Raw], bytes]
"""Of the messages, each as it was sent, and of the system prompt."""


class _Metadata(msgspec.Struct):
    user_id: Any = None


class _Body(msgspec.Struct):
    """The partial decode. Fields that we only hash stay raw."""

    model: str
    stream: bool | None = None
    metadata: _Metadata | None = None
    container: Any = None
    system: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()


class _Turns(msgspec.Struct):
    """The same with the messages apart, which costs nothing more: the decoder walks over them anyway."""

    model: str
    stream: bool | None = None
    metadata: _Metadata | None = None
    container: Any = None
    system: msgspec.Raw = msgspec.Raw()
    messages: list[msgspec.Raw] = []


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_turns = msgspec.json.Decoder(_Turns).decode

_LARGE_BODY = 1 << 20
_MOST_COMMAS = 500_000
"""In a larger one: a list of ten million numbers would take a gigabyte apart."""


def read_request(
    body: bytes | bytearray, *, with_session: bool = True, take: Take | None = None
) -> RequestFacts:
    """Reads model, stream, session and container. `with_session` False spares the session look-up; `take`
    makes what it likes of the messages, whose bytes are the body's: it must not keep them.

    Raises `InvalidRequest` naming field and position; what the fields mean is the provider's to judge.
    """
    try:
        check_utf8(body)  # the decoder looks only at what it reads
        if take is not None and (len(body) <= _LARGE_BODY or body.count(b",") <= _MOST_COMMAS):
            turns = _turns_of(body)
            if turns is not None:
                return _facts(turns, with_session, take(turns.messages, turns.system))
        fields = _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = _second_opinion(body)
    return _facts(fields, with_session, b"")


def _turns_of(body: bytes | bytearray) -> _Turns | None:
    """None where `messages` is no list, or something else is not as it should be."""
    try:
        return _decode_turns(body)
    except msgspec.ValidationError:
        return None


def _facts(fields: _Body | _Turns, with_session: bool, spans: bytes) -> RequestFacts:
    return RequestFacts(
        fields.model,
        bool(fields.stream),
        _session_of(fields) if with_session else None,
        _container_of(fields.container) if fields.container is not None else None,
        spans,
    )


def _second_opinion(body: bytes | bytearray) -> _Body:
    """What others take for JSON is no error of ours: of a key that is given twice the last one counts, and
    half of a surrogate pair is a character (RFC 8259, sections 4 and 8.2).

    It is taken out of what we read, never of what travels.
    """
    try:
        check_utf8(body)
        text = _SURROGATE.sub(rb"\\ufffd", body)
        fields = _decode_fields(text)
        known = [
            b'"%b":%b' % (name.encode(), fields[name]) for name in _Body.__struct_fields__ if name in fields
        ]
        return _decode_body(b"{" + b",".join(known) + b"}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _complaint(body, error) from error


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _complaint(body: bytes | bytearray, error: Exception) -> InvalidRequest:
    """What is wrong and where; a mend for each."""
    if isinstance(error, msgspec.ValidationError):
        return InvalidRequest(_in_callers_words(str(error)), hint="Correct the field named.")
    if isinstance(error, RecursionError):
        return InvalidRequest("The request body is nested too deeply to be read.", hint="Nest it less.")
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest(_not_utf8(body), hint="Send one JSON object as UTF-8.")
    if not body:
        why = "it is empty"
    else:
        why = str(error).removeprefix("JSON is malformed: ")
        why = why.replace("Input data was truncated", f"it ends too early, at byte {len(body)}")
    return InvalidRequest(f"The request body is not valid JSON: {why}", hint="Send one JSON object as UTF-8.")


def _not_utf8(body: bytes | bytearray) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The request body is not valid JSON: no UTF-8 text at byte {error.start}"
    return "The request body is not valid JSON: it holds what is no text"


def _in_callers_words(complaint: str) -> str:
    """msgspec says "Expected `str`, got `int` - at `$.model`"; callers know fields, not `$`."""
    if "missing required field" in complaint:
        return "model: Field required"
    what, _, where = complaint.partition(" - at ")
    field = where.strip("`").removeprefix("$.")
    return f"{field}: {what}" if field else f"The request body must be a JSON object. {what}"


# ---- which conversation a request belongs to -----------------------------------------------------

_SESSION = re.compile(r"[A-Za-z0-9-]+")
_JSON_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]')
"""The closing quote may be missing: a string cut short is then one token, not many tries."""

_LONGEST_SESSION = 256
"""Characters: sessions are remembered, and their names are a caller's."""

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_SHORT_ARRAY = 4_096
"""Bytes. A shorter one is taken apart sooner than searched."""

_LONGEST_OPENING = 1_048_576
"""Bytes of the messages looked through for the first: the whole gateway waits for this loop."""


def _session_of(fields: _Body | _Turns) -> str | None:
    user_id = fields.metadata.user_id if fields.metadata else None
    if isinstance(user_id, str) and (session := _session_in_user_id(user_id)):
        return session[:_LONGEST_SESSION]
    if isinstance(fields, _Turns):
        first = _first_object(fields.messages)
        if first is None or len(first) <= _LONGEST_OPENING:
            return _opening_digest(bytes(fields.system), first)
        return _opening_digest(bytes(fields.system), None, first[:_LONGEST_OPENING])
    messages = bytes(fields.messages)
    first = _first_element(messages)
    if first is None and len(messages) > _LONGEST_OPENING:
        return _opening_digest(bytes(fields.system), None, messages[:_LONGEST_OPENING])
    return _opening_digest(bytes(fields.system), first)


def _session_in_user_id(user_id: str) -> str | None:
    """Claude Code writes it in two forms: `user_…_account_…_session_ID`, or JSON with `session_id`."""
    _, named, session = user_id.rpartition("_session_")
    if named and _SESSION.fullmatch(session):
        return session
    if not user_id.startswith("{"):
        return None
    try:
        found = json.loads(user_id).get("session_id")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None


def _opening_digest(system: bytes, first: bytes | None, beginning: bytes = b"") -> str | None:
    """A digest of the system text and the first user message: what stays the same all along.

    Only texts count, not blocks' other fields: clients move `cache_control` from turn to turn. Of an
    opening that is very long its `beginning` counts, as it is written.
    """
    if first is None and not beginning:
        return None
    texts = "\0".join([*_texts(system), *_texts(first or b"")])
    digest = hashlib.blake2b(beginning + texts.encode("utf-8", "surrogatepass"), digest_size=16)
    return "opening-" + digest.hexdigest()


def _first_object(elements: list[msgspec.Raw]) -> bytes | None:
    for raw in elements:
        element = bytes(raw).lstrip()
        if element[:1] in (b"{", b"["):
            return element
    return None


def _first_element(array: bytes) -> bytes | None:
    """The first object of a JSON array; of a long one it is found without reading the others."""
    if len(array) <= _SHORT_ARRAY:
        try:
            elements = _ELEMENTS.decode(array)
        except msgspec.DecodeError:
            elements = []  # it is no array
        if (element := _first_object(elements)) is not None:
            return element
    depth, start = 0, -1
    for token in _JSON_TOKEN.finditer(array, 0, _LONGEST_OPENING):
        match token.group()[:1]:
            case b"{" | b"[":
                depth += 1
                if depth == 2:
                    start = token.start()
            case b"}" | b"]":
                depth -= 1
                if depth == 1:
                    return array[start : token.end()]
    return None


def _texts(raw: bytes) -> list[str]:
    """The texts of a `system` value or of one message, in order."""
    try:
        value = msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    if isinstance(value, dict):
        value = value.get("content")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    texts = [block.get("text") for block in value if isinstance(block, dict)]
    return [text for text in texts if isinstance(text, str)]


def _container_of(value: Any) -> str | None:
    """`container` is an id, or since skills an object with one."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


# ---- errors --------------------------------------------------------------------------------------

_TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """The word the provider uses for a status; `api_error` for all others (reference, "HTTP errors")."""
    return _TYPE_OF_STATUS.get(status, "api_error")


def write_error(error: HeadgateError, *, request_id: str, extra: dict[str, Any] | None = None) -> bytes:
    """The body of an error of our own; `extra` (`attempts`, `lastError`) joins the inner object."""
    inner: dict[str, Any] = {"type": error_type(error.status), "message": error.message, "code": error.code}
    if error.hint:
        inner["hint"] = error.hint
    inner.update(extra or {})
    return msgspec.json.encode({"type": "error", "error": inner, "request_id": request_id})


def rate_headers(error: RateLimited) -> list[tuple[bytes, bytes]]:
    """The limit as the provider tells its own (reference, "Rate limits", "Response headers")."""
    if not error.what:
        return []
    moment = datetime.fromtimestamp(error.full_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"limit": str(error.limit), "remaining": str(error.left), "reset": moment}
    return [
        (f"anthropic-ratelimit-{error.what}-{name}".encode(), value.encode()) for name, value in told.items()
    ]


IGNORED_EVENT = b"ping"
"""An event that clients pass over without a look at its data (reference, "Ping events")."""


def write_stream_error(error: HeadgateError, *, request_id: str) -> bytes:
    """The same as an event, for a stream that has begun (reference, "Error events")."""
    return b"event: error\ndata: " + write_error(error, request_id=request_id) + b"\n\n"
