"""Bodies of `/v0/management` that are no plain JSON object: forms with files, names in several spellings."""

import json
from email import policy
from email.parser import BytesParser
from typing import Any

from headgate.errors import InvalidRequest

_FORM = "multipart/form-data"


def files_of_form(content_type: str, body: bytes, *, most: int) -> list[tuple[str, bytes]] | None:
    """Name and content of each file in a form, whatever its field is called; None: the body is no form.

    Raises InvalidRequest.
    """
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return None
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    form = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    if not form.is_multipart() or form.defects:
        raise InvalidRequest(
            "The body is no whole form: a boundary is missing, or another one than the header names",
            hint="curl -F file=@NAME.json sends one; or send the file as the body, with ?name=NAME.json.",
        )
    files: list[tuple[str, bytes]] = []
    for part in form.iter_parts():
        name, content = part.get_filename(), part.get_payload(decode=True)
        if name is not None and isinstance(content, bytes):
            # Names beyond ASCII are sent as they are, and read as bytes.
            files.append((name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), content))
    if not files:
        raise InvalidRequest("The form has no file", hint="curl -F file=@NAME.json sends one.")
    names = {name for name, _ in files}
    if len(files) > most or len(names) < len(files):
        raise InvalidRequest(
            f"The form has more than {most} files, or two of one name", hint="Send them in several requests."
        )
    return files


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
