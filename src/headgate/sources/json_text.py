"""A JSON text with the place of every value: for complaints, and for changes that leave the rest alone."""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple, NoReturn

Path = tuple[str | int, ...]
"""Names and numbers that lead to a value: `("accounts", "work", "accessToken")`."""

_DEEPEST = 64
_SPACE = re.compile(r"[ \t\r\n]*")
_SPACE_BEFORE = re.compile(r"[ \t\r\n]*\Z")
_LINE_END = re.compile(r"\n")
_PLAIN = re.compile(r"[^,\]}\s]*")
_BOM = b"\xef\xbb\xbf"


class Malformed(Exception):
    """`words` never repeat a value: it may be a secret."""

    def __init__(self, words: str, line: int, column: int) -> None:
        super().__init__(f"line {line} column {column}: {words}")
        self.words, self.line, self.column = words, line, column


class _Span(NamedTuple):
    start: int
    end: int


class JsonText:
    """Raises Malformed for what is no JSON as the standard has it, in UTF-8."""

    def __init__(self, content: bytes) -> None:
        self._has_bom = content.startswith(_BOM)
        self._text = _decoded(content)
        self._spans: dict[Path, _Span] = {}
        self._names: dict[Path, int] = {}
        """Where the name of a field stands."""
        self._line_starts: list[int] | None = None
        try:
            self.value: Any = json.loads(self._text, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise Malformed(error.msg, error.lineno, error.colno) from None
        except RecursionError:
            raise Malformed("the nesting is too deep", 1, 1) from None
        except ValueError as error:
            raise Malformed(str(error), 1, 1) from None
        self._scan((), self._skip(0))

    def malformed(self, path: Path, words: str) -> Malformed:
        """The complaint about a value; where it is missing, about what should hold it."""
        while path not in self._spans:
            path = path[:-1]
        return Malformed(words, *self._place(self._spans[path].start))

    def changed(self, changes: Mapping[Path, Any]) -> bytes:
        """The text with these values in the place of others. A field that an object has not comes behind its
        last one."""
        edits: list[tuple[int, int, str]] = []
        for path, value in changes.items():
            written = json.dumps(value, ensure_ascii=False)
            if path in self._spans:
                edits.append((*self._spans[path], written))
            else:
                at, before = self._behind_fields(path[:-1])
                edits.append((at, at, f"{before}{json.dumps(path[-1])}: {written}"))
        text = self._text
        for start, end, written in sorted(edits, key=lambda edit: edit[0], reverse=True):
            text = text[:start] + written + text[end:]
        return (_BOM if self._has_bom else b"") + text.encode()

    def _behind_fields(self, path: Path) -> tuple[int, str]:
        """Where another field of an object goes, and what sets it off from the one before."""
        fields = [one for one in self._names if one[:-1] == path]
        if not fields:
            return self._spans[path].start + 1, ""
        last = fields[-1]
        space = _SPACE_BEFORE.search(self._text[: self._names[last]])
        return self._spans[last].end, "," + (space[0] if space else "")

    # ---- the scan: the text is known to be right ---------------------------------------------------

    def _scan(self, path: Path, at: int) -> int:
        """From the first character of a value to behind its last one."""
        if len(path) > _DEEPEST:
            raise Malformed("the nesting is too deep", *self._place(at))
        text = self._text
        if text[at] == "{":
            end = self._scan_object(path, at)
        elif text[at] == "[":
            end = self._scan_list(path, at)
        elif text[at] == '"':
            end = scanstring(text, at + 1)[1]
        else:
            found = _PLAIN.match(text, at)
            assert found is not None
            end = found.end()
        self._spans[path] = _Span(at, end)
        return end

    def _scan_object(self, path: Path, at: int) -> int:
        at = self._skip(at + 1)
        names: set[str] = set()
        while self._text[at] != "}":
            name, end = scanstring(self._text, at + 1)
            if name in names:
                raise Malformed("two fields of one object have the same name", *self._place(at))
            names.add(name)
            self._names[(*path, name)] = at
            at = self._skip(self._skip(end) + 1)  # over the colon
            at = self._skip(self._scan((*path, name), at))
            if self._text[at] == ",":
                at = self._skip(at + 1)
        return at + 1

    def _scan_list(self, path: Path, at: int) -> int:
        at, number = self._skip(at + 1), 0
        while self._text[at] != "]":
            at = self._skip(self._scan((*path, number), at))
            number += 1
            if self._text[at] == ",":
                at = self._skip(at + 1)
        return at + 1

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        assert found is not None
        return found.end()

    def _place(self, at: int) -> tuple[int, int]:
        if self._line_starts is None:  # thousands of entries may be complained about
            self._line_starts = [0, *(found.end() for found in _LINE_END.finditer(self._text))]
        line = bisect_right(self._line_starts, at)
        return line, at - self._line_starts[line - 1] + 1


def _decoded(content: bytes) -> str:
    try:
        return content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        before = bytes(error.object[: error.start])
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise Malformed("this is not UTF-8 text", line, column) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
