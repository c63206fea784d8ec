"""Every failure Headgate can name, in one family.

A class says once, for all its uses, what a failure means: its stable `code`, the HTTP `status` a
caller sees, who is to `blame`, and the `next_step` of the attempt loop. An instance says what was
wrong (`message`) and what mends it (`hint`). Secrets never enter either. `docs/errors.md` lists the
family; a test keeps it complete.
"""

from headgate.caller_errors import (
    BudgetExceeded,
    BuffersFull,
    ClientLeft,
    ForbiddenOrigin,
    HeadTooLarge,
    InvalidClientKey,
    InvalidRequest,
    KeyMayNot,
    MalformedRequest,
    MethodNotAllowed,
    RateLimited,
    RequestTooLarge,
    RequestTooSlow,
    TooManyConnections,
    UnknownAccount,
    UnknownHost,
    UnknownPath,
)
from headgate.error_base import Blame, HeadgateError, NextStep

__all__ = [
    "AdminKeyRequired",
    "AllAccountsBusy",
    "AllAccountsFailed",
    "AllAccountsLimited",
    "AlreadyRunning",
    "AnswerCut",
    "BadAnswer",
    "Blame",
    "BudgetExceeded",
    "BuffersFull",
    "ChangedMeanwhile",
    "ClientLeft",
    "Conflict",
    "ConnectFailed",
    "ForbiddenOrigin",
    "ForeignDataUnreadable",
    "ForwardFailed",
    "GatewayFault",
    "HeadTooLarge",
    "HeadgateError",
    "ImportRefused",
    "InvalidAccountName",
    "InvalidClientKey",
    "InvalidRequest",
    "KeyMayNot",
    "ListenFailed",
    "LoopDetected",
    "MalformedRequest",
    "MethodNotAllowed",
    "NextStep",
    "NoAccountAvailable",
    "NotFound",
    "ProxyFailed",
    "ProxyWantsCredentials",
    "RateLimited",
    "RequestTimedOut",
    "RequestTooLarge",
    "RequestTooSlow",
    "SecretUnreadable",
    "SettingsError",
    "SettingsNotApplied",
    "ShuttingDown",
    "SignInFailed",
    "StorageError",
    "TokenRefreshFailed",
    "TooManyConnections",
    "TooManyGuesses",
    "UnknownAccount",
    "UnknownHost",
    "UnknownPath",
    "UpstreamError",
    "UpstreamTimedOut",
]

# ---- the pool's side: nobody could serve ---------------------------------------------------------


class NoAccountAvailable(HeadgateError):
    """None configured, or all paused or out for good."""

    code, status = "no_account_available", 503
    blame, next_step = Blame.OWNER, NextStep.STOP


class AllAccountsBusy(HeadgateError):
    """Every account that could serve has as many requests as it may have at one time."""

    code, status = "all_accounts_busy", 503
    blame, next_step = Blame.GATEWAY, NextStep.STOP


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


class ChangedMeanwhile(HeadgateError):
    """`If-Match` names a version that somebody else has changed since; nothing was changed."""

    code, status = "changed_meanwhile", 412
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
