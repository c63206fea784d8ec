"""Failures on the caller's side: refused before any account is touched. Known to all by `errors.py`."""

from headgate.error_base import Blame, HeadgateError, NextStep


class InvalidRequest(HeadgateError):
    """The request cannot be routed as it is: broken JSON, no model, a field of the wrong type."""

    code, status = "invalid_request", 400
    blame, next_step = Blame.CALLER, NextStep.STOP


class MalformedRequest(HeadgateError):
    """What came is no HTTP/1.1 request, or one that two readers could read in two ways."""

    code, status = "malformed_request", 400
    blame, next_step = Blame.CALLER, NextStep.STOP


class UnknownPath(HeadgateError):
    """The path is neither a provider's nor the owner's nor the dashboard's."""

    code, status = "unknown_path", 400
    blame, next_step = Blame.CALLER, NextStep.STOP


class MethodNotAllowed(HeadgateError):
    """The path is known, and not for this method; the answer carries `Allow`."""

    code, status = "method_not_allowed", 405
    blame, next_step = Blame.CALLER, NextStep.STOP

    def __init__(self, message: str, *, allowed: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.allowed = allowed


class HeadTooLarge(HeadgateError):
    """The head of a request has too many lines or bytes."""

    code, status = "head_too_large", 431
    blame, next_step = Blame.CALLER, NextStep.STOP


class RequestTooSlow(HeadgateError):
    """Head or body took longer than `server.head_timeout_ms` or `server.body_timeout_ms` allows."""

    code, status = "request_too_slow", 408
    blame, next_step = Blame.CALLER, NextStep.STOP


class TooManyConnections(HeadgateError):
    """`server.max_connections` or `server.max_connections_per_address` are open already."""

    code, status = "too_many_connections", 503
    blame, next_step = Blame.GATEWAY, NextStep.STOP


class ForbiddenOrigin(HeadgateError):
    """A web page asks that is not let in or, where no key is needed, a foreign name for this machine."""

    code, status = "forbidden_origin", 403
    blame, next_step = Blame.CALLER, NextStep.STOP


class InvalidClientKey(HeadgateError):
    """A client key is asked for, and none or a wrong one was sent."""

    code, status = "invalid_client_key", 401
    blame, next_step = Blame.CALLER, NextStep.STOP


class KeyMayNot(HeadgateError):
    """The client key is right, and not for this model, provider or choice of an account."""

    code, status = "key_may_not", 403
    blame, next_step = Blame.CALLER, NextStep.STOP


class RateLimited(HeadgateError):
    """A limit of the client key is reached: requests or tokens a minute, at one time, in five hours."""

    code, status = "rate_limit_exceeded", 429
    blame, next_step = Blame.GATEWAY, NextStep.STOP

    def __init__(
        self,
        hint: str,
        *,
        wait_seconds: float,
        is_by_time: bool = True,
        what: str = "",
        limit: int = 0,
        left: int = 0,
        full_at: float = 0.0,
    ) -> None:
        """`is_by_time`: it opens after `wait_seconds`; else with the end of another request.

        `what`: `requests` or `tokens`, of which `left` may be used now, and all again at `full_at` (Unix
        seconds); empty for limits that no header tells of."""
        super().__init__("Rate limit exceeded", hint=hint)
        self.wait_seconds = wait_seconds
        self.is_by_time = is_by_time
        self.what = what
        self.limit = limit
        self.left = left
        self.full_at = full_at


class BudgetExceeded(HeadgateError):
    """The money that a client key may use is used up; the message says how much, the hint until when."""

    code, status = "budget_exceeded", 402
    blame, next_step = Blame.OWNER, NextStep.STOP


class UnknownAccount(HeadgateError):
    """A name that no account has; the message names near matches."""

    code, status = "unknown_account", 400
    blame, next_step = Blame.CALLER, NextStep.STOP


class UnknownHost(HeadgateError):
    """`sources.credentials_dir` is set, and has no file for the Host called; the message names it."""

    code, status = "unknown_host", 400
    blame, next_step = Blame.CALLER, NextStep.STOP


class RequestTooLarge(HeadgateError):
    """The body is larger than `server.max_body_bytes` or `server.max_upload_bytes` allows."""

    code, status = "request_too_large", 413
    blame, next_step = Blame.CALLER, NextStep.STOP


class BuffersFull(HeadgateError):
    """The bodies of all requests together fill the memory set aside for them."""

    code, status = "buffers_full", 503
    blame, next_step = Blame.GATEWAY, NextStep.STOP


class ClientLeft(HeadgateError):
    """The caller closed its connection: a fact for the record, never an answer."""

    code, status = "client_left", 499
    blame, next_step = Blame.CALLER, NextStep.STOP
