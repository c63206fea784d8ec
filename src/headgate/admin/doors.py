"""Who may come in on the owner's side. Everything is closed that does not stand in `OPEN_PATHS`.

A request is the owner's when it
1. comes over the Unix socket (the listener serves it `as_local_owner`; the file's mode is the lock), or
2. carries the admin key, or
3. while no admin key is set: comes from this machine, and no web page of another origin sent it.

What is below `/v0/management` is there only while an admin key is set, for the owner too: so the gateway that
these routes come from has it.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.access.origins import foreign_page, host_name, is_loopback
from headgate.admin.actor import ACTOR, Actor, Who
from headgate.admin.key_lock import RETRY_AFTER_SECONDS, KeyLock, offered_key
from headgate.admin.problems import from_error, nothing_at, problem
from headgate.errors import AdminKeyRequired, ClientLeft, GatewayFault, TooManyGuesses
from headgate.tasks import TaskGroup

OPEN_PATHS = frozenset({"/health", "/healthz", "/ready", "/oauth/callback"})

_MANAGEMENT = "/v0/management"

_BEGINS_A_SIGN_IN = "/oauth/authorize"

IS_OWNER = "headgate.owner"
"""In the scope of every request behind the door; open paths tell the owner more than others."""

LEFT = "headgate.left"
"""In the scope of a request that waits for `100 Continue`: an event, set when its client has gone. Who
listened to it would ask for its body with that."""

# A proxy on this machine makes every caller look local: then only the key tells who calls.
FORWARDING_HEADERS = (
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"),
    *("cf-connecting-ip", "true-client-ip", "x-client-ip"),
)

_MOST_KEPT_BYTES = 65_536
"""Of a body, while its request waits at the door."""

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
        self.key_lock = KeyLock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heard = _Heard(receive)
        address = _address(scope)
        try:
            who = await self._admit(scope, heard)
        except ClientLeft:
            return
        except (AdminKeyRequired, TooManyGuesses) as refusal:
            # Its frames lead back to it, and to the body: without them the memory is free at once.
            refusal.with_traceback(None)
            if self._is_hidden(scope["path"]):
                await nothing_at(scope["path"])(scope, heard.receive, send)
                return
            if scope["path"] in OPEN_PATHS:
                ACTOR.set(Actor(Who.SIGN_IN, address))  # the only one of them that changes anything
                await self._guarded({**scope, IS_OWNER: False}, heard.receive, send)
                return
            answer = from_error(refusal)
            if isinstance(refusal, TooManyGuesses):
                answer.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
            else:
                answer.headers["www-authenticate"] = 'Bearer realm="headgate"'
            await answer(scope, heard.receive, send)
            return
        if self._is_hidden(scope["path"]):
            await nothing_at(scope["path"])(scope, heard.receive, send)
            return
        ACTOR.set(Actor(who, None if who is Who.LOCAL else address))
        await self._guarded({**scope, IS_OWNER: True}, heard.receive, send)

    def _is_hidden(self, path: str) -> bool:
        """Asked behind the door: a key that is set or taken away meanwhile counts."""
        is_management = path == _MANAGEMENT or path.startswith(_MANAGEMENT + "/")
        return is_management and self._admin_key() is None

    async def _admit(self, scope: Scope, heard: "_Heard") -> Who:
        """Raises AdminKeyRequired for everybody but the owner, TooManyGuesses and ClientLeft."""
        if scope.get("headgate.local_owner") is True:
            return Who.LOCAL
        headers = Headers(scope=scope)
        offered, key = offered_key(headers), self._admin_key()
        is_open: bool | None = None
        while key is not None and (is_open := self.key_lock.answer(key, offered)) is None:
            verifying = self.key_lock.verify(key, offered or "", _address(scope) or "")
            left = scope.get(LEFT) or (asyncio.Event() if "expect" in headers else None)
            is_open = await heard.unless_gone(verifying, left)
            if key == self._admin_key():
                break
            key = self._admin_key()  # it was changed meanwhile: only the one in force opens
        if key is None:
            _admit_this_machine(scope, headers)
            return Who.THIS_MACHINE
        if not is_open:
            raise AdminKeyRequired(
                "This route is the owner's and the request carries no valid admin key",
                hint="Send the value of the setting admin.key as `Authorization: Bearer KEY` "
                "or in the header X-Dashboard-Key.",
            )
        return Who.ADMIN_KEY

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


class _Heard:
    """A request's body while the request waits: what comes is kept for the app, and an end is noticed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []

    async def receive(self) -> Message:
        return self._kept.pop(0) if self._kept else await self._receive()

    async def unless_gone(self, work: Coroutine[Any, Any, bool], left: asyncio.Event | None) -> bool:
        """What `work` finds out. Raises ClientLeft, and gives the work up, when nobody waits for it.

        `left`: what tells so where the body must not be asked for.
        """
        tasks = TaskGroup()
        working = tasks.spawn(_outcome(work), name="a key at the door")
        going = left.wait() if left is not None else self._is_gone()
        watching = tasks.spawn(going, name="a client at the door")
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and watching.result():
                raise ClientLeft("The client left before its key was looked at")
            outcome: bool | TooManyGuesses = await working
            if isinstance(outcome, TooManyGuesses):
                raise outcome
            return outcome
        finally:
            await tasks.cancel()

    async def _is_gone(self) -> bool:
        """After the end of the connection; False where more of the body came than is kept."""
        size = 0
        while size < _MOST_KEPT_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return True
            self._kept.append(message)
            size += len(message.get("body", b""))
        return False


