"""Who may come in on the owner's side. Everything is closed that does not stand in `OPEN_PATHS`.

A request is the owner's when it
1. comes over the Unix socket (the listener serves it `as_local_owner`; the file's mode is the lock), or
2. carries the admin key, or
3. carries the cookie of a log-in and no key, no page of another origin sent it and, where it changes
   something, it has the log-in's other token, or
4. while no admin key is set: comes from this machine, and no web page of another origin sent it.

What is below `/v0/management` is there only while an admin key is set, for the owner too: so the gateway that
these routes come from has it.
"""

import asyncio
import logging
import secrets

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.access.origins import foreign_page, host_name
from headgate.admin.actor import ACTOR, Actor, Who
from headgate.admin.entrance import (
    LOGGED_IN,
    LOOKS,
    Entrance,
    LoggedIn,
    address_of,
    refuse_forged,
    refuse_others_pages,
)
from headgate.admin.heard import Heard
from headgate.admin.key_lock import offered_key
from headgate.admin.outside import bounded
from headgate.admin.problems import from_error, nothing_at, problem
from headgate.admin.sessions import tokens_in
from headgate.config.exposure import is_loopback
from headgate.errors import (
    AdminKeyRequired,
    ClientLeft,
    CsrfTokenRequired,
    ForbiddenOrigin,
    GatewayFault,
    HeadgateError,
    TooManyGuesses,
)

LOG_IN = "/api/session"

OPEN_PATHS = frozenset({"/health", "/healthz", "/ready", "/v1/metrics/providers", "/oauth/callback", LOG_IN})

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

_MOST_OF_A_STRANGER = 8_192
"""Of a body to an open path: the log-in takes one."""

_OPENED_UNDER = "headgate.opened_under"
"""In the scope of a request that came in without a cookie: the setting admin.key as it was then."""

_log = logging.getLogger("headgate.server")


def as_local_owner(app: ASGIApp) -> ASGIApp:
    """The app as the owner sees it who came over the control socket, or can read the database itself."""

    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headgate.local_owner": True}, receive, send)

    return owned


class Doors:
    """ASGI middleware: the owner passes, everybody else gets 401, and no failure leaves unshaped."""

    def __init__(self, app: ASGIApp, *, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heard = Heard(receive)
        address = address_of(scope)
        try:
            who = await self._admit(scope, heard)
        except ClientLeft:
            return
        except (AdminKeyRequired, CsrfTokenRequired, ForbiddenOrigin, TooManyGuesses) as refusal:
            # Its frames lead back to it, and to the body: without them the memory is free at once.
            refusal.with_traceback(None)
            if self._is_hidden(scope["path"]):
                await nothing_at(scope["path"])(scope, heard.receive, send)
                return
            if _is_open_to_strangers(scope, refusal):
                ACTOR.set(Actor(Who.SIGN_IN, address))  # the only one of them that changes anything
                body = bounded(heard.receive, _MOST_OF_A_STRANGER)
                await self._guarded({**scope, IS_OWNER: False}, body, send)
            else:
                await from_error(refusal)(scope, heard.receive, send)
            return
        if self._is_hidden(scope["path"]):
            await nothing_at(scope["path"])(scope, heard.receive, send)
            return
        ACTOR.set(Actor(who, None if who is Who.LOCAL else address))
        await self._guarded({**scope, IS_OWNER: True}, heard.receive, send)

    def _is_hidden(self, path: str) -> bool:
        """Asked behind the door: a key that is set or taken away meanwhile counts."""
        is_management = path == _MANAGEMENT or path.startswith(_MANAGEMENT + "/")
        return is_management and self._entrance.key is None

    async def _admit(self, scope: Scope, heard: Heard) -> Who:
        """Raises AdminKeyRequired for everybody but the owner, CsrfTokenRequired and ForbiddenOrigin for what
        somebody else sends by his cookie, TooManyGuesses and ClientLeft."""
        if scope.get("headgate.local_owner") is True:
            return Who.LOCAL
        headers = Headers(scope=scope)
        offered = offered_key(headers)
        left = scope.get(LEFT) or (asyncio.Event() if "expect" in headers else None)
        is_open = await self._entrance.opens(offered, scope, heard, left)
        if is_open is None:
            _admit_this_machine(scope, headers)
            scope[_OPENED_UNDER] = None
            return Who.THIS_MACHINE
        if is_open:
            scope[_OPENED_UNDER] = self._entrance.key
            return Who.ADMIN_KEY
        if offered is None and self._is_logged_in(scope, headers):
            return Who.SESSION
        raise AdminKeyRequired(
            "This route is the owner's and the request carries no valid admin key"
            + (", and its log-in has ended" if tokens_in(headers.getlist("cookie")) else ""),
            hint="Send the value of the setting admin.key as `Authorization: Bearer KEY` "
            f"or in the header X-Dashboard-Key; a page logs in by POST {LOG_IN}.",
        )

    def _is_logged_in(self, scope: Scope, headers: Headers) -> bool:
        """By a cookie that its own pages sent. A log-in itself asks for none."""
        if scope["path"] == LOG_IN and scope["method"] == "POST":
            return False
        if (logged_in := self._entrance.logged_in(headers)) is None:
            return False
        if not _is_visit(scope, headers):
            refuse_others_pages(scope)
        refuse_forged(scope, logged_in.token)
        scope[LOGGED_IN] = logged_in
        return True

    def _is_over(self, scope: Scope) -> bool:
        """What let the request in opens nothing any more."""
        if _OPENED_UNDER in scope:
            return bool(scope[_OPENED_UNDER] != self._entrance.key)
        logged_in: LoggedIn | None = scope.get(LOGGED_IN)
        return logged_in is not None and self._entrance.is_over(logged_in)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request edge: an unexpected exception becomes a 500 that names its log entry. A stream says
        nothing more once the log-in that began it has ended, or the admin key is another one."""
        has_started = is_cut = False

        async def watched_send(message: Message) -> None:
            nonlocal has_started, is_cut
            has_started = has_started or message["type"] == "http.response.start"
            if message.get("more_body") and self._is_over(scope):
                is_cut = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise ClientLeft("What opened the stream has ended")
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:  # the edge of an admin request: nothing above could shape an answer
            if is_cut:
                return
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


def _is_open_to_strangers(scope: Scope, refusal: HeadgateError) -> bool:
    """Whoever asks by his cookie and may not change what he wants to is no stranger."""
    is_forged = isinstance(refusal, CsrfTokenRequired | ForbiddenOrigin) and scope["method"] not in LOOKS
    return scope["path"] in OPEN_PATHS and not is_forged


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
