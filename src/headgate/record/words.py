"""The words of a body, for who looks for them: of JSON its strings, of a stream what its pieces make.

Knows no dialect: strings that come event after event at the same place of the JSON are one text, because a
word may come in two of them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from headgate.wire.sse import read_events

MOST_WORDS = 4_096
"""Different ones of one body: more than most have, and what a row of the index may cost."""
_WORD = re.compile(r"[^\W_]{2,64}")
"""What is longer is cut there, where it is looked for as well."""
_BLANK = re.compile(r"\s")
_ESCAPED = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_DEEPEST = 64
_LONG_WITHOUT_BLANK = 512
"""Characters: a string that begins so is a picture in base64, or a file."""


def words_in(text: str) -> list[str]:
    """As they are compared: without case, of letters and digits, two characters at least."""
    if len(text) > _LONG_WITHOUT_BLANK and not _BLANK.search(text, 0, _LONG_WITHOUT_BLANK):
        return []
    words: list[str] = _WORD.findall(text.casefold())
    return words


def words_of(body: bytes, content_type: str, *, from_end: bool) -> tuple[set[str], bool]:
    """Those of a body, and whether there are more. `from_end`: its last words are the new ones."""
    texts = list(_texts(body, content_type))
    found: set[str] = set()
    for text in reversed(texts) if from_end else texts:
        found.update(words_in(text))
        if len(found) > MOST_WORDS:
            return _most(texts, from_end=from_end), True
    return found, False


def _most(texts: list[str], *, from_end: bool) -> set[str]:
    """One word at a time: as many as there may be."""
    found: set[str] = set()
    for text in reversed(texts) if from_end else texts:
        words = words_in(text)
        for word in reversed(words) if from_end else words:
            found.add(word)
            if len(found) == MOST_WORDS:
                return found
    return found


def _texts(body: bytes, content_type: str) -> Iterable[str]:
    if content_type.startswith("text/event-stream"):
        return _stream_texts(body)
    try:
        return _strings(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    text = body.decode("utf-8", "replace")
    if text[:1] in "{[":  # JSON that was cut: its escapes are no words
        text = _ESCAPED.sub(" ", text)
    return [text]


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST:
        if isinstance(value, dict):
            for name, one in value.items():
                yield name
                yield from _strings(one, depth + 1)
        elif isinstance(value, list):
            for one in value:
                yield from _strings(one, depth + 1)


def _stream_texts(body: bytes) -> list[str]:
    """By place, in the order of their beginnings."""
    texts: dict[str, list[str]] = {}
    before = ""
    for event, data in read_events(body.replace(b"\r\n", b"\n")):
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        kind = event.decode("utf-8", "replace")
        for place, text in _placed(value, kind):
            if kind != before:
                texts.setdefault(place, []).append(" ")
            texts.setdefault(place, []).append(text)
        before = kind
    return ["".join(pieces) for pieces in texts.values()]


def _placed(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif depth < _DEEPEST:
        if isinstance(value, dict):
            for name, one in value.items():
                yield from _placed(one, f"{place}.{name}", depth + 1)
        elif isinstance(value, list):
            for one in value:
                yield from _placed(one, place, depth + 1)
