"""The Anthropic dialect: what routing needs from a request, and errors in its own shape.

Sources: Anthropic API reference, "Messages", "Errors" and "Streaming messages" (event types).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from headgate.dialects.anthropic_beginnings import Beginning, Beginnings
from headgate.dialects.anthropic_sessions import (
    first_object,
    session_named,
    session_of_opening,
    session_of_unread,
)
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
    """The hashes of the system prompt and of each message; empty where these were not wanted, or too many."""


class Hashing(Protocol):
    """Who is told of a request's messages. Their bytes are the body's: nobody may keep them."""

    def take(self, messages: Sequence[msgspec.Raw], before: Sequence[bytes] = ()) -> list[bytes]:
        """The hash of each, as it was sent; none where with those `before` there are too many."""

    def knows(self, hashes: Sequence[bytes]) -> bool:
        """Whether messages with these need not be shown again."""

    def digest(self, content: msgspec.Raw) -> bytes:
        """The hash of something else, of the same length."""


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
    body: bytes | bytearray,
    *,
    with_session: bool = True,
    hashing: Hashing | None = None,
    beginnings: Beginnings | None = None,
) -> RequestFacts:
    """Reads model, stream, session and container. `with_session` False spares the session look-up; with
    `hashing` the messages are hashed, and those that bodies of `beginnings` had before are not read again.

    Raises `InvalidRequest` naming field and position; what the fields mean is the provider's to judge.
    """
    try:
        if hashing is not None and (len(body) <= _LARGE_BODY or body.count(b",") <= _MOST_COMMAS):
            if beginnings is None or len(body) < beginnings.step_bytes:
                facts = _read_turns(body, with_session, hashing)
            else:
                facts = _read_on(bytes(body), with_session, hashing, beginnings)
            if facts is not None:
                return facts
        check_utf8(body)  # the decoder looks only at what it reads
        fields = _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = _second_opinion(body)
    session = None
    if with_session:
        session = _named(fields) or session_of_unread(bytes(fields.system), bytes(fields.messages))
    return _facts(fields, session, [], None)


def _read_turns(body: bytes | bytearray, with_session: bool, hashing: Hashing) -> RequestFacts | None:
    turns = _turns_of(body)
    if turns is None:
        return None
    session = _session_of(turns, body) if with_session else None
    return _facts(turns, session, hashing.take(turns.messages), hashing)


def _read_on(
    body: bytes, with_session: bool, hashing: Hashing, beginnings: Beginnings
) -> RequestFacts | None:
    """The same; what it has in common with bodies from before is neither read nor hashed again."""
    digests = beginnings.digests(body)
    before = beginnings.find(digests)
    turns = _turns_behind(body, before) if before is not None and hashing.knows(before.hashes) else None
    if turns is None or before is None:
        before, turns = None, _turns_of(body)
    if turns is None:
        return None
    known = before.hashes if before is not None else []
    hashes = hashing.take(turns.messages, known)
    if hashes:
        beginnings.learn(body, digests, turns.messages, hashes, before)
        hashes = [*known, *hashes]
    session = _session_of(turns, body, before) if with_session else None
    return _facts(turns, session, hashes, hashing)


def _turns_of(body: bytes | bytearray) -> _Turns | None:
    """None where `messages` is no list, or something else is not as it should be."""
    check_utf8(body)  # the decoder looks only at what it reads
    try:
        return _decode_turns(body)
    except msgspec.ValidationError:
        return None


def _turns_behind(body: bytes, before: Beginning) -> _Turns | None:
    """With the messages behind those of `before`; None where something is wrong: the whole body says what."""
    try:
        turns = _turns_of(before.cut_out_of(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return turns if turns is not None and before.is_followed_by(turns.messages, body) else None


def _session_of(turns: _Turns, body: bytes | bytearray, before: Beginning | None = None) -> str | None:
    """`before`: the messages of the body that are not among `turns`, the first of all with them."""
    if (named := _named(turns)) is not None:
        return named
    first = before.first(body) if before is not None else first_object(turns.messages)
    return session_of_opening(bytes(turns.system), first)


def _named(fields: _Body | _Turns) -> str | None:
    return session_named(fields.metadata.user_id) if fields.metadata is not None else None


def _facts(
    fields: _Body | _Turns, session: str | None, hashes: list[bytes], hashing: Hashing | None
) -> RequestFacts:
    return RequestFacts(
        fields.model,
        bool(fields.stream),
        session,
        _container_of(fields.container) if fields.container is not None else None,
        hashing.digest(fields.system) + b"".join(hashes) if hashes and hashing is not None else b"",
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
