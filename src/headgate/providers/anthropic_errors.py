"""What an Anthropic error is about.

Source: Claude API documentation, "Errors": the types, their statuses, and the messages of spend
limits; the wording of other messages as seen in answers. A message is looked at only where type
and status do not tell two cases apart.
"""

import re
from datetime import UTC, datetime

import msgspec

from headgate.providers.provider import Complaint, ProviderError

_LONGEST_MESSAGE = 500
"""Characters that are kept for a log line."""

_BY_STATUS = {
    401: Complaint.REFUSED,
    402: Complaint.BILLING,
    403: Complaint.FORBIDDEN,
    404: Complaint.NOT_FOUND,
    408: Complaint.TIMED_OUT,
    413: Complaint.TOO_LARGE,
    429: Complaint.LIMITED,
    504: Complaint.TIMED_OUT,
    529: Complaint.OVERLOADED,
}
"""Statuses that say what they mean: they win over the type, which is then often a catch-all."""

_BY_TYPE = {
    "authentication_error": Complaint.REFUSED,
    "billing_error": Complaint.BILLING,
    "permission_error": Complaint.FORBIDDEN,
    "not_found_error": Complaint.NOT_FOUND,
    "request_too_large": Complaint.TOO_LARGE,
    "rate_limit_error": Complaint.LIMITED,
    "overloaded_error": Complaint.OVERLOADED,
    "timeout_error": Complaint.TIMED_OUT,
    "api_error": Complaint.SERVER_ERROR,
    "invalid_request_error": Complaint.INVALID,
}

_BY_MESSAGE = (
    (Complaint.INVALID, "credit balance is too low", Complaint.BILLING),
    (Complaint.INVALID, "you have reached your specified", Complaint.BILLING),
    (Complaint.INVALID, "organization has been disabled", Complaint.FORBIDDEN),
    # The request carries a browser's Origin header: no other key would be let in either.
    (Complaint.REFUSED, "cors requests are not allowed", Complaint.INVALID),
    (Complaint.FORBIDDEN, "oauth token has been revoked", Complaint.REFUSED),
    (Complaint.LIMITED, "required for long context requests", Complaint.REQUEST_LIMITED),
)
"""(first reading, part of the message in lower case, what it really is)."""

_REGAIN = re.compile(r"regain access on (\d{4}-\d\d-\d\d) at (\d\d:\d\d) UTC", re.ASCII)


class _Detail(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    error: _Detail | None = None


_decoder = msgspec.json.Decoder(_Body)


def read_error(status: int, body: bytes, now: float) -> ProviderError:
    """`status` 200 stands for an `error` event within a stream. Never raises."""
    detail = _read_detail(body)
    message = detail.message or ""
    complaint = _by_message(_by_status_and_type(status, detail.type), message)
    return ProviderError(
        complaint=complaint,
        type=detail.type,
        message=message[:_LONGEST_MESSAGE],
        until=_regained_at(message, now) if complaint is Complaint.BILLING else None,
    )


def _read_detail(body: bytes) -> _Detail:
    try:
        return _decoder.decode(body).error or _Detail()
    # Deep nesting and broken UTF-8 leave the decoder as errors of their own.
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _Detail()


def _by_status_and_type(status: int, error_type: str | None) -> Complaint:
    if (known := _BY_STATUS.get(status)) is not None:
        return known
    by_type = _BY_TYPE.get(error_type or "")
    if by_type is not None and not (status >= 500 and by_type is Complaint.INVALID):
        return by_type
    return Complaint.INVALID if 400 <= status < 500 else Complaint.SERVER_ERROR


def _by_message(first: Complaint, message: str) -> Complaint:
    text = message.lower()
    # "model: NAME"; every other 404 is about a path or an object.
    if first is Complaint.NOT_FOUND:
        return Complaint.MODEL_NOT_FOUND if text.startswith("model:") else first
    for reading, part, meaning in _BY_MESSAGE:
        if reading is first and part in text:
            return meaning
    return first


def _regained_at(message: str, now: float) -> float | None:
    if (stated := _REGAIN.search(message)) is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{stated[1]}T{stated[2]}").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return moment if moment > now else None
