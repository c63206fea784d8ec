"""Secrets in what was said, blacked out before anything is written.

Works on a whole body, so that no border between pieces hides one. A rule is a word that secrets of its kind
hold, found by a plain search, and a pattern that is tried there alone: what a stranger sends cannot make it
slow, because no pattern looks further than its bound, or twice at the same bytes. Alternatives are repeated
in an atomic group: a possessive repeat of them loses its place in Python before 3.11.5 (gh-106052).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

_Span = tuple[int, int]

_LONGEST_PEM = 16_384
"""Bytes between the first and the last line of a key; one that ends later does not end."""
_ESCAPED = rb"(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})"
"""Behind a line's end, a tab or the like in a string of JSON: its letter begins no word."""
_NAME = rb"(?:(?<![A-Za-z0-9])|" + _ESCAPED + rb")"
_ALONE = rb"(?:(?<![A-Za-z0-9_\-])|" + _ESCAPED + rb")"
"""No start within a run: it would be read many times."""
_TAIL = rb"[A-Za-z0-9_\-]"


class _Rule(NamedTuple):
    words: tuple[bytes, ...]
    """One of them is in every secret of the kind."""
    pattern: re.Pattern[bytes]
    """Tried where a word stands; the group `secret`, or all of it, is blacked out."""
    ignores_case: bool = False


def _token(words: str, rest: bytes, *, before: bytes = _NAME) -> _Rule:
    """Words that a provider's secrets begin with, and what follows them."""
    begins = tuple(word.encode() for word in words.split())
    longest_first = sorted(begins, key=len, reverse=True)
    return _Rule(
        begins, re.compile(before + rb"(?:" + b"|".join(map(re.escape, longest_first)) + rb")" + rest)
    )


_HAS_DIGIT = rb"(?=[A-Za-z_\-]{0,64}[0-9])"
"""Not the name of a style or a package, such as sk-fading-circle."""

