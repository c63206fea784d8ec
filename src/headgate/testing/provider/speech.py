"""What the model says: the same answer for the same request, in the blocks and deltas of the wire format.

A caller steers it by words in the last user message: `say 500 words`, `search the web for X`, and the tools
of `tools.py`; thinking, citations and containers follow from the request's own fields.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import msgspec

from headgate.testing.provider.tools import Call, due_call, text_of

# Words of one to four UTF-8 bytes a character, quotes and escapes, so that careless readers stumble.
_WORDS = (
    " the", " relay", " passes", " naïve", " bytes", " through", " untouched", " — ", " 水が", " flows",
    " \"quoted\"", " back\\slash", " 😀", " line\n", " tab\t", " Ünïcödé", " end", " of", " stream", "…",
)  # fmt: skip
_SAY = re.compile(r"\bsay (\d{1,6}) words\b", re.IGNORECASE)
_SEARCH = re.compile(r"\bsearch the web for ([^\n.?!]+)", re.IGNORECASE)
_ECHO_CHARACTERS = 80
_COMMAND_CHARACTERS = 4096  # commands are looked for at the end of the text: a large body stays cheap
_MAX_WORDS = 200_000


@dataclass(slots=True)
class Block:
    """`start` as it stands in content_block_start, `deltas` as JSON, `whole` as in a plain answer."""

    start: dict[str, Any]
    whole: dict[str, Any]
    deltas: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Spoken:
    blocks: list[Block]
    output_tokens: int
    stop_reason: str
    stop_sequence: str | None = None
    searches: int = 0
    thinking_tokens: int = 0


def speak(body: dict[str, Any], words: int, text: str = "") -> Spoken:
    """The reply to a valid request, `max_tokens` and stop sequences honoured: one word is one token.

    `text`, where there is one, is said instead of so many words; not where the caller asks for words.
    """
    asked = last_user_text(body)
    command = asked[-_COMMAND_CHARACTERS:]
    said = Spoken([], 0, "end_turn")
    left: int = body["max_tokens"]
    seed = crc32(asked.encode("utf-8", "replace"))
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        left -= _think(said, seed, left)
    if (search := _SEARCH.search(command)) and _offers(body, "web_search"):
        _search_web(said, search[1].strip(), seed)
    tokens, said.stop_reason, said.stop_sequence = _stopped(
        _text_tokens(asked, words, text, seed), body.get("stop_sequences") or [], left
    )
    said.blocks.append(_text_block(tokens, _cited_document(body)))
    said.output_tokens += len(tokens)
    if said.stop_reason == "end_turn" and (call := due_call(body)):
        _use_tool(said, call, seed, left - len(tokens))
    return said


def _offers(body: dict[str, Any], server_tool: str) -> bool:
    tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict)]
    return any(str(tool.get("type", "")).startswith(server_tool) for tool in tools)


def wants_container(body: dict[str, Any]) -> bool:
    """Whether code may run, so that the answer names a container."""
    return _offers(body, "code_execution")


def last_user_text(body: dict[str, Any]) -> str:
    """The text of the last message, tool results included. A message of role system is the client's own."""
    messages = [m for m in body.get("messages") or () if m.get("role") != "system"]
    return text_of(messages[-1].get("content")) if messages else ""


def _text_tokens(asked: str, words: int, text: str, seed: int) -> list[str]:
    if wanted := _SAY.search(asked[-_COMMAND_CHARACTERS:]):
        words = min(int(wanted[1]), _MAX_WORDS)
        start: list[str] = []
    elif text:
        return re.findall(r"\S+\s*|\s+", text)
    else:
        summary = asked[:_ECHO_CHARACTERS]
        start = re.findall(r"\S+\s*|\s+", f"You said: {summary} —")
    return start + [_WORDS[(seed + n * 7) % len(_WORDS)] for n in range(words)]


def _stopped(tokens: list[str], sequences: list[str], left: int) -> tuple[list[str], str, str | None]:
    """The tokens that are said before a stop sequence or the limit ends the turn."""
    said, reason = (tokens[: max(left, 1)], "max_tokens") if len(tokens) > left else (tokens, "end_turn")
    text = "".join(said)
    hits = [(text.index(mark), mark) for mark in sequences if mark and mark in text]
    if not hits:
        return said, reason, None
    end, mark = min(hits)
    kept: list[str] = []
    for token in said:
        if end <= 0:
            break
        kept.append(token[:end])
        end -= len(token)
    return kept, "stop_sequence", mark


