"""Signing an account in: `/oauth/authorize`, the callback, pasting a code, device codes, status, cancel.

Each sign-in is an attempt with a state of its own. The callback is open, because the provider leads a
browser there: only who knows the state of an attempt that waits gets anywhere.
"""

import logging
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from headgate.admin import account_changes
from headgate.admin.account_forms import Form, Name, SignInOptions
from headgate.admin.accounts import adding, check_provider, find, refuse_declared_key, unknown, view_in_force
from headgate.admin.owner import ItsOwner, Owner
from headgate.admin.sign_in_pages import page
from headgate.admin.views import AccountView
from headgate.errors import Conflict, HeadgateError, NotFound
from headgate.oauth.attempts import Attempt, Progress
from headgate.oauth.exchange import DeviceCode, ask_for_device_code, exchange, wait_for_device
from headgate.oauth.pasted import read_code, read_pasted, refused_by_provider
from headgate.oauth.token_endpoint import Granted, TokenEndpoint
from headgate.pool.accounts import Account, Kind
from headgate.pool.living import LivingAccount
from headgate.storage.drafts import AccountDraft

router = APIRouter(prefix="/oauth", tags=["sign-in"])

_log = logging.getLogger("headgate.oauth")


class NewSignIn(SignInOptions):
    """Whose sign-in it will be. A name that is there already needs `reauth`."""

    account: Name | None = Field(default=None, description="null: named after who signs in.")
    reauth: bool = Field(default=False, description="The account is there, and gets new tokens.")


class Code(Form):
    code: str = Field(
        max_length=8192, description="code#state, the whole address that was led to, or the code."
    )
    state: str | None = Field(default=None, max_length=256, description="Where the code comes without it.")


class Started(BaseModel):
    """What to do next: open `url`, sign in, and send what the page shows to `/oauth/exchange`."""

    url: str
    state: str = Field(description="By it the attempt is asked about, cancelled and finished.")
    account: str | None
    provider: str
    expires_at: float = Field(description="Unix seconds.")
    comes_back_by_itself: bool = Field(description="The page leads to this gateway: nothing is to be pasted.")
    next_step: str


class StartedDevice(BaseModel):
    state: str
    account: str | None
    provider: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: float = Field(description="Unix seconds.")


class SignInView(BaseModel):
    state: str
    status: str = Field(description="waiting, exchanging, done, failed, cancelled or expired.")
    account: str | None
    error: str | None
    hint: str
    expires_at: float = Field(description="Unix seconds.")


# ---- beginning -------------------------------------------------------------------------------------


_LED_THERE: dict[int | str, dict[str, Any]] = {
    302: {
        "description": "Found",
        "headers": {
            "Location": {
                "description": "The provider's page.",
                "required": True,
                "schema": {"type": "string", "format": "uri"},
            }
        },
    }
}
"""Whoever accepts text/html is a browser."""


@router.get("/authorize", operation_id="start_sign_in", response_model=Started, responses=_LED_THERE)
async def authorize(
    request: Request,
    owner: ItsOwner,
    account: Annotated[Name | None, Query(description="Name of the account; left out: named later.")] = None,
    provider: Annotated[str, Query(description="Where to sign in.")] = "anthropic",
    reauth: Annotated[bool, Query(description="The account is there, and gets new tokens.")] = False,
) -> Started | RedirectResponse:
    """Starts a sign-in: a browser is led to the provider's page, everybody else is told where it is."""
    started = _begin(owner, NewSignIn(account=account, provider=provider, reauth=reauth))
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(started.url, status_code=302, headers={"cache-control": "no-store"})
    return started


@router.post("/authorize", operation_id="start_sign_in_with_options", status_code=201)
async def start(owner: ItsOwner, wanted: NewSignIn) -> Started:
    """As GET, with everything that the new account is to have."""
    return _begin(owner, wanted)


