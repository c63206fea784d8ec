"""What opens the owner's side: the admin key, and what a log-in with it has left. Asked by the door, and by
the log-in itself, so that a guess costs the same at both.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from headgate.access.origins import foreign_page
from headgate.admin.heard import Heard
from headgate.admin.key_lock import KeyLock
from headgate.admin.sessions import Session, Sessions, csrf_token_of, tokens_in
from headgate.clock import Clock
from headgate.errors import CsrfTokenRequired, ForbiddenOrigin

CSRF_HEADER = "x-headgate-csrf"

LOGGED_IN = "headgate.logged_in"
"""In the scope of a request that came in by its cookie: a LoggedIn."""

LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """By the cookie of a request."""

    token: str
    session: Session


class Entrance:
    """`admin_key` is asked each time: the key may change while the gateway runs."""

    def __init__(self, admin_key: Callable[[], str | None], clock: Clock) -> None:
        self._admin_key = admin_key
        self.key_lock = KeyLock()
        self.sessions = Sessions(clock)

    @property
    def key(self) -> str | None:
        return self._admin_key()

    async def opens(
        self, offered: str | None, scope: Scope, heard: Heard, left: asyncio.Event | None = None
    ) -> bool | None:
        """Whether the key that a request offers is the one in force; None: there is none. Raises
        TooManyGuesses and ClientLeft."""
        key = self.key
        is_open: bool | None = None
        while key is not None and (is_open := self.key_lock.answer(key, offered)) is None:
            verifying = self.key_lock.verify(key, offered or "", address_of(scope) or "")
            is_open = await heard.unless_gone(verifying, left)
            if key == self.key:
                break
            key = self.key  # it was changed meanwhile: only the one in force opens
        return None if key is None else bool(is_open)

    def logged_in(self, headers: Headers) -> LoggedIn | None:
        """By the first cookie of a session that is open."""
        for token in tokens_in(headers.getlist("cookie")):
            if (session := self.sessions.find(self.key, token)) is not None:
                return LoggedIn(token, session)
        return None

    def is_over(self, logged_in: LoggedIn) -> bool:
        return not self.sessions.holds(self.key, logged_in.token)


def refuse_others_pages(scope: Scope) -> None:
    """Raises ForbiddenOrigin for what a page of another origin sent: the cookie is the browser's to add."""
    page = foreign_page(scope["headers"], Headers(scope=scope).get("host", ""))
    if page is not None:
        raise ForbiddenOrigin(
            f"A page of another origin sent this ({page}), and who is logged in here did not",
            hint="Use the address that the dashboard was opened at; a proxy in between has to hand on Host. "
            "Programs send the admin key in a header.",
        )


def refuse_forged(scope: Scope, token: str) -> None:
    """Raises CsrfTokenRequired for a change without the token that the log-in answered: a page that cannot
    read our answers cannot know it."""
    if scope["method"] in LOOKS:
        return
    sent = Headers(scope=scope).getlist(CSRF_HEADER)
    wanted = csrf_token_of(token).encode()
    if len(sent) != 1 or not hmac.compare_digest(sent[0].encode("latin-1"), wanted):
        raise CsrfTokenRequired(
            "The request changes something by the cookie of a log-in alone, "
            + ("and its X-Headgate-CSRF is not that of the log-in" if sent else "without X-Headgate-CSRF"),
            hint="Send the csrf_token that POST /api/session answered, and GET /api/session gives, in the "
            "header X-Headgate-CSRF. Programs send the admin key in a header and need none.",
        )


def address_of(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None
