"""The sign-in server: its routes, the grant types of its token endpoint, and the faults of that endpoint.

Source: RFC 6749, sections 4.1.3, 5 and 6; a body may be a form, as there, or JSON, as the real one has it.
"""

from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from headgate.testing.provider.answer import Answer, error_type, json_answer
from headgate.testing.provider.authorization import Authorizations, page
from headgate.testing.provider.books import Entry
from headgate.testing.provider.delivery import Delivery, Ending, plan
from headgate.testing.provider.device import DEVICE_GRANT, Devices
from headgate.testing.provider.framing import Request
from headgate.testing.provider.grants import DEFAULT_SCOPE, Grants, OAuthError
from headgate.testing.provider.script import Pacing
from headgate.testing.provider.sign_in_script import (
    Decision,
    NewGrant,
    SignInScript,
    TokenFault,
    TokenFaults,
)

BOOKS_KEY = "sign_in"
_TOKEN_PATHS = ("/oauth/token", "/v1/oauth/token")
_PATHS = (*_TOKEN_PATHS, "/oauth/authorize", "/oauth/device", "/device")
_HTML = "<!doctype html><title>One moment</title><p>Checking your browser before you go on.</p>"
_WRONG_JSON = '{"access_token": null, "expires_in": "soon"}'
_MESSAGES = {429: "Rate limited. Please try again later.", 529: "Overloaded"}


class SignInServer:
    """Grants, codes and device codes of one provider."""

    def __init__(self) -> None:
        self.grants = Grants()
        self._authorizations = Authorizations(self.grants)
        self._devices = Devices(self.grants)
        self._faults = TokenFaults([])

    def serves(self, path: str) -> bool:
        return path in _PATHS

    # ---- control ----

    def script(self, script: SignInScript) -> None:
        self.grants.script = script
        self._faults = TokenFaults(script.faults)

    def grant(self, new: NewGrant, now: float) -> dict[str, Any]:
        """Tokens without the way to them; both always told, and `expires_at` in Unix seconds."""
        self.grants.sign_in(
            new.login,
            now,
            client_id=new.client_id,
            scope=DEFAULT_SCOPE if new.scope is None else new.scope,
            lifetime_seconds=new.lifetime_seconds,
        )
        return self.grants.newest()

    def decide(self, decision: Decision) -> None:
        self._devices.decide(decision.user_code, approved=decision.approved, login=decision.login)

    # ---- requests ----

    def deliver(self, request: Request, entry: Entry, origin: str, now: float) -> Delivery:
        entry.key = BOOKS_KEY
        fault: TokenFault | None = None
        try:
            if request.path in _TOKEN_PATHS:
                fault, answer = self._token(request, now)
            else:
                answer = self._route(request, origin, now)
        except OAuthError as error:
            answer = _refusal(error)
        entry.fault = fault.fault if fault is not None else ""
        entry.status = answer.status
        answer.headers = [
            (b"date", formatdate(now, usegmt=True).encode()),
            (b"request-id", entry.request_id.encode()),
            (b"cache-control", b"no-store"),
            (b"pragma", b"no-cache"),
            *answer.headers,
        ]
        pacing = Pacing(first_byte_ms=self.grants.script.delay_ms)
        delivery = plan(answer, pacing, is_head=request.method == "HEAD")
        return delivery if fault is None else _struck(delivery, fault)

    def _route(self, request: Request, origin: str, now: float) -> Answer:
        match (request.method, request.path):
            case ("GET", "/oauth/authorize"):
                return self._authorizations.answer(request.query, now)
            case ("POST", "/oauth/device"):
                parameters = _parameters(request)
                self._check_client(parameters)
                return json_answer(self._devices.start(parameters, origin, now))
            case ("GET", "/device"):
                return page(200, "Connect a device", "code", request.query.get("user_code", ""))
        return _not_allowed("POST" if request.path == "/oauth/device" else "GET")

    # ---- the token endpoint ----

    def _token(self, request: Request, now: float) -> tuple[TokenFault | None, Answer]:
        if request.method != "POST":
            return None, _not_allowed("POST")
        parameters = _parameters(request)
        kind = parameters.get("grant_type", "")
        login = self.grants.login_of_refresh(parameters.get("refresh_token", ""))
        if kind == "refresh_token":
            self.grants.page(login).asked += 1
        fault = self._faults.match(kind, login)
        if fault is not None:
            self.grants.page(login).faults[fault.fault] += 1
            if not fault.fault.endswith("_after"):
                return fault, _instead(fault)
        try:
            return fault, json_answer(self._granted(kind, parameters, now))
        except OAuthError as error:
            if kind == "refresh_token":
                self.grants.page(login).refused[error.error] += 1
            return fault, _refusal(error)

    def _granted(self, kind: str, parameters: dict[str, str], now: float) -> dict[str, Any]:
        self._check_client(parameters)
        match kind:
            case "authorization_code":
                return self._authorizations.exchange(parameters, now)
            case "refresh_token":
                return self.grants.refresh(parameters, now)
            case _ if kind == DEVICE_GRANT:
                return self._devices.poll(parameters, now)
            case "":
                raise OAuthError("invalid_request", "Missing grant_type parameter")
        raise OAuthError("unsupported_grant_type", f"The grant type {kind} is not supported")

    def _check_client(self, parameters: dict[str, str]) -> None:
        client_id, known = parameters.get("client_id", ""), self.grants.script.client_ids
        if not client_id:
            raise OAuthError("invalid_request", "Missing client_id parameter")
        if known is not None and client_id not in known:
            raise OAuthError("invalid_client", "Client not found", status=401)


