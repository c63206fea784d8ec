"""What is kept of a message: hashes of its blocks, sizes, and the little that links conversations."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.conversation.phrases import SUB_AGENT_TOOLS, asks_for_summary, cleaned, continues_another
from headgate.conversation.turns import Block, Call, Other, Result, Text, Thought, Turn

HASH_BYTES = 16
TITLE_CHARACTERS = 120
MOST_UNITS = 1_024
"""Blocks of one message; what is beyond counts as one. A stranger's message may have forty thousand."""
_MOST_CALLS = 64
"""Calls of sub-agents in one message; more are not looked at."""

_GIVEN_BY_PROVIDER = re.compile(r"(?:srv|mcp)?(?:toolu|call|fc)_[A-Za-z0-9_-]{12,}")
"""Ids that no two calls share. What belongs to such an id needs no second look: clients clear old results
and order a call's input anew. An id of another form may be a counter, so there the content counts too."""

_SPACE = re.compile(r"\s+")
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class SubCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A call that opens another conversation."""

    tool_id: str
    prompt: bytes
    """The hash of what that conversation opens with."""


class Facts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Of one message. Travels into the database as msgpack: a new field goes to the end, with a default."""

    units: bytes
    """A hash of 16 bytes for each block that counts, in order."""
    sides: str
    """A letter for each: `a` what the model said, `u` all else, `o` where nobody could read who it was."""
    ids: bytes
    """A hash of 16 bytes for each: of the tool call it is or answers, else zeros."""
    said: bytes = b""
    """The hash of a user's words in it; empty when there are none."""
    title: str | None = None
    """The beginning of those words."""
    calls: tuple[SubCall, ...] = ()
    size: int = 0
    """Characters of all blocks, thoughts among them: about four to a token."""
    continues: bool = False
    asks_for_summary: bool = False


NO_ID = bytes(HASH_BYTES)

_INSTRUCTING = frozenset({"system", "developer"})
"""Whose messages are the system prompt in another place: a client writes date, folder and tools into it, and
writes it anew when a session is resumed. Claude Code sends one behind the first words of the user."""
_NOTHING = Facts(b"", "", b"")


def facts_of(turn: Turn) -> Facts:
    units, ids, sides, words = [], [], [], []
    calls: list[SubCall] = []
    size = 0
    is_model = turn.role == "assistant"
    if turn.role in _INSTRUCTING:
        return _NOTHING
    for block in turn.blocks:
        size += _size(block)
        if (unit := _unit(turn.role, block)) is None:
            continue
        units.append(unit)
        ids.append(_id_of(block))
        sides.append("a" if is_model else "u")
        if isinstance(block, Text) and turn.role == "user":
            words.append(cleaned(block.text))
        elif isinstance(block, Call) and (call := _sub_call(block)) and len(calls) < _MOST_CALLS:
            calls.append(call)
    if len(units) > MOST_UNITS:
        last = MOST_UNITS - 1
        units[last:], ids[last:] = [_hash(b"rest", *units[last:])], [NO_ID]
        del sides[MOST_UNITS:]
    text = "\n".join(words)
    return Facts(
        b"".join(units),
        "".join(sides),
        b"".join(ids),
        said_hash(text) if text else b"",
        _title(text),
        tuple(calls),
        size,
        continues_another(text),
        asks_for_summary(text),
    )


def opaque(span: bytes) -> Facts:
    """For a message that nobody could read: it is the same only as itself."""
    return Facts(_hash(b"opaque", span), "o", NO_ID)


def said_hash(text: str) -> bytes:
    """Equal for a prompt in a tool call and the words that a conversation opens with."""
    return _hash(b"said", _bytes(cleaned(text)))


# ---- one block -----------------------------------------------------------------------------------


def _unit(role: str, block: Block) -> bytes | None:
    """The block's hash; None for one that does not count."""
    match block:
        case Thought():
            return None
        case Text(text):
            text = cleaned(text)
            return _hash(b"text", role.encode(), _bytes(text)) if text else None
        case Call(id, name, value):
            if _GIVEN_BY_PROVIDER.fullmatch(id):
                return _hash(b"call", _bytes(id))
            return _hash(b"call", _bytes(id), _bytes(name), _canonical(value))
        case Result(id, content, has_failed):
            if _GIVEN_BY_PROVIDER.fullmatch(id):
                return _hash(b"result", _bytes(id))
            parts = [unit for one in content if (unit := _unit("tool", one)) is not None]
            return _hash(b"result", _bytes(id), b"failed" if has_failed else b"", *parts)
        case Other(kind, value):
            return _hash(b"other", role.encode(), _bytes(kind), _canonical(value))


def _id_of(block: Block) -> bytes:
    """Of calls and results apart: a result repeats its call's id. Counters repeat from client to client, but
    not within a conversation."""
    match block:
        case Call(id) if id:
            return _hash(b"id of call", _bytes(id))
        case Result(id) if id:
            return _hash(b"id of result", _bytes(id))
    return NO_ID


def _size(block: Block) -> int:
    match block:
        case Text(text):
            return len(text)
        case Thought(size):
            return size
        case Call(_, name, value):
            return len(name) + len(_canonical(value))
        case Result(_, content):
            return sum(map(_size, content))
    return 0


def _sub_call(call: Call) -> SubCall | None:
    if call.name.lower() not in SUB_AGENT_TOOLS or not isinstance(call.input, dict):
        return None
    prompt = call.input.get("prompt")
    if not isinstance(prompt, str) or not cleaned(prompt):
        return None
    return SubCall(_plain(call.id[:128]), said_hash(prompt))


def _title(text: str) -> str | None:
    """One line; the beginning of a longer text."""
    line = _SPACE.sub(" ", text[: 4 * TITLE_CHARACTERS]).strip()
    if len(line) > TITLE_CHARACTERS:
        line = line[: TITLE_CHARACTERS - 1].rstrip() + "…"
    return _plain(line) or None


def _plain(text: str) -> str:
    """What every database takes."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


# ---- bytes -----------------------------------------------------------------------------------------


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _canonical(value: Any) -> bytes:
    """The same for every order of keys, and without the marks that clients move from turn to turn."""
    return _encode_sorted(_unmarked(value))


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unmarked(one) for key, one in value.items() if key != "cache_control"}
    return [_unmarked(one) for one in value] if isinstance(value, list) else value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def split(hashes: bytes) -> Iterable[bytes]:
    """The hashes of 16 bytes that stand one behind the other."""
    return (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