def _text_block(tokens: list[str], document: tuple[int, dict[str, Any]] | None) -> Block:
    deltas = [b'{"type":"text_delta","text":%b}' % msgspec.json.encode(token) for token in tokens]
    start: dict[str, Any] = {"type": "text", "text": ""}
    whole: dict[str, Any] = {"type": "text", "text": "".join(tokens)}
    if document is not None:
        citation = _citation(*document)
        start["citations"], whole["citations"] = [], [citation]
        deltas.insert(0, msgspec.json.encode({"type": "citations_delta", "citation": citation}))
    return Block(start, whole, deltas)


def _cited_document(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """The first plain-text document of the last message that allows citations."""
    content = body["messages"][-1].get("content")
    documents = (
        [b for b in content if isinstance(b, dict) and b.get("type") == "document"]
        if isinstance(content, list)
        else []
    )
    for index, document in enumerate(documents):
        source, citations = document.get("source"), document.get("citations")
        is_text = isinstance(source, dict) and source.get("type") == "text"
        if is_text and isinstance(citations, dict) and citations.get("enabled"):
            return index, document
    return None


def _citation(index: int, document: dict[str, Any]) -> dict[str, Any]:
    cited = str(document["source"].get("data", ""))[:40]
    return {
        "type": "char_location",
        "cited_text": cited,
        "document_index": index,
        "document_title": document.get("title"),
        "start_char_index": 0,
        "end_char_index": len(cited),
        "file_id": None,
    }


def _think(said: Spoken, seed: int, left: int) -> int:
    """A thinking block; leaves at least one token for the answer."""
    tokens = [_WORDS[(seed + n * 3) % len(_WORDS)] for n in range(max(0, min(12, left - 1)))]
    signature = "EqQB" + f"{seed:08x}" * 12 + "=="
    thought = "".join(tokens)
    deltas = [b'{"type":"thinking_delta","thinking":%b}' % msgspec.json.encode(token) for token in tokens]
    deltas.append(b'{"type":"signature_delta","signature":%b}' % msgspec.json.encode(signature))
    start = {"type": "thinking", "thinking": "", "signature": ""}
    said.blocks.append(
        Block(start, {"type": "thinking", "thinking": thought, "signature": signature}, deltas)
    )
    said.output_tokens += len(tokens)
    said.thinking_tokens = len(tokens)
    return len(tokens)


def _use_tool(said: Spoken, call: Call, seed: int, left: int) -> None:
    """The call, its input cut in odd places."""
    pieces = _odd_pieces(call.text, seed)
    if len(pieces) > left:
        said.stop_reason = "max_tokens"
        return
    start = {
        "type": "tool_use",
        "id": f"toolu_01{seed:08x}{crc32(call.text.encode()):08x}",
        "name": call.name,
        "input": {},
    }
    deltas = [
        b'{"type":"input_json_delta","partial_json":%b}' % msgspec.json.encode(p) for p in ["", *pieces]
    ]
    said.blocks.append(Block(start, start | {"input": call.value}, deltas))
    said.output_tokens += len(pieces)
    said.stop_reason = "tool_use"


def _odd_pieces(text: str, seed: int) -> list[str]:
    """Pieces of 1 to 9 characters: inside words, escapes and numbers alike."""
    pieces, start = [], 0
    while start < len(text):
        seed = (seed * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        size = 1 + (seed >> 16) % 9
        pieces.append(text[start : start + size])
        start += size
    return pieces


def _search_web(said: Spoken, query: str, seed: int) -> None:
    """A server tool's call and its result, both whole in content_block_start but for the input."""
    call_id = f"srvtoolu_01{seed:08x}"
    call = {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}}
    text = msgspec.json.encode({"query": query}).decode()
    deltas = [
        b'{"type":"input_json_delta","partial_json":%b}' % msgspec.json.encode(p)
        for p in _odd_pieces(text, seed)
    ]
    said.blocks.append(Block(call, call | {"input": {"query": query}}, deltas))
    found = {
        "type": "web_search_result",
        "title": f"About {query}",
        "url": "https://example.com/found",
        "encrypted_content": "EuYBCioIAhgB",
        "page_age": None,
    }
    result = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": [found]}
    said.blocks.append(Block(result, result))
    said.output_tokens += len(deltas)
    said.searches += 1