def _parameters(request: Request) -> dict[str, str]:
    """A form or a JSON object; a parameter without a value is treated as left out (RFC 6749, 3.2)."""
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            values = msgspec.json.decode(request.body, type=dict[str, Any])
            return {name: value for name, value in values.items() if isinstance(value, str) and value}
        if kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(request.body.decode())
            if len(dict(pairs)) == len(pairs):
                return dict(pairs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise OAuthError("invalid_request", "Invalid request format")


def _refusal(error: OAuthError) -> Answer:
    shape = {"error": error.error}
    if error.description:
        shape["error_description"] = error.description
    return json_answer(shape, error.status)


def _not_allowed(allowed: str) -> Answer:
    answer = _refusal(OAuthError("invalid_request", f"This takes {allowed}", status=405))
    answer.headers.append((b"allow", allowed.encode()))
    return answer


def _instead(fault: TokenFault) -> Answer:
    """What is said in place of an answer, where anything is."""
    if fault.fault == "html":
        return Answer(fault.status or 200, [(fault.body or _HTML).encode()], b"text/html; charset=utf-8")
    if fault.fault == "wrong_json":
        return Answer(fault.status or 200, [(fault.body or _WRONG_JSON).encode()])
    status = fault.status or 503
    if fault.error:
        answer = _refusal(OAuthError(fault.error, fault.message, status=status))
    else:
        message = fault.message or _MESSAGES.get(status, "Internal server error")
        answer = json_answer(
            {"type": "error", "error": {"type": error_type(status), "message": message}}, status
        )
    if fault.retry_after:
        answer.headers.append((b"retry-after", fault.retry_after.encode()))
    return answer


def _struck(delivery: Delivery, fault: TokenFault) -> Delivery:
    """Silence, or an end without a byte of the answer; the faults with an answer have theirs already."""
    if fault.fault in ("hang", "hang_after"):
        return Delivery(b"", ending=Ending.STALL, is_complete=False)
    if fault.fault in ("cut", "cut_after"):
        ending = Ending.RESET if fault.ending == "reset" else Ending.CLOSE
        return Delivery(b"", ending=ending, is_complete=False, first_byte_ms=delivery.first_byte_ms)
    return delivery
