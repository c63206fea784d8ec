"""Who may come in on the owner's side. Everything is closed that does not stand in `OPEN_PATHS`.

A request is the owner's when it
1. comes over the Unix socket (the listener serves it `as_local_owner`; the file's mode is the lock), or
2. carries the admin key, or
3. while no admin key is set: comes from this machine, and no web page of another origin sent it.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.access.origins import host_name, host_of, is_loopback
from headgate.admin.problems import from_error, problem
from headgate.errors import AdminKeyRequired, GatewayFault

OPEN_PATHS = frozenset({"/health", "/healthz", "/ready", "/oauth/callback"})

IS_OWNER = "headgate.owner"
"""In the scope of every request behind the door; open paths tell the owner more than others."""

# A proxy on this machine makes every caller look local: then only the key tells who calls.
FORWARDING_HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "via")

_log = logging.getLogger("headgate.server")


def as_local_owner(app: ASGIApp) -> ASGIApp:
    """The app as the owner sees it who came over the control socket, or can read the database itself."""

    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headgate.local_owner": True}, receive, send)

    return owned


class Doors:
    """ASGI middleware: the owner passes, everybody else gets 401, and no failure leaves unshaped.

    `admin_key` is asked per request: the key may change while the gateway runs.
    """

    def __init__(self, app: ASGIApp, *, admin_key: Callable[[], str | None]) -> None:
        self._app = app
        self._admin_key = admin_key
        self._lock = KeyLock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except AdminKeyRequired as refusal:
            if scope["path"] in OPEN_PATHS:
                await self._guarded({**scope, IS_OWNER: False}, receive, send)
                return
            answer = from_error(refusal)
            answer.headers["www-authenticate"] = 'Bearer realm="headgate"'
            await answer(scope, receive, send)
            return
        await self._guarded({**scope, IS_OWNER: True}, receive, send)

    async def _admit(self, scope: Scope) -> None:
        """Raises AdminKeyRequired for everybody but the owner."""
        if scope.get("headgate.local_owner") is True:
            return
        headers = Headers(scope=scope)
        key = self._admin_key()
        if key is None:
            _admit_this_machine(scope, headers)
        elif not await self._lock.opens(key, offered_keys(headers)):
            raise AdminKeyRequired(
                "This route is the owner's and the request carries no valid admin key",
                hint="Send the value of the setting admin.key as `Authorization: Bearer KEY` "
                "or in the header X-Dashboard-Key.",
            )

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request edge: an unexpected exception becomes a 500 that names its log entry."""
        has_started = False

        async def watched_send(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:  # the edge of an admin request: nothing above could shape an answer
            fault_id = secrets.token_hex(8)
            _log.exception(
                "Unexpected error at %s %s [%s]",
                scope["method"],
                scope["path"],
                fault_id,
                extra={"request_id": fault_id},
            )
            if has_started:
                raise
            await _fault_answer(fault_id)(scope, receive, send)


def _fault_answer(fault_id: str) -> ASGIApp:
    return problem(
        GatewayFault.status,
        GatewayFault.code,
        f"Something unexpected went wrong inside the gateway (request {fault_id})",
        hint=f"The log has the stack trace under {fault_id}.",
        headers={"x-headgate-request-id": fault_id},
    )


# ---- the admin key -------------------------------------------------------------------------------


def offered_keys(headers: Headers) -> list[str]:
    """Every key the request carries, in whichever of the three headers."""
    offered = [headers[name].strip() for name in ("x-dashboard-key", "x-management-key") if name in headers]
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        offered.append(token.strip())
    return [key for key in offered if key]


class KeyLock:
    """Compares offered keys with the set one: plain, or an argon2 hash (`$argon2…`).

    Verifying a hash costs about 100 ms of CPU, so the digest of the last key that opened is kept,
    and no more than one hash is verified at a time, away from the event loop.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._opened_by: bytes | None = None
        self._one_at_a_time = asyncio.Lock()

    async def opens(self, key: str, offered: list[str]) -> bool:
        if not key.startswith("$argon2"):
            return any(hmac.compare_digest(_sent_bytes(one), key.encode()) for one in offered)
        for one in offered:
            digest = hashlib.sha256(self._salt + key.encode() + b"\0" + _sent_bytes(one)).digest()
            if self._opened_by is not None and hmac.compare_digest(digest, self._opened_by):
                return True
            async with self._one_at_a_time:
                if await asyncio.to_thread(_argon2_opens, key, one):
                    self._opened_by = digest
                    return True
        return False


def _argon2_opens(hashed: str, offered: str) -> bool:
    try:
        return PasswordHasher().verify(hashed, _sent_bytes(offered))
    except (VerificationError, InvalidHashError):
        return False


def _sent_bytes(value: str) -> bytes:
    """The bytes of a header value as the caller sent them: ASGI hands them out read as Latin-1."""
    return value.encode("latin-1")


# ---- no admin key set: this machine only ---------------------------------------------------------


def _admit_this_machine(scope: Scope, headers: Headers) -> None:
    """Raises AdminKeyRequired, saying which of the conditions failed."""
    peer = scope.get("client")
    host = headers.get("host", "")
    origin = headers.get("origin")
    if peer is None or not is_loopback(peer[0]):
        reason = "it comes from another machine"
    elif any(name in headers for name in FORWARDING_HEADERS):
        reason = "it came through a proxy"
    elif not is_loopback(host_name(host)):
        # A page of a foreign site whose name was pointed at 127.0.0.1 (DNS rebinding) shows here.
        reason = f"its Host header ({host or 'empty'}) is not a name of this machine"
    elif origin is not None and host_of(origin) != host.lower():
        reason = f"a page of another origin ({origin}) sent it"
    else:
        return
    raise AdminKeyRequired(
        f"No admin key is set: the owner's routes are open to this machine alone; refused because {reason}",
        hint="Set admin.key (HEADGATE_ADMIN__KEY) and send it as `Authorization: Bearer KEY`.",
    )
