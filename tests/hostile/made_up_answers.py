"""Answers for the fuzz test: good ones put together from parts, then spoilt."""

import gzip
import re
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from hypothesis import strategies as st

TOKEN = b"<token-ffffffffffff>"
"""Where the token of the case goes, as long as this, by which the answers are told from each other."""

_STATUS_LINES = [
    *[b"HTTP/1.1 200 OK"] * 8,
    b"HTTP/1.1 201 Created",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 307 Go",
    b"HTTP/1.1 400 Bad",
    b"HTTP/1.1 404 No",
    b"HTTP/1.1 429 Slow",
    b"HTTP/1.1 401 Who",
    b"HTTP/1.1 500 Oh",
    b"HTTP/1.1 529 Busy",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 101 Switching Protocols",
]
_LINES = [
    b"content-type: application/json",
    b"content-type: text/event-stream",
    b"content-type: text/event-stream; charset=utf-8",
    b"Content-Type:application/octet-stream",
    b"content-encoding: gzip",
    b"content-encoding: br",
    b"connection: close",
    b"connection: keep-alive, x-own",
    b"x-own: value",
    b"request-id: req_1",
    b"retry-after: 2",
    b"anthropic-ratelimit-unified-status: rejected",
    b"anthropic-ratelimit-unified-reset: 1",
    b"anthropic-ratelimit-requests-remaining: 0",
    b"set-cookie: a=b",
    b"x-headgate-request-id: hgr_0000000000000000000000",
    b"trailer: x-late",
    b"x-empty:",
    b"x-long: " + b"v" * 3000,
]
_CONTRADICTIONS = [
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: chunked",
    b"content-length: 7",
]
_EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3}}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"%b"}}\n\n' % TOKEN,
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\n',
    b"event: ping\ndata: {}\n\n",
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
    b": comment\n\n",
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
_BODIES = [
    b'{"type":"message","id":"%b","usage":{"input_tokens":3,"output_tokens":5}}' % TOKEN,
    b'{"type":"error","error":{"type":"invalid_request_error","message":"%b"}}' % TOKEN,
    b"",
    b"%b\xff\x00\xfe" % TOKEN,
    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil%b" % TOKEN,
]
_SNIPPETS = [
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"0",
    b"7",
    b"f",
    b"-",
    b";",
    b"\xff",
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"data: x\n\n",
    b"x" * 70_000,
]


_JUDGED = re.compile(rb" (101|401|429|5\d\d)\b")
"""No answer to be handed on, or one that is about the account."""
_BODYLESS = re.compile(rb" (204|304)\b")


@dataclass(frozen=True)
class Case:
    """What the provider says, in which pieces, and how it ends."""

    said: bytes
    cuts: tuple[int, ...]
    ending: str
    """`stay` open for a moment, `close`, `reset`, or `silence`: not a word, and no close."""
    body: bytes | None
    """Of an answer beyond reproach: what the client has to get of it, but for the token."""

    def pieces(self, token: bytes) -> list[bytes]:
        """The cuts, wherever they fall; the token stands in place of its mark."""
        said = self.said.replace(TOKEN, token)
        at = [0, *sorted(cut % (len(said) + 1) for cut in self.cuts), len(said)]
        return [said[start:end] for start, end in pairwise(at) if start != end]


def _good(random: Random) -> tuple[bytes, bytes | None]:
    """An answer that is, as far as its lines do not contradict each other, a good one; and its body, if the
    client is to get just that."""
    lines = random.sample(_LINES, random.randint(0, 5))
    has_contradiction = random.random() < 0.1
    if has_contradiction:
        lines.append(random.choice(_CONTRADICTIONS))
    first = random.choice(_STATUS_LINES)
    body = random.choice(_BODIES)
    if random.random() < 0.5:
        body = b"".join(random.choices(_EVENTS, k=random.randint(1, 6)))
    if b"content-encoding: gzip" in lines and random.random() < 0.7:
        body = gzip.compress(body.replace(TOKEN, b"coded"), mtime=0)
    plain = wire = b"" if _BODYLESS.search(first) else body
    match random.choice(["length", "length", "chunked", "chunked", "close"]):
        case "length":
            lines.append(b"content-length: %d" % len(body))
        case "chunked":
            lines.append(b"transfer-encoding: chunked")
            wire = _chunked(body, random.randint(1, 200))
    random.shuffle(lines)
    is_old = b"HTTP/1.0" in first and b"transfer-encoding: chunked" in lines
    is_sound = not has_contradiction and not is_old and not _JUDGED.search(first) and b'"error"' not in body
    said = b"".join(line + b"\r\n" for line in [first, *lines]) + b"\r\n" + wire
    return said, plain if is_sound else None


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _spoil(said: bytearray, random: Random) -> None:
    at = random.randint(0, max(0, len(said) - 1))
    match random.choice(["replace", "replace", "repeat", "end"]):
        case "replace":
            said[at : at + random.randint(0, 3)] = random.choice(_SNIPPETS)
        case "repeat":
            said[at:at] = said[at : at + random.randint(1, 200)] * random.randint(1, 3)
        case "end":
            del said[at:]


def make_up(seed: int) -> Case:
    """The same for the same seed, at a hundredth of the cost of a draw for each decision."""
    random = Random(seed)
    good, body = _good(random)
    said = bytearray(good)
    for _ in range(random.choice([0, 0, 0, 1, 1, 2, 4])):
        _spoil(said, random)
    if random.random() < 0.1:
        said += _good(random)[0]
    ending = random.choice(["stay"] * 12 + ["close"] * 12 + ["reset"] * 6 + ["silence"])
    cuts = tuple(random.randint(0, 5000) for _ in range(random.randint(0, 3)))
    is_whole = said.startswith(good) and ending in ("stay", "close")
    return Case(bytes(said), cuts, ending, body if is_whole and len(said) == len(good) else None)


cases = st.integers(0, 2**64 - 1).map(make_up)