async def _outcome(work: Coroutine[Any, Any, bool]) -> bool | TooManyGuesses:
    """A refusal as a value: it is no failure of the task."""
    try:
        return await work
    except TooManyGuesses as refusal:
        return refusal


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None


def _fault_answer(fault_id: str) -> ASGIApp:
    return problem(
        GatewayFault.status,
        GatewayFault.code,
        f"Something unexpected went wrong inside the gateway (request {fault_id})",
        hint=f"The log has the stack trace under {fault_id}.",
        headers={"x-headgate-request-id": fault_id},
    )


# ---- no admin key set: this machine only ---------------------------------------------------------


def _admit_this_machine(scope: Scope, headers: Headers) -> None:
    """Raises AdminKeyRequired, saying which of the conditions failed."""
    peer = scope.get("client")
    host = headers.get("host", "")
    if peer is None or not is_loopback(peer[0]):
        reason = "it comes from another machine"
    elif any(name in headers for name in FORWARDING_HEADERS):
        reason = "it came through a proxy"
    elif not is_loopback(host_name(host)):
        # A page of a foreign site whose name was pointed at 127.0.0.1 (DNS rebinding) shows here.
        reason = f"its Host header ({host or 'empty'}) is not a name of this machine"
    elif not _is_visit(scope, headers) and (page := foreign_page(scope["headers"], host)) is not None:
        reason = f"a page of another origin sent it ({page})"
    else:
        return
    raise AdminKeyRequired(
        f"No admin key is set: the owner's routes are open to this machine alone; refused because {reason}",
        hint="Set admin.key (HEADGATE_ADMIN__KEY) and send it as `Authorization: Bearer KEY`.",
    )


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Somebody followed a link to here: nothing is changed, and the page with the link reads nothing.

    But for a sign-in: where its person agreed once, a provider asks no more, and the link alone would have
    brought an account in, or other tokens for one that is there.
    """
    modes, targets = headers.getlist("sec-fetch-mode"), headers.getlist("sec-fetch-dest")
    is_top = modes == ["navigate"] and targets == ["document"]
    is_look = scope["method"] in ("GET", "HEAD") and scope["path"] != _BEGINS_A_SIGN_IN
    return is_top and is_look and "origin" not in headers
