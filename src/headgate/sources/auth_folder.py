"""An auth folder changed on its owner's word: files put in, taken out, switched off and on. For a thread.

What is in a file is told without its tokens; a link among them is replaced or removed, never followed out of
the folder.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from headgate.config import texts
from headgate.config.reading import read_bytes
from headgate.errors import HeadgateError, InvalidRequest, NotFound, StorageError
from headgate.sources import auth_files
from headgate.sources.json_text import JsonText, Malformed
from headgate.sources.survey import MOST_BYTES
from headgate.sources.write_back import put_file, sync_folder

SUFFIX = ".json"
_MOST_NAME_BYTES = 200
"""Of 255: a name for the file's part in writing is longer."""
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class AuthFile:
    name: str
    size: int
    modified_at: float
    type: str = ""
    """The provider, as the other gateway names it."""
    email: str = ""
    is_disabled: bool = False
    wrong: str = ""
    """Why nothing can be made of it."""


def files_in(folder: File) -> list[AuthFile]:
    """By name. Raises StorageError."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if _is_listed(one))
    except OSError as error:
        raise _failed("read", folder, error) from error
    if len(names) > _MOST_FILES:
        raise StorageError(f"{folder} holds more than {_MOST_FILES} files", hint="Take out what is not used.")
    return [one for name in names for one in _described(folder / name)]


def put(folder: File, name: str, content: bytes) -> str:
    """A new file, or in an old one's place; the provider of it. Raises InvalidRequest, StorageError."""
    file = folder / checked_name(name)
    text = _read(name, content)
    if not isinstance(text.value, dict) or not isinstance(text.value.get("type"), str):
        raise InvalidRequest(
            f'{name} is no sign-in: it has to be an object with "type": "claude" and its tokens',
            hint="Send the file as the other gateway wrote it.",
        )
    try:
        auth_files.read(text, file)
    except Malformed as wrong:
        raise _malformed(name, wrong) from None
    try:
        put_file(file, content)
    except OSError as error:
        raise _failed("written", file, error) from error
    return str(text.value["type"])


def remove(folder: File, name: str) -> None:
    """Raises InvalidRequest, NotFound, StorageError."""
    file = folder / checked_name(name)
    try:
        file.unlink()
    except FileNotFoundError:
        raise _missing(name, folder) from None
    except OSError as error:
        raise _failed("removed", file, error) from error
    sync_folder(folder)


def set_disabled(folder: File, name: str, *, is_disabled: bool) -> None:
    """All else in the file stays as it stands. Raises InvalidRequest, NotFound, StorageError."""
    file = folder / checked_name(name)
    if file.is_symlink():
        raise InvalidRequest(
            f"{name} is a link to a file elsewhere, which stays as it is",
            hint="`headgate account pause NAME` does the same for this gateway.",
        )
    try:
        text = _read(name, read_bytes(file, MOST_BYTES))
        if not isinstance(text.value, dict):
            raise InvalidRequest(f"{name} is no sign-in", hint="Upload a good one in its place.")
        if (text.value.get("disabled") is True) is not is_disabled:
            put_file(file, text.changed({("disabled",): is_disabled}))
    except FileNotFoundError:
        raise _missing(name, folder) from None
    except OSError as error:
        raise _failed("changed", file, error) from error


def checked_name(name: str) -> str:
    """A name in this folder and nowhere else. Raises InvalidRequest."""
    is_plain = name.isprintable() and not texts.is_broken(name) and not set(name) & set("/\\:")
    is_fit = name.endswith(SUFFIX) and not name.startswith(".") and len(name) > len(SUFFIX)
    if is_plain and is_fit and len(name.encode()) <= _MOST_NAME_BYTES:
        return name
    raise InvalidRequest(
        "The name of a file is wrong: it must end with .json and hold no / \\ : and no dot in front",
        hint="Such as claude-me@example.com.json.",
    )


def _is_listed(entry: "os.DirEntry[str]") -> bool:
    return entry.name.endswith(SUFFIX) and not entry.name.startswith(".") and not entry.is_dir()


def _described(file: File) -> Iterator[AuthFile]:
    """Nothing for one that has gone meanwhile."""
    name = file.name.encode("utf-8", "backslashreplace").decode()
    try:
        found = file.stat()
        content = read_bytes(file, MOST_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        yield AuthFile(name, 0, 0.0, wrong=f"It cannot be read: {error.strerror}")
        return
    whole: Any = None
    wrong = ""
    try:
        text = JsonText(content)
        whole = text.value
        auth_files.read(text, file)
    except Malformed as error:
        wrong = str(error)
    fields = whole if isinstance(whole, dict) else {}
    yield AuthFile(
        name,
        found.st_size,
        found.st_mtime,
        _word(fields.get("type")),
        _word(fields.get("email")),
        fields.get("disabled") is True,
        wrong,
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 256 and value.isprintable() else ""


def _read(name: str, content: bytes) -> JsonText:
    try:
        return JsonText(content)
    except Malformed as wrong:
        raise _malformed(name, wrong) from None


def _malformed(name: str, wrong: Malformed) -> HeadgateError:
    return InvalidRequest(
        f"Failed to parse {name}: line {wrong.line} column {wrong.column}: {wrong.words}",
        hint="Send the file as the other gateway wrote it.",
    )


def _missing(name: str, folder: File) -> HeadgateError:
    return NotFound(f"There is no file {name} in {folder}", hint="GET /v0/management/auth-files lists them.")


def _failed(what: str, path: File, error: OSError) -> HeadgateError:
    return StorageError(
        f"{path} cannot be {what}: {error.strerror or error}",
        hint="Let the user that runs the gateway write to that folder, or change the files at their origin.",
    )
