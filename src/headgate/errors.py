"""Every failure Headgate can name, in one family.

A class says once, for all its uses, what a failure means: its stable `code`, the HTTP `status` a
caller sees, who is to `blame`, and the `next_step` of the attempt loop. An instance says what was
wrong (`message`) and what mends it (`hint`). Secrets never enter either. `docs/errors.md` lists the
family; a test keeps it complete.
"""

from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Whose fault it is: decides whether an account's health is touched."""

    CALLER = "caller"
    GATEWAY = "gateway"
    PROVIDER = "provider"
    ACCOUNT = "account"
    OWNER = "owner"


class NextStep(StrEnum):
    """What the attempt loop does after this failure."""

    STOP = "stop"
    SAME_ACCOUNT = "same_account"
    NEXT_ACCOUNT = "next_account"


class HeadgateError(Exception):
    """Base of the family. Never raised itself: every subclass sets all four class attributes."""

    code: ClassVar[str]
    status: ClassVar[int]
    blame: ClassVar[Blame]
    next_step: ClassVar[NextStep]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# ---- the caller's side: refused before any account is touched ------------------------------------


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


# ---- the pool's side: nobody could serve ---------------------------------------------------------


class NoAccountAvailable(HeadgateError):
    """None configured, or all paused or out for good."""

    code, status = "no_account_available", 503
    blame, next_step = Blame.OWNER, NextStep.STOP


class AllAccountsLimited(HeadgateError):
    """Every account rests until a reset; the answer carries `Retry-After`."""

    code, status = "all_accounts_limited", 429
    blame, next_step = Blame.ACCOUNT, NextStep.STOP


class AllAccountsFailed(HeadgateError):
    """Every candidate was tried and none answered."""

    code, status = "all_accounts_failed", 502
    blame, next_step = Blame.PROVIDER, NextStep.STOP


class ForwardFailed(HeadgateError):
    """A caller's own credential was forwarded and the provider could not be reached."""

    code, status = "forward_failed", 502
    blame, next_step = Blame.PROVIDER, NextStep.STOP


class RequestTimedOut(HeadgateError):
    """No account gave a first byte within `server.request_timeout_ms`, or the last one fell silent."""

    code, status = "request_timed_out", 504
    blame, next_step = Blame.PROVIDER, NextStep.STOP


# ---- upstream: raised by `upstream/`, consumed by the attempt loop -------------------------------


class UpstreamError(HeadgateError):
    """One attempt failed on the way. `reason` is the short network word (`ECONNREFUSED` …)."""

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ConnectFailed(UpstreamError):
    """DNS, TCP or TLS failed: nothing was sent."""

    code, status = "connect_failed", 502
    blame, next_step = Blame.PROVIDER, NextStep.NEXT_ACCOUNT


class ProxyFailed(UpstreamError):
    """The outbound proxy is not reached, refuses, or leads nowhere: the provider was not spoken to."""

    code, status = "proxy_failed", 502
    blame, next_step = Blame.OWNER, NextStep.NEXT_ACCOUNT


class ProxyWantsCredentials(UpstreamError):
    """The outbound proxy wants a user name and a password, or other ones than it was given."""

    code, status = "proxy_wants_credentials", 502
    blame, next_step = Blame.OWNER, NextStep.NEXT_ACCOUNT

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, reason="EPROXYAUTH", hint=hint)


class UpstreamTimedOut(UpstreamError):
    """A timeout ran out; `reason` is ETIMEDOUT, `limit_ms` the value of `setting`, which ran out."""

    code, status = "upstream_timed_out", 504
    blame, next_step = Blame.PROVIDER, NextStep.NEXT_ACCOUNT

    def __init__(self, message: str, *, limit_ms: int, setting: str, hint: str = "") -> None:
        super().__init__(message, reason="ETIMEDOUT", hint=hint)
        self.limit_ms = limit_ms
        self.setting = setting


class BadAnswer(UpstreamError):
    """The provider's bytes are not HTTP/1.1 as the standard has it."""

    code, status = "bad_answer", 502
    blame, next_step = Blame.PROVIDER, NextStep.NEXT_ACCOUNT


class AnswerCut(UpstreamError):
    """The connection ended before the answer did."""

    code, status = "answer_cut", 502
    blame, next_step = Blame.PROVIDER, NextStep.NEXT_ACCOUNT


class TokenRefreshFailed(UpstreamError):
    """An account's access token has ended, and the provider gives no new one; `needs_owner`: nor will it
    before somebody signs in again."""

    code, status = "token_refresh_failed", 503
    blame, next_step = Blame.ACCOUNT, NextStep.NEXT_ACCOUNT

    def __init__(self, message: str, *, needs_owner: bool, hint: str = "") -> None:
        super().__init__(message, reason="EAUTH", hint=hint)
        self.needs_owner = needs_owner