_TOKENS = (
    _token("sk-ant-", _TAIL + rb"{8,}+"),
    _token("sk-", _HAS_DIGIT + _TAIL + rb"{16,}+", before=_ALONE),
    _token("AIza", rb"[A-Za-z0-9_\-]{30,}+"),
    _token("hg_", rb"[A-Za-z0-9_\-]{16,}+"),
    _token("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", rb"[A-Za-z0-9_]{20,}+"),
    _token("glpat- glptt- npm_ hf_ gsk_ xai- pplx- r8_ dop_v1_ shpat_ whsec_ nvapi-", _TAIL + rb"{16,}+"),
    _token("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_", rb"[A-Za-z0-9]{16,}+"),
    _token("xoxb- xoxp- xoxa- xoxr- xoxs- xapp-", rb"[A-Za-z0-9\-]{10,}+"),
    _token("AKIA ASIA", rb"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _token("ya29.", rb"[A-Za-z0-9_\-.]{20,}+"),
    _token("SG.", rb"[A-Za-z0-9_\-]{16,64}+\.[A-Za-z0-9_\-]{16,128}+"),
    _token("pypi-AgE", _TAIL + rb"{16,}+"),
    _token("AGE-SECRET-KEY-1", rb"[A-Z0-9]{30,}+"),
    # A JSON Web Token: its head is base64 of `{"`.
    _token(
        "eyJ",
        rb"[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{8,}+(?:\.[A-Za-z0-9_\-]{0,}+)?",
        before=_ALONE,
    ),
)

_SCHEMES = _Rule(
    (b"bearer", b"basic"),
    re.compile(rb"(?i:(?:bearer|basic))[ \t]{1,8}+(?P<secret>[A-Za-z0-9._~+/=\-]{12,}+)"),
    ignores_case=True,
)
_ADDRESSES = _Rule(
    (b"://",), re.compile(rb"://[^\s/:@\"'\\]{1,64}+:(?P<secret>[^\s/@\"'\\]{3,256}+)@"), ignores_case=False
)
_VALUES = _Rule(
    tuple(
        b"password passwd passphrase secret api_key api-key apikey access_key access-key accesskey "
        b"private_key privatekey auth_token auth-token authtoken access_token access-token accesstoken "
        b"refresh_token refreshtoken id_token session_token client_token x-goog-api".split()
    ),
    re.compile(
        rb"[A-Za-z0-9_\-]{5,48}+(?:\\{0,7}+[\"'])?[ \t]{0,8}+(?P<sign>=>|:=|[:=])(?>(?:[ \t]|\\t){0,8})"
        # A string of its own; one within a string of JSON, or of JSON in that; and what stands bare.
        rb"(?:\"(?P<double>(?>(?:[^\"\\]|\\.){1,8192}))"
        rb"|\\{1,7}+\"(?P<nested>(?>(?:[^\"\\]|\\(?!\\{0,7}+\")){1,8192}))"
        rb"|\\{0,7}+'(?P<single>(?>(?:[^'\"\\\r\n]|\\[^'\"nr]){1,8192}))"
        rb"|(?P<bare>[^\s\"'\\,;&<>(){}\[\]$]{4,8192}+))",
        re.DOTALL,
    ),
    ignores_case=True,
)
_SHAPED = (*_TOKENS, _SCHEMES, _ADDRESSES, _VALUES)

_NO_SECRET = frozenset({b"null", b"none", b"true", b"false", b"undefined", b"string"})
_PEM_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_REST = re.compile(rb"(?>(?:[A-Za-z0-9+/=:,\- \t\r\n]|\\[nrt]){0,16384})")


class Redacted(NamedTuple):
    body: bytes
    secrets: int
    """How many were blacked out."""


def redact(body: bytes, *, is_stream: bool = False) -> Redacted:
    """What is blacked out stays JSON where it was: a number becomes 0, anything else `[redacted]`. In a
    stream a secret may come in the pieces of several events."""
    spans = sorted([*_found(body), *(_found_in_pieces(body) if is_stream else ())])
    if not spans:
        return Redacted(body, 0)
    pieces, place, count = [], 0, 0
    for start, end in spans:
        if end <= place:
            continue
        if start >= place:
            pieces.append(body[place:start])
            pieces.append(b"0" if body[start:end].isdigit() else b"[redacted]")
            count += 1
        place = end  # of two that overlap one mark stands for both
    pieces.append(body[place:])
    return Redacted(b"".join(pieces), count)


_PIECE = re.compile(
    rb"\"(text|thinking|partial_json|content|arguments|delta|reasoning_content|reasoning|output_text|completion"
    rb"|refusal)\""
    rb"[ ]?:[ ]?\"((?>(?:[^\"\\]|\\.)*))\"",
    re.DOTALL,
)
"""A string of an event that others go on with, in any dialect."""


def _found_in_pieces(body: bytes) -> Iterator[_Span]:
    """Secrets that stand in what the pieces make together, as the parts of them that each piece has."""
    by_name: dict[bytes, list[_Span]] = {}
    for piece in _PIECE.finditer(body):
        by_name.setdefault(piece[1], []).append(piece.span(2))
    for places in by_name.values():
        ends = list(accumulate(end - start for start, end in places))
        for start, end in _found(b"".join(body[first:last] for first, last in places)):
            number = bisect_right(ends, start)
            while number < len(ends) and start < end:
                first, last = places[number]
                began = ends[number] - (last - first)
                stop = min(end, ends[number])
                yield first + start - began, first + stop - began
                start, number = stop, number + 1


def _found(body: bytes) -> Iterator[_Span]:
    lower = body.lower()
    for rule in _SHAPED:
        text = lower if rule.ignores_case else body
        for word in rule.words:
            yield from _matches(rule, word, text.find, body)
    yield from _pem_blocks(body)


def _matches(rule: _Rule, word: bytes, find: Callable[[bytes, int], int], body: bytes) -> Iterator[_Span]:
    place = find(word, 0)
    while place >= 0:
        match = rule.pattern.match(body, place)
        if match is None:
            place = find(word, place + len(word))
            continue
        name = match.lastgroup
        start, end = match.span(name or 0)
        if name is None or not _is_plain(body[start:end], match):
            yield start, end
        place = find(word, max(end, place + len(word)))


def _is_plain(value: bytes, match: re.Match[bytes]) -> bool:
    """No secret: a word of a programming language, or of a sentence (`password: must be …`)."""
    is_word = match.lastgroup == "bare" and match["sign"] != b"=" and value.isalpha()
    return is_word or value.lower() in _NO_SECRET


def _pem_blocks(body: bytes) -> Iterator[_Span]:
    """From one that does not end all that looks like one: it was cut."""
    place = 0
    if (begin := _PEM_BEGIN.search(body)) is None:
        return
    ends = [found.end() for found in _PEM_END.finditer(body)]
    while begin is not None:
        later = bisect_left(ends, begin.end())
        if later < len(ends) and ends[later] - begin.end() <= _LONGEST_PEM:
            place = ends[later]
        else:
            rest = _PEM_REST.match(body, begin.end())
            place = begin.end() if rest is None else rest.end()
        yield begin.start(), place
        begin = _PEM_BEGIN.search(body, place)
