"""Logging in for a browser: `/api/session`. The admin key becomes a cookie that no page can read."""

import logging
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr

from headgate.admin.account_forms import Form
from headgate.admin.actor import ACTOR
from headgate.admin.entrance import LOGGED_IN, Entrance, LoggedIn, address_of, refuse_others_pages
from headgate.admin.heard import Heard
from headgate.admin.owner import AskedByOwner, ItsOwner, Owner
from headgate.admin.sessions import COOKIE, csrf_token_of, tokens_in
from headgate.errors import AdminKeyRequired, Conflict

_log = logging.getLogger("headgate.server")

router = APIRouter(prefix="/api/session", tags=["session"])


class LogIn(Form):
    key: Annotated[SecretStr, Field(min_length=1, max_length=4096)] = Field(
        description="The setting admin.key, or the key that it is the hash of."
    )


class SessionView(BaseModel):
    """Who is asking, as far as the gateway can tell."""

    is_owner: bool = Field(description="All other routes would be open to this request, too.")
    how: str | None = Field(description="session, admin_key, this_machine (no key is set) or local.")
    key_is_set: bool = Field(description="false: there is nothing to log in with.")
    csrf_token: str | None = Field(
        description="Of a session: to be sent as X-Headgate-CSRF with all but GET and HEAD."
    )
    ends_at: int | None = Field(description="Of a session, whatever is done meanwhile. Unix milliseconds.")
    idle_ends_at: int | None = Field(description="Of a session without a further request.")


class LoggedOut(BaseModel):
    ended: bool = Field(description="There was a session, and it is over.")


@router.get("", operation_id="get_session")
async def get_session(
    request: Request, response: Response, owner: ItsOwner, is_owner: AskedByOwner
) -> SessionView:
    """Open to everybody: it says whether one is logged in, and how."""
    response.headers["cache-control"] = "no-store"
    return _view(owner, _entrance(request), request.scope.get(LOGGED_IN), is_owner=is_owner)


@router.post("", operation_id="log_in")
async def log_in(request: Request, response: Response, owner: ItsOwner, wanted: LogIn) -> SessionView:
    """The admin key opens a session, whose token is in a cookie. A wrong one is a guess, as in a header:
    401. Where no admin key is set there is nothing to log in with: 409."""
    entrance = _entrance(request)
    refuse_others_pages(request.scope)
    offered = wanted.key.get_secret_value().strip().encode().decode("latin-1")  # as headers arrive
    is_open = await entrance.opens(offered, request.scope, Heard(request.receive))
    key = entrance.key
    if is_open is None or key is None:
        raise Conflict(
            "There is nothing to log in with: no admin key is set, and the owner's routes are open to the "
            "gateway's own machine alone",
            hint="Use it on that machine, or set a key first: headgate config set admin.key --stdin.",
        )
    if not is_open:
        raise AdminKeyRequired(
            "This is not the admin key",
            hint="It is the setting admin.key of the gateway (HEADGATE_ADMIN__KEY).",
        )
    _close(request)
    token = entrance.sessions.open(key)
    session = entrance.sessions.find(key, token)
    assert session is not None, "it was opened just now"
    _log.info("Logged in from %s", address_of(request.scope) or "this machine")
    response.headers["cache-control"] = "no-store"
    response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=_is_by_tls(request))
    view = _view(owner, entrance, LoggedIn(token, session), is_owner=True)
    return view.model_copy(update={"how": "session"})


@router.delete("", operation_id="log_out")
async def log_out(request: Request, response: Response, is_owner: AskedByOwner) -> LoggedOut:
    """The session of the cookie is over, here and for whoever else has its token."""
    ended = is_owner and _close(request)
    if ended:
        _log.info("Logged out from %s", address_of(request.scope) or "this machine")
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=_is_by_tls(request))
    return LoggedOut(ended=ended)


def _close(request: Request) -> bool:
    """All of this browser's; whether there was one."""
    sessions = _entrance(request).sessions
    closed = [sessions.close(token) for token in tokens_in(request.headers.getlist("cookie"))]
    return any(closed)


def _view(owner: Owner, entrance: Entrance, logged_in: LoggedIn | None, *, is_owner: bool) -> SessionView:
    session = None if logged_in is None else logged_in.session
    wall = owner.clock.now() - owner.clock.monotonic()
    return SessionView(
        is_owner=is_owner,
        how=str(ACTOR.get().who) if is_owner else None,
        key_is_set=entrance.key is not None,
        csrf_token=None if logged_in is None else csrf_token_of(logged_in.token),
        ends_at=None if session is None else round((session.ends + wall) * 1000),
        idle_ends_at=None if session is None else round((session.idle_ends + wall) * 1000),
    )


def _is_by_tls(request: Request) -> bool:
    """By our own socket, or by a proxy in between: then the browser says so itself."""
    origin = request.headers.get("origin", "")
    return request.scope["scheme"] == "https" or origin.lower().startswith("https://")


def _entrance(request: Request) -> Entrance:
    entrance: Entrance = request.app.state.entrance
    return entrance