class LoopDetected(UpstreamError):
    """An account's base URL leads back to this gateway; nothing is sent round in circles."""

    code, status = "loop_detected", 508
    blame, next_step = Blame.OWNER, NextStep.NEXT_ACCOUNT

    def __init__(self, message: str, *, hint: str = "") -> None:
        hint = hint or "Give the account the provider's own address as its base URL, or none."
        super().__init__(message, reason="ELOOP", hint=hint)


# ---- the owner's side: commands, settings, storage -----------------------------------------------


class SettingsError(HeadgateError):
    """A setting is wrong; the message says which, where (file, line, column), and the valid values."""

    code, status = "invalid_setting", 400
    blame, next_step = Blame.OWNER, NextStep.STOP


class SettingsNotApplied(HeadgateError):
    """New settings are right as far as anybody knew, and a part of the gateway failed on them. The old ones
    stay in force, and in the file; the message names the settings, the log has the stack trace."""

    code, status = "settings_not_applied", 409
    blame, next_step = Blame.GATEWAY, NextStep.STOP


class ListenFailed(HeadgateError):
    """A socket cannot be opened: the port is taken, or not ours to take."""

    code, status = "listen_failed", 503
    blame, next_step = Blame.OWNER, NextStep.STOP


class NotFound(HeadgateError):
    """The owner asked for something that is not there."""

    code, status = "not_found", 404
    blame, next_step = Blame.OWNER, NextStep.STOP


class NotOffered(HeadgateError):
    """A route that another gateway has, for something that this one has not, or does not give out."""

    code, status = "not_offered", 501
    blame, next_step = Blame.OWNER, NextStep.STOP


class Conflict(HeadgateError):
    """The name is taken, or the same secret is there already."""

    code, status = "conflict", 409
    blame, next_step = Blame.OWNER, NextStep.STOP


class InvalidAccountName(HeadgateError):
    """A name that no account can have; the message says what a name may hold, and one that would do."""

    code, status = "invalid_account_name", 400
    blame, next_step = Blame.OWNER, NextStep.STOP


class ForeignDataUnreadable(HeadgateError):
    """What another program, or a sealed export, holds cannot be read; nothing was changed."""

    code, status = "foreign_data_unreadable", 400
    blame, next_step = Blame.OWNER, NextStep.STOP


class ImportRefused(HeadgateError):
    """An import that cannot be taken whole; every reason is said and nothing was changed."""

    code, status = "import_refused", 409
    blame, next_step = Blame.OWNER, NextStep.STOP


class AlreadyRunning(HeadgateError):
    """Another gateway has the data folder; the message names its process, and its address if known."""

    code, status = "already_running", 409
    blame, next_step = Blame.OWNER, NextStep.STOP


class SignInFailed(HeadgateError):
    """A sign-in did not end with an account: a wrong or late code, or a provider that refuses."""

    code, status = "sign_in_failed", 400
    blame, next_step = Blame.OWNER, NextStep.STOP


class AdminKeyRequired(HeadgateError):
    """An owner's route, and no admin key or a wrong one was sent."""

    code, status = "admin_key_required", 401
    blame, next_step = Blame.OWNER, NextStep.STOP


class CsrfTokenRequired(HeadgateError):
    """A change by the cookie of a log-in alone, without the token that the log-in answered beside it."""

    code, status = "csrf_token_required", 403
    blame, next_step = Blame.CALLER, NextStep.STOP


class TooManyGuesses(HeadgateError):
    """More keys are sent to the owner's side than can be verified; the answer carries `Retry-After`."""

    code, status = "too_many_guesses", 429
    blame, next_step = Blame.CALLER, NextStep.STOP


class StorageError(HeadgateError):
    """The database cannot be opened, read or written; the message names path or host, and reason."""

    code, status = "storage_failed", 503
    blame, next_step = Blame.OWNER, NextStep.STOP


class SecretUnreadable(HeadgateError):
    """A stored secret does not open with the encryption key in force."""

    code, status = "secret_unreadable", 503
    blame, next_step = Blame.OWNER, NextStep.STOP


class ShuttingDown(HeadgateError):
    """The gateway was told to stop and the grace time is over."""

    code, status = "shutting_down", 503
    blame, next_step = Blame.GATEWAY, NextStep.STOP


class GatewayFault(HeadgateError):
    """An unexpected exception at the request edge; its stack trace is in the log under the id."""

    code, status = "internal_error", 500
    blame, next_step = Blame.GATEWAY, NextStep.STOP
