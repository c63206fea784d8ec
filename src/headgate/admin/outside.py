"""What never gets as far as the door: paths that are nobody's, and bodies larger than any owner's."""

import logging
import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.access.allowance import Allowance
from headgate.admin.problems import from_error
from headgate.clock import Clock
from headgate.dialects.anthropic import write_error
from headgate.errors import RequestTooLarge, UnknownPath

MAX_BODY_BYTES = 1_048_576
"""Of a request of the owner: settings, accounts and keys are some KiB."""

_OWNERS = ("/api/", "/oauth/", "/v0/management", "/v1/metrics/")
"""Below these a path that does not exist is the owner's mistake."""
_PAGES = frozenset(
    {"/", "/dashboard", "/accounts", "/requests", "/conversations", "/analytics", "/usage", "/keys"}
    | {"/models", "/logs", "/doctor", "/settings", "/favicon.ico", "/robots.txt", "/metrics"}
)
"""The dashboard's, and what browsers ask for by themselves."""

_log = logging.getLogger("headgate.server")


class Outside:
    """ASGI middleware in front of the door."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._strangers = Allowance()
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif not self._is_ours(scope["path"]):
            is_recorded = self._strangers.take(self._clock.monotonic())
            await _unknown_path(scope["path"], is_recorded=is_recorded)(scope, receive, send)
        elif int(Headers(scope=scope).get("content-length", "0")) > MAX_BODY_BYTES:
            await from_error(_too_large(MAX_BODY_BYTES))(scope, receive, send)
        else:
            await self._app(scope, bounded(receive), send)

    def _is_ours(self, path: str) -> bool:
        if path.startswith(_OWNERS) or path in _PAGES:
            return True
        return any(route.path_regex.match(path) for route in self._routes)


def _unknown_path(path: str, *, is_recorded: bool) -> Response:
    """In the dialect of the clients: it is one of them that has a wrong base URL."""
    request_id = f"hgp_{secrets.token_hex(8)}"
    error = UnknownPath(
        f"Provider cannot handle path: {path[:500]}",
        hint="Point the client at the gateway's address alone; it adds /v1/messages itself.",
    )
    if is_recorded:
        _log.info("%s", error.message, extra={"request_id": request_id})
    return Response(
        write_error(error, request_id=request_id),
        status_code=error.status,
        media_type="application/json",
        headers={"x-headgate-error": error.code, "x-headgate-request-id": request_id},
    )


def bounded(receive: Receive, most: int = MAX_BODY_BYTES) -> Receive:
    """Raises RequestTooLarge when a body grows beyond the limit, announced or not."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise _too_large(most)
        return message

    return counted


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The body of a request to the owner's side is larger than {most} bytes.",
        hint="Send it in several requests.",
    )