@router.post("/device", operation_id="start_device_sign_in", status_code=201)
async def start_device(owner: ItsOwner, wanted: NewSignIn) -> StartedDevice:
    """Starts a sign-in on another device: the person enters a code there, and the gateway asks meanwhile."""
    attempt = _attempt(owner, wanted)
    try:
        code = await ask_for_device_code(_endpoint(owner, attempt), attempt.registration)
    except HeadgateError as error:
        attempt.fail(error.message, error.hint)
        raise
    attempt.progress = Progress.EXCHANGING  # no code is to be pasted for it
    attempt.expires_at = owner.clock.now() + code.expires_in
    owner.sign_in.tasks.spawn(_finish_device(owner, attempt, code), name="device sign-in")
    _log.info("oauth: sign-in of %s by device code began", attempt.account or "a new account")
    return StartedDevice(
        state=attempt.state,
        account=attempt.account,
        provider=attempt.registration.provider,
        user_code=code.user_code,
        verification_uri=code.verification_uri,
        verification_uri_complete=code.verification_uri_complete,
        expires_at=attempt.expires_at,
    )


def _begin(owner: Owner, wanted: NewSignIn) -> Started:
    attempt = _attempt(owner, wanted)
    sign_in = attempt.registration.sign_in
    comes_back = bool(owner.url) and sign_in.redirect_uri == f"{owner.url}/oauth/callback"
    _log.info("oauth: sign-in of %s began", attempt.account or "a new account")
    return Started(
        url=attempt.url,
        state=attempt.state,
        account=attempt.account,
        provider=attempt.registration.provider,
        expires_at=attempt.expires_at,
        comes_back_by_itself=comes_back,
        next_step="Open the url in a browser and sign in."
        if comes_back
        else "Open the url in a browser, sign in, and send the code that it shows to POST /oauth/exchange.",
    )


def _attempt(owner: Owner, wanted: NewSignIn) -> Attempt:
    """What is wrong is said before anybody signs in."""
    provider, name, renews = wanted.provider, wanted.account, None
    if wanted.reauth:
        if name is None:
            raise Conflict(
                "It is not said which account is to be re-authorised", hint="Name it: account=NAME."
            )
        living = find(owner, name)
        provider, renews = living.account.provider, living.id
    elif name is not None and owner.pool.by_name(name) is not None:
        raise Conflict(
            f"An account is already called {name}",
            hint=f"headgate account reauth {name} --oauth signs it in again; or choose another name.",
        )
    check_provider(owner, provider)
    registration = owner.sign_in.registrations.of(provider)
    fields = wanted.model_dump(exclude={"account", "reauth", "provider"}, exclude_unset=True)
    return owner.sign_in.attempts.begin(registration, account=name, renews=renews, options=fields)


# ---- the end ---------------------------------------------------------------------------------------


@router.post("/exchange", operation_id="finish_sign_in", status_code=201)
async def finish(owner: ItsOwner, pasted: Code) -> AccountView:
    """The code that the provider's page showed becomes an account."""
    read = read_pasted(pasted.code)
    attempt = owner.sign_in.attempts.take(read.state or pasted.state)
    return await _finish(owner, attempt, read.code)


@router.get("/callback", operation_id="sign_in_callback", response_class=HTMLResponse)
async def callback(owner: ItsOwner, request: Request) -> Response:
    """Where a provider leads the browser back to (RFC 6749, section 4.1.2)."""
    fields = request.query_params
    state = fields.get("state") or ""
    try:
        if error := fields.get("error"):
            failure = refused_by_provider(error, fields.get("error_description", ""))
            attempt = owner.sign_in.attempts.take(state)
            attempt.fail(failure.message, failure.hint)
            _log.warning(
                "oauth: sign-in of %s failed: %s", attempt.account or "a new account", failure.message
            )
            raise failure
        code = read_code(fields.get("code", ""))
        view = await _finish(owner, owner.sign_in.attempts.take(state), code)
    except HeadgateError as error:
        return page(error.status, "The sign-in failed", error.message, error.hint)
    return page(200, "Signed in", f"The account {view.name} is ready. You may close this page.")


async def _finish(owner: Owner, attempt: Attempt, code: str) -> AccountView:
    try:
        granted = await exchange(_endpoint(owner, attempt), attempt, code)
        return await _take_in(owner, attempt, granted)
    except HeadgateError as error:
        attempt.fail(error.message, error.hint)
        _log.warning("oauth: sign-in of %s failed: %s", attempt.account or "a new account", error.message)
        raise
    except BaseException:
        attempt.fail("it was cut off", "Start it again.")
        raise


