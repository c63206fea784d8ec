"""Reading a prompt the way the provider bills it: tokens, and which prefix is cached.

The tokenizer is the simulator's own: a block costs a quarter of its JSON bytes plus one, an image or
document in base64 a flat figure. Caching follows
https://platform.claude.com/docs/en/build-with-claude/prompt-caching, "How prompt caching works": order tools,
system, messages; `cache_control` itself is no part of the prefix; a read renews the entry. The documented
minimum length is left out, so that small tests can see caching.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

_BASE64_BLOCK_TOKENS = 1600
_TTL_SECONDS = {"5m": 300, "1h": 3600}


class PromptCache:
    """The cached prefixes of one account."""

    def __init__(self) -> None:
        self._expires: dict[bytes, tuple[float, int]] = {}

    def bill(self, body: dict[str, Any], now: float) -> dict[str, Any]:
        """The input side of `usage` for this request; what it asks to cache is cached from now on."""
        blocks = list(_blocks(body))
        total = sum(tokens for _, tokens, _ in blocks)
        if not any(ttl for _, _, ttl in blocks):
            return input_usage(total, 0, 0, 0)
        read, written, end = self._walk(body["model"], blocks, now)
        return input_usage(total - end, read, written["5m"], written["1h"])

    def _walk(
        self, model: str, blocks: list[tuple[bytes, int, str]], now: float
    ) -> tuple[int, dict[str, int], int]:
        """Tokens read, tokens written by time to live, and where the last breakpoint stands in tokens."""
        digest, position, read = sha256(model.encode()), 0, 0
        breakpoints: list[tuple[bytes, int, str]] = []
        for encoded, tokens, ttl in blocks:
            digest.update(encoded)
            position += tokens
            prefix = digest.digest()
            expires, seconds = self._expires.get(prefix, (0.0, 0))
            if now < expires:
                read = position
                self._expires[prefix] = (now + seconds, seconds)
            if ttl:
                breakpoints.append((prefix, position, ttl))
        written = {"5m": 0, "1h": 0}
        start = read
        for prefix, end, ttl in breakpoints:
            if end > read:
                self._expires[prefix] = (now + _TTL_SECONDS[ttl], _TTL_SECONDS[ttl])
                written[ttl] += end - start
                start = end
        return read, written, max(read, breakpoints[-1][1])


def count_tokens(body: dict[str, Any]) -> int:
    return sum(tokens for _, tokens, _ in _blocks(body))


def input_usage(plain: int, read: int, written_5m: int, written_1h: int) -> dict[str, Any]:
    return {
        "input_tokens": plain,
        "cache_creation_input_tokens": written_5m + written_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written_5m, "ephemeral_1h_input_tokens": written_1h},
    }


def _blocks(body: dict[str, Any]) -> Iterator[tuple[bytes, int, str]]:
    """Every block in billing order: its bytes without `cache_control`, its tokens, its time to live."""
    for tool in body.get("tools") or ():
        yield _block("tool", tool)
    for block in _content(body.get("system")):
        yield _block("system", block)
    for message in body.get("messages") or ():
        role = str(message.get("role"))
        for block in _content(message.get("content")):
            yield _block(role, block)


def _content(content: Any) -> list[Any]:
    """A plain string means one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _block(role: str, block: Any) -> tuple[bytes, int, str]:
    ttl = ""
    if isinstance(block, dict) and isinstance(control := block.get("cache_control"), dict):
        ttl = "1h" if control.get("ttl") == "1h" else "5m"
        block = {name: value for name, value in block.items() if name != "cache_control"}
    encoded = msgspec.json.encode([role, block])
    source = block.get("source") if isinstance(block, dict) else None
    is_base64 = isinstance(source, dict) and source.get("type") == "base64"
    return encoded, _BASE64_BLOCK_TOKENS if is_base64 else len(encoded) // 4 + 1, ttl
