"""Text that nothing can hold is refused before any route sees it: NUL, and halves of characters.

JSON can spell both (`\\u0000`, `\\ud800`); a database, a file or an answer fails on them later.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.admin.problems import FieldProblem, from_error, problem
from headgate.config import texts
from headgate.errors import HeadgateError, InvalidRequest


class WholeTexts:
    """ASGI middleware behind the door. Bodies here are small: `Outside` bounds them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body, receive = await _read(scope, receive)
        except HeadgateError as error:
            await from_error(error)(scope, receive, send)
            return
        if wrong := [*_wrong_in_address(scope), *_wrong_in_body(body)]:
            detail = "; ".join(f"{one.field}: {one.message}" for one in wrong)
            hint = "Correct the fields named."
            answer = problem(400, InvalidRequest.code, detail, hint=hint, errors=wrong)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _read(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a `receive` that gives it once more."""
    if scope["method"] in ("GET", "HEAD"):
        return b"", receive
    parts, message = [], await receive()
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
        message = await receive()
    body = b"".join(parts)
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    if message["type"] != "http.request":  # the client left before the end
        waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return body, again


def _wrong_in_address(scope: Scope) -> Iterator[FieldProblem]:
    if "\0" in scope["path"]:
        yield _wrong("path")
    if b"\0" in unquote_to_bytes(scope["query_string"]):
        yield _wrong("query")


def _wrong_in_body(body: bytes) -> Iterator[FieldProblem]:
    """Beyond escapes only bytes that are no UTF-8 can bring them; JSON itself forbids a plain NUL."""
    try:
        body.decode()
    except UnicodeDecodeError:
        yield FieldProblem(field="body", message="is no UTF-8 text")
        return
    if b"\\u" not in body:
        return
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return  # for the route to refuse, with the place
    for field in _broken(content, ""):
        yield _wrong(field or "body")


def _broken(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, str):
        if texts.is_broken(node):
            yield path
    elif isinstance(node, dict):
        for name, value in node.items():
            inner = f"{path}.{texts.shown(name)}" if path else texts.shown(name)
            if texts.is_broken(name):
                yield inner
            else:
                yield from _broken(value, inner)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _broken(value, f"{path}.{number}" if path else str(number))


def _wrong(field: str) -> FieldProblem:
    return FieldProblem(field=field, message=texts.WORDS)
