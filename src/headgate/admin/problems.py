"""One shape for every failure of the owner's side: a problem document (RFC 9457, section 3).

`{"type","title","status","detail","code","hint"}`, and `errors` with field names where values were
wrong. `code` is the stable word to program against; `hint` says what mends it.
"""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from headgate.admin.key_lock import RETRY_AFTER_SECONDS
from headgate.errors import (
    AdminKeyRequired,
    ClientLeft,
    HeadgateError,
    InvalidAccountName,
    InvalidRequest,
    NotFound,
    TooManyGuesses,
)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One value that was wrong."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong, why, and what mends it."""

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str
    code: str = Field(description="Stable word for programs.")
    hint: str = Field(default="", description="What mends it; may be empty.")
    errors: list[FieldProblem] = Field(default_factory=list)


_MOST_NAMED = 50
"""Values that were wrong: of a megabyte of them nobody reads more, and the answer would be five."""
_MOST_OF_A_NAME = 128

_EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: (
        "invalid_request",
        "limit: must be at least 1",
        "Correct the fields named.",
    ),
    401: ("admin_key_required", "The request carries no valid admin key", "Send the value of admin.key."),
    403: ("csrf_token_required", "The request is without X-Headgate-CSRF", "Send the log-in's csrf_token."),
    404: ("not_found", "There is no client key named lapto", "headgate key list shows all."),
    409: ("conflict", "An account is already called work.", "Choose another name."),
    412: ("changed_meanwhile", "The client key laptop has version 4 by now.", "Look at it again."),
    413: ("request_too_large", "The body is larger than 1048576 bytes.", "Send it in several requests."),
    429: ("too_many_guesses", "More keys are sent than can be verified", "Ask again."),
    500: ("internal_error", "Something unexpected went wrong", "The log has the stack trace."),
    501: ("not_offered", "The log is not deleted from afar", "log.max_bytes says how much is kept."),
    503: ("storage_failed", "The database does not answer", "See that its server runs."),
}
"""What a failure of each status may be: code, detail, hint."""

STATUSES = tuple(_EXAMPLES)
"""Those of failures in the OpenAPI document."""

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "list_type": "must be a list",
}
"""What the validating library says in its own words."""

_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "How one may ask."},
    429: {"Retry-After": "Seconds."},
    500: {"x-headgate-request-id": "The log has the stack trace under it."},
}


def response(status: int) -> dict[str, Any]:
    """A failure of this status, as the OpenAPI document has it."""
    code, detail, hint = _EXAMPLES[status]
    headers = {"x-headgate-error": "The `code` of the body.", **_HEADERS.get(status, {})}
    example = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, hint=hint)
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {
            name: {"description": words, "required": True, "schema": {"type": "string"}}
            for name, words in headers.items()
        },
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example.model_dump(exclude={"errors"}),
            }
        },
    }


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    errors: Iterable[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The answer for one failure; `errors` stays out of the document when there are none."""
    document = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        errors=list(errors),
    )
    body = document.model_dump(exclude=set() if document.errors else {"errors"})
    return JSONResponse(
        body, status_code=status, media_type=MEDIA_TYPE, headers={"x-headgate-error": code, **(headers or {})}
    )


def from_error(error: HeadgateError) -> JSONResponse:
    headers = {}
    if isinstance(error, AdminKeyRequired):
        headers["www-authenticate"] = 'Bearer realm="headgate"'
    elif isinstance(error, TooManyGuesses):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return problem(error.status, error.code, error.message, hint=error.hint, headers=headers)


def nothing_at(path: str) -> JSONResponse:
    """The answer for a path that is nobody's, and for one of which nobody is to know that it is there."""
    hint = "GET /openapi.json lists the owner's routes."
    return problem(404, NotFound.code, f"There is nothing at {path}", hint=hint)


def install(
    app: FastAPI, routes: Sequence[BaseRoute], *, wrong_path: Callable[[str], HeadgateError | None]
) -> None:
    """Make `app` answer every failure of its `routes` in this shape. `wrong_path` may know why a path leads
    nowhere."""

    async def router_refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.NOT_FOUND and (why := wrong_path(request.url.path)) is not None:
            return from_error(why)
        return _router_refused(request, error, allowed_methods(routes, request.scope))

    app.add_exception_handler(ClientLeft, _nobody_hears)
    app.add_exception_handler(HeadgateError, _headgate_error)
    app.add_exception_handler(RequestValidationError, _wrong_values)
    app.add_exception_handler(HTTPException, router_refused)


async def _headgate_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadgateError)
    return from_error(error)


async def _nobody_hears(_: Request, error: Exception) -> Response:
    assert isinstance(error, ClientLeft)
    return Response(status_code=error.status)


async def _wrong_values(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    sent_as = request.headers.get("content-type")
    if errors[0]["loc"] == ("body",) and not _is_json(sent_as):
        return problem(
            400,
            InvalidRequest.code,
            f"The body is wanted as JSON and was sent as {sent_as or 'nothing that is named'}",
            hint="Send the header content-type: application/json with it.",
        )
    found = [FieldProblem(field=_field_name(one), message=_message(one)) for one in errors[:_MOST_NAMED]]
    detail = "; ".join(f"{one.field}: {one.message}" for one in found)
    if len(errors) > len(found):
        detail += f"; and {len(errors) - len(found)} more"
    is_name = {one["type"] for one in errors} == {"account_name"}
    code = InvalidAccountName.code if is_name else InvalidRequest.code
    is_broken = errors[0]["type"] == "json_invalid"
    hint = "Send the body as JSON." if is_broken else "Correct the fields named."
    return problem(400, code, detail, hint=hint, errors=found)


def _is_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _message(error: dict[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"is no JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
    words = _WORDS.get(error["type"], "").format(**error.get("ctx", {}))
    return words or str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")


def _field_name(error: dict[str, Any]) -> str:
    """`("body", "models", 0)` -> `models.0`; the place alone (`body`) when there is nothing more."""
    location = error["loc"]
    if error["type"] == "json_invalid":
        return str(location[0])
    return ".".join(str(part)[:_MOST_OF_A_NAME] for part in location[1:]) or str(location[0])


def _router_refused(request: Request, error: HTTPException, allowed: set[str]) -> JSONResponse:
    if isinstance(error.__cause__, HeadgateError):  # raised while FastAPI read the body
        return from_error(error.__cause__)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return nothing_at(request.url.path)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = ", ".join(sorted(allowed))
        return problem(
            405,
            "method_not_allowed",
            f"{request.url.path} does not take {request.method}",
            hint=f"It takes {methods}.",
            headers={"allow": methods},
        )
    hint = ""
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__ is not None:  # FastAPI's, of the body
        hint = "Send it as JSON in UTF-8, with less than a hundred brackets in each other."
    detail, headers = str(error.detail), dict(error.headers or {})
    return problem(error.status_code, InvalidRequest.code, detail, hint=hint, headers=headers)


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> set[str]:
    """All methods of a path: the router alone names only those of the first route that matches it."""
    return {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def schemas() -> dict[str, Any]:
    """JSON Schemas of the document and its parts, for the OpenAPI document."""
    whole = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs", {}), "Problem": whole}
