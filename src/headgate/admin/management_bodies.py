"""Bodies of `/v0/management` that are no plain JSON object: forms with files, names in several spellings.

Forms are read by python-multipart and not by `email`, whose time for an odd one grows with its square: that
would hold up every request of every client.
"""

import json
from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from headgate.errors import InvalidRequest

_FORM = "multipart/form-data"
_MOST_HEADERS = 8
_MOST_HEADER_BYTES = 4_096
"""A file's name of 1024 characters fits, however it is written."""


def files_of_form(content_type: str, body: bytes, *, most: int) -> list[tuple[str, bytes]] | None:
    """Name and content of each file in a form, whatever its field is called; None: the body is no form.

    Raises InvalidRequest.
    """
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return None
    form = _Form(parse_options_header(content_type)[1].get(b"boundary", b""), most)
    form.read(body)
    if not form.files:
        raise InvalidRequest("The form has no file", hint="curl -F file=@NAME.json sends one.")
    if len({name for name, _ in form.files}) < len(form.files):
        raise _too_many(most)
    return form.files


class _Form:
    """Gathers the files from what the parser finds (RFC 7578)."""

    def __init__(self, boundary: bytes, most: int) -> None:
        self.files: list[tuple[str, bytes]] = []
        self._boundary = boundary
        self._most = most
        self._parts = 0
        self._is_whole = False
        self._field, self._value = bytearray(), bytearray()
        self._name: str | None = None
        """Of the file whose content comes; None: the part is no file."""
        self._content = bytearray()

    def read(self, body: bytes) -> None:
        """Raises InvalidRequest."""
        try:
            parser = MultipartParser(
                self._boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._comes(self._field),
                    "on_header_value": self._comes(self._value),
                    "on_header_end": self._header_ends,
                    "on_part_data": self._content_comes,
                    "on_part_end": self._part_ends,
                    "on_end": self._form_ends,
                },
                max_header_count=_MOST_HEADERS,
                max_header_size=_MOST_HEADER_BYTES,
            )
            parser.write(body)
        except FormParserError:
            self._is_whole = False
        if not self._boundary or not self._is_whole:
            raise InvalidRequest(
                "The body is no whole form: a boundary is missing, or another one than the header names",
                hint="curl -F file=@NAME.json sends one; or send the file as the body, with ?name=NAME.json.",
            )

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > 2 * self._most:
            raise _too_many(self._most)
        self._name = None
        self._content.clear()

    @staticmethod
    def _comes(kept: bytearray) -> Callable[[bytes, int, int], None]:
        def come(data: bytes, start: int, end: int) -> None:
            kept.extend(memoryview(data)[start:end])

        return come

    def _header_ends(self) -> None:
        if self._field.lower() == b"content-disposition":
            said = parse_options_header(bytes(self._value))[1].get(b"filename")
            # Names beyond ASCII are sent as they are.
            self._name = None if said is None else said.decode("utf-8", "replace")
        self._field.clear()
        self._value.clear()

    def _content_comes(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._content.extend(memoryview(data)[start:end])

    def _part_ends(self) -> None:
        if self._name is not None:
            self.files.append((self._name, bytes(self._content)))
            if len(self.files) > self._most:
                raise _too_many(self._most)

    def _form_ends(self) -> None:
        self._is_whole = True


def _too_many(most: int) -> InvalidRequest:
    return InvalidRequest(
        f"The form has more than {most} files, or two of one name", hint="Send them in several requests."
    )


def names_of_body(body: bytes, *, most: int) -> list[str]:
    """`{"name": …}`, `{"names": […]}` or `[…]`; none for an empty body. Raises InvalidRequest."""
    if not body.strip():
        return []
    try:
        sent: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The body is no JSON", hint='Send {"names": ["a.json"]}, or ?name=a.json.'
        ) from None
    names = sent
    if isinstance(sent, dict):
        several = sent.get("names") or []
        one = sent.get("name")
        names = [*([one] if one else []), *several] if isinstance(several, list) else several
    if not isinstance(names, list) or len(names) > most or not all(isinstance(one, str) for one in names):
        raise InvalidRequest(
            f"The names must be a list of at most {most} texts", hint='Send {"names": ["a.json"]}.'
        )
    return names
