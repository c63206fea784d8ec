"""Bodies of `/v0/management` that are no plain JSON object: forms with files, names in several spellings.

Forms are read here and not by `email`, whose time for an odd one grows with its square: that would hold
up every request of every client.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from headgate.errors import InvalidRequest

_FORM = "multipart/form-data"
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s";]{1,200}))', re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_MOST_HEAD_BYTES = 4_096
"""Of one part: a name of 1024 characters fits, however it is written."""
_DISPOSITION = re.compile(rb"^content-disposition:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PARAMETER = re.compile(rb';[ \t]*([^\s=;"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))')
_ESCAPED = re.compile(rb'\\(["\\])')


def files_of_form(content_type: str, body: bytes, *, most: int) -> list[tuple[str, bytes]] | None:
    """Name and content of each file in a form, whatever its field is called; None: the body is no form.

    Raises InvalidRequest.
    """
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return None
    files: list[tuple[str, bytes]] = []
    parts = 0
    for head, content in _parts_of(content_type, body):
        parts += 1
        if (name := _file_name(head)) is not None:
            files.append((name, content))
        if parts > 2 * most:
            break  # whatever they are: too many
    if not files:
        raise InvalidRequest("The form has no file", hint="curl -F file=@NAME.json sends one.")
    names = {name for name, _ in files}
    if len(files) > most or parts > 2 * most or len(names) < len(files):
        raise InvalidRequest(
            f"The form has more than {most} files, or two of one name", hint="Send them in several requests."
        )
    return files


def _parts_of(content_type: str, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each (RFC 2046, section 5.1.1). Raises InvalidRequest."""
    found = _BOUNDARY.search(content_type)
    boundary = (found[1] or found[2]).encode("latin-1", "replace") if found else None
    start = None
    if boundary is not None:
        for line in re.finditer(rb"(?:\A|\r?\n)--%b(--)?[ \t]*(?=\r?\n|\Z)" % re.escape(boundary), body):
            if start is not None:
                blank = _END_OF_HEAD.search(body, start, min(line.start(), start + _MOST_HEAD_BYTES))
                if blank is None:
                    break
                yield body[start : blank.start()], body[blank.end() : line.start()]
            start = line.end()
            if line[1]:
                return
    raise InvalidRequest(
        "The body is no whole form: a boundary is missing, or another one than the header names",
        hint="curl -F file=@NAME.json sends one; or send the file as the body, with ?name=NAME.json.",
    )


def _file_name(head: bytes) -> str | None:
    """None: the part is no file."""
    line = _DISPOSITION.search(head)
    said = {found[1].lower(): found for found in _PARAMETER.finditer(line[1] if line else b"")}
    if (coded := said.get(b"filename*")) is not None and coded[3]:  # RFC 5987: utf-8''a%20b.json
        return unquote_to_bytes(coded[3].rpartition(b"'")[2]).decode("utf-8", "replace")
    if (plain := said.get(b"filename")) is None:
        return None
    # Names beyond ASCII are sent as they are.
    return _ESCAPED.sub(rb"\1", plain[2] if plain[2] is not None else plain[3]).decode("utf-8", "replace")


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
