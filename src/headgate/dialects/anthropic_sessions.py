"""Which conversation a request of the Anthropic dialect belongs to: what all its turns have in common."""

import hashlib
import json
import re
from typing import Any

import msgspec

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


def session_named(user_id: Any) -> str | None:
    """By `metadata.user_id`. Claude Code writes it in two forms: `user_…_account_…_session_ID`, or JSON with
    `session_id`."""
    if not isinstance(user_id, str):
        return None
    _, named, last = user_id.rpartition("_session_")
    if named and _SESSION.fullmatch(last):
        return last[:_LONGEST_SESSION]
    found = _session_in_json(user_id) if user_id.startswith("{") else None
    return found[:_LONGEST_SESSION] if found else None


def _session_in_json(text: str) -> str | None:
    try:
        found = json.loads(text).get("session_id")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def session_of_opening(system: bytes, first: bytes | None) -> str | None:
    """By the texts of the system prompt and of the `first` message; None without one."""
    if first is None or len(first) <= _LONGEST_OPENING:
        return _opening_digest(system, first)
    return _opening_digest(system, None, first[:_LONGEST_OPENING])


def session_of_unread(system: bytes, messages: bytes) -> str | None:
    """The same of `messages` that were not taken apart, whatever they are."""
    first = _first_element(messages)
    is_long = first is None and len(messages) > _LONGEST_OPENING
    return session_of_opening(system, messages if is_long else first)


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


def first_object(elements: list[msgspec.Raw]) -> bytes | None:
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
        if (element := first_object(elements)) is not None:
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
