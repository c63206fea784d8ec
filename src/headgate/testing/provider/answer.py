"""An answer before it meets the socket: status, headers, and the body in the parts it is made of."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

Headers = list[tuple[bytes, bytes]]
_UNLISTED_REASONS = {529: b"Overloaded"}
# https://platform.claude.com/docs/en/api/errors, "HTTP errors"
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ERROR_MESSAGES = {
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your account's rate limit. Please try again later.",
    529: "Overloaded",
}


@dataclass(slots=True)
class Answer:
    """`parts` are the events of a stream, or the one piece of a plain body.

    `usages` says, for a part's index, the usage figures that a reader of that part knows.
    """

    status: int
    parts: list[bytes]
    content_type: bytes = b"application/json"
    headers: Headers = field(default_factory=list)
    is_stream: bool = False
    usages: dict[int, dict[str, Any]] = field(default_factory=dict)

    def status_line(self) -> bytes:
        return b"HTTP/1.1 %d %b\r\n" % (self.status, _reason(self.status))


class ProviderError(Exception):
    """The provider refuses: becomes an answer in the documented error shape."""

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        type_: str = "",
        headers: Headers | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message or _ERROR_MESSAGES.get(status, "Internal server error")
        self.type = type_ or error_type(status)
        self.headers = headers or []


def error_type(status: int) -> str:
    return _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_body(error: ProviderError, request_id: str | None) -> bytes:
    """The documented shape; without an id as it stands inside a stream or a batch result."""
    shape: dict[str, Any] = {"type": "error", "error": {"type": error.type, "message": error.message}}
    if request_id is not None:
        shape["request_id"] = request_id
    return msgspec.json.encode(shape)


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, [msgspec.json.encode(value)])


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return _UNLISTED_REASONS.get(status, b"Unknown")