async def _finish_device(owner: Owner, attempt: Attempt, code: DeviceCode) -> None:
    try:
        granted = await wait_for_device(_endpoint(owner, attempt), attempt, code, owner.clock)
        await _take_in(owner, attempt, granted)
    except HeadgateError as error:
        attempt.fail(error.message, error.hint)
        _log.warning("oauth: sign-in of %s failed: %s", attempt.account or "a new account", error.message)


def _endpoint(owner: Owner, attempt: Attempt) -> TokenEndpoint:
    """By the way that the account goes, or will go."""
    is_there = attempt.renews is not None
    proxy = _renewed(owner, attempt).account.proxy if is_there else attempt.options.get("proxy")
    return owner.sign_in.endpoint.by(proxy)


def _renewed(owner: Owner, attempt: Attempt) -> LivingAccount:
    """The account that the sign-in began for, whatever it is called by now. Raises UnknownAccount."""
    living = None if attempt.renews is None else owner.pool.by_id(attempt.renews)
    if living is None:
        raise unknown(owner, attempt.account or "")
    return living


async def _take_in(owner: Owner, attempt: Attempt, granted: Granted) -> AccountView:
    """The tokens are on the disk and in force when this returns."""
    async with owner.changing:
        attempt.refuse_cancelled()
        account = await _saved(owner, attempt, granted)
        attempt.account, attempt.progress = account.name, Progress.DONE
        view = view_in_force(owner, account)
        if owner.sources is not None:
            owner.sources.note_renewed(account)
        return view


async def _saved(owner: Owner, attempt: Attempt, granted: Granted) -> Account:
    if attempt.renews is not None:
        name = _renewed(owner, attempt).account.name
        refuse_declared_key(owner, name)
        changes: dict[str, Any] = {"kind": Kind.OAUTH, "secret": granted.credential}
        if granted.email is not None:
            changes["email"] = granted.email
        account = _renewed(owner, attempt).account
        kept = owner.change(
            "account.reauth",
            name,
            before=account_changes.before(account, changes),
            after=account_changes.fields_of(changes),
            line=f"oauth: account {name} signed in at {account.provider}",
            log=_log,
        )
        return await owner.accounts.update(name, changes, change=kept)
    options = dict(attempt.options)
    email = options.pop("email", None) or granted.email
    draft = AccountDraft(
        name=attempt.account or _free_name(owner, email, attempt.registration.provider),
        provider=attempt.registration.provider,
        kind=Kind.OAUTH,
        secret=granted.credential,
        email=email,
        **{**options, "models": tuple(options.get("models", ()))},
    )
    line = f"oauth: account {draft.name} signed in at {draft.provider}"
    return await owner.accounts.add(draft, change=adding(owner, draft, line=line, told_in=_log))


def _free_name(owner: Owner, email: str | None, provider: str) -> str:
    """After who signed in, else after the provider."""
    wanted = re.sub(r"[^A-Za-z0-9._@+-]+", "-", email or provider).strip("._@+-")[:100] or provider
    if email is not None and owner.pool.by_name(wanted) is None:
        return wanted
    number = 1 if email is None else 2
    while owner.pool.by_name(f"{wanted}-{number}") is not None:
        number += 1
    return f"{wanted}-{number}"


# ---- between ---------------------------------------------------------------------------------------


State = Annotated[str, Query(max_length=256, description="As the start told it.")]


@router.get("/status", operation_id="sign_in_status")
async def status(owner: ItsOwner, state: State) -> SignInView:
    """How far a sign-in has come."""
    return _view(owner, owner.sign_in.attempts.find(state))


@router.post("/cancel", operation_id="cancel_sign_in")
async def cancel(owner: ItsOwner, state: State) -> SignInView:
    """Nothing comes of it any more; one that has ended stays as it is."""
    async with owner.changing:  # an account that is just being taken in is that first
        return _view(owner, owner.sign_in.attempts.cancel(state))


def _view(owner: Owner, attempt: Attempt | None) -> SignInView:
    if attempt is None:
        raise NotFound("There is no sign-in of this state", hint="It may be long over: start a new one.")
    return SignInView(
        state=attempt.state,
        status=str(attempt.at(owner.clock.now())),
        account=attempt.account,
        error=attempt.error,
        hint=attempt.hint,
        expires_at=attempt.expires_at,
    )
