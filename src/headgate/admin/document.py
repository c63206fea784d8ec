"""The owner's side as an OpenAPI document: of `GET /openapi.json`, and of `headgate openapi` without one.

Paths, parameters and forms are read from the routes, purposes and failures from `operations.py`.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from headgate.admin import problems
from headgate.admin.doors import OPEN_PATHS
from headgate.admin.entrance import LOOKS
from headgate.admin.examples import example_of
from headgate.admin.management_forms import PREFIX
from headgate.admin.operations import OPERATIONS, Operation
from headgate.admin.sessions import COOKIE

_ABOUT = """\
For the owner of the gateway: scripts, programs, the dashboard. Clients speak their provider's own API.

**Who may ask**: whoever sends the admin key in one of three headers; a page that has logged in by
`POST /api/session`, which sends `X-Headgate-CSRF` with all that is no GET; this machine, while no admin key
is set. What is below `/v0/management` is there only while one is set. The control socket asks for nothing.

**Failures** are `application/problem+json` (RFC 9457). `code`, also in the header `x-headgate-error`, is the
stable word; `hint` says what mends it. Another method than those here is a 405 with `Allow`.

**Times** are Unix milliseconds in fields that end in `_at`, else it is said. Money is USD.

**Before any route** the listener answers 400 to what is no HTTP, 408, 431, and 503 to a crowd, in the form
of a client's API.
"""

_WAYS_IN: dict[str, dict[str, Any]] = {
    "adminKey": {"type": "http", "scheme": "bearer", "description": "The setting `admin.key`."},
    "dashboardKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Dashboard-Key",
        "description": "The admin key, for whoever has to send another `Authorization`. It counts first.",
    },
    "managementKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Management-Key",
        "description": "The admin key, as another gateway's scripts send it.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Of `POST /api/session`. A page has to be of the gateway's own origin.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Headgate-CSRF",
        "description": "Beside the cookie: the `csrf_token` that the log-in answered.",
    },
}
_KEYS: list[dict[str, list[str]]] = [{name: []} for name in ("adminKey", "dashboardKey", "managementKey")]
_TO_LOOK: list[dict[str, list[str]]] = [*_KEYS, {"session": []}]
_TO_CHANGE: list[dict[str, list[str]]] = [*_KEYS, {"session": [], "csrf": []}]

_WITH_ETAG = frozenset({"create_client_key", "get_client_key", "change_client_key", "rotate_client_key"})
_ETAG = {
    "ETag": {
        "description": "Send it as If-Match with a change, and none that others made meanwhile is lost.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        "example": '"3"',
    }
}
_TEXT = {"type": "string"}
_TAGS = {
    "health": "Is it up, can it serve.",
    "session": "Log-ins of browsers.",
    "status": "What it does right now.",
    "accounts": "What requests are spent on.",
    "sign-in": "How an account signs in and stays signed in.",
    "keys": "Whom the gateway lets in.",
    "strategy": "How an account is chosen.",
    "config": "The settings, shown and changed while it runs.",
    "requests": "What was asked, how it ended, what it used.",
    "conversations": "Which requests belong together: branches, sub-agents.",
    "logs": "The log file.",
    "data": "The history and the database.",
    "audit": "What the owner changed.",
    "document": "This document.",
    "management": "The routes of another gateway, for its scripts: there while an admin key is set.",
}


def _events(model: str, **example: str) -> dict[str, Any]:
    """Server-sent events of which each holds one of `model`; the schema is that of one event."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"#/components/schemas/{model}"},
    }
    schema = {"type": "object", "required": ["data"], "properties": {"id": _TEXT, "data": data}}
    return {"text/event-stream": {"schema": schema, "example": example}}


_OTHER_ANSWERS: dict[str, dict[str, Any]] = {
    "stream_requests": _events("RequestView", id="42", data='{"id":"hg_0123456789abcdef","status":200}'),
    "stream_logs": _events("LogEntry", data='{"level":"info","message":"Account work paused"}'),
    "export_requests": {
        "text/csv": {
            "schema": _TEXT,
            "example": "time,id,status\r\n2026-11-18T11:06:40+00:00,hg_01,200\r\n",
        },
        "application/jsonl": {"schema": _TEXT, "example": '{"id":"hg_01","status":200}\n'},
    },
    "get_body": {
        "application/octet-stream": {"schema": _TEXT, "example": '{"model":"claude-sonnet-4-5"}'},
        "application/json": {"schema": {"type": "object"}, "example": {"model": "claude-sonnet-4-5"}},
        "text/event-stream": {"schema": _TEXT, "example": 'event: ping\ndata: {"type":"ping"}\n\n'},
        "text/plain": {"schema": _TEXT, "example": "what was said"},
    },
    "prometheus_metrics": {
        "text/plain": {"schema": _TEXT, "example": "headgate_requests_in_flight 2.0\n"},
        "application/openmetrics-text": {
            "schema": _TEXT,
            "example": "headgate_requests_in_flight 2.0\n# EOF\n",
        },
    },
    "management_config_yaml": {
        "application/yaml": {
            "schema": {"type": ["object", "null"]},
            "example": {"routing": {"strategy": "session"}, "admin": {"key": "***"}},
        }
    },
    "openapi": {
        "application/json": {
            "schema": {"type": "object", "required": ["openapi", "info", "paths"]},
            "example": {"openapi": "3.1.0", "info": {"title": "Headgate", "version": "0.1.0"}, "paths": {}},
        }
    },
    "sign_in_callback": {
        "text/html": {"schema": _TEXT, "example": "<!doctype html><title>Headgate: Signed in</title>"}
    },
}
"""Answers that no model says."""

router = APIRouter(tags=["document"])


@router.get("/openapi.json", operation_id="openapi")
def openapi(request: Request) -> JSONResponse:
    """`headgate openapi` prints it as well. In a thread: the first time it takes a while."""
    return JSONResponse(request.app.openapi())


def document_of(routes: Sequence[BaseRoute], version: str) -> dict[str, Any]:
    """Of these routes alone: nothing of a gateway has a say in it."""
    whole = get_openapi(
        title="Headgate",
        summary="The owner's side of the gateway.",
        description=_ABOUT,
        version=version,
        routes=routes,
        tags=[{"name": name, "description": words} for name, words in _TAGS.items()],
    )
    components = whole["components"]
    schemas = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= problems.schemas()
    components["responses"] = {
        _failure_name(status): problems.response(status) for status in problems.STATUSES
    }
    components["securitySchemes"] = _WAYS_IN
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            _complete(operation, path, method.upper(), schemas)
    return whole


def _complete(operation: dict[str, Any], path: str, method: str, schemas: dict[str, Any]) -> None:
    name = operation["operationId"]
    known = OPERATIONS.get(name) or Operation(operation["summary"])
    operation["summary"] = known.summary
    operation["security"] = [] if path in OPEN_PATHS else _TO_LOOK if method in LOOKS else _TO_CHANGE
    if known.sent is not None:
        for media_type, content in operation["requestBody"]["content"].items():
            if media_type != "multipart/form-data":
                content["example"] = known.sent
    answers = {status: one for status, one in operation["responses"].items() if status != "422"}
    if 501 in known.fails and method in ("GET", "DELETE"):  # it never succeeds
        answers.pop("200")
    _complete_successes(name, answers, schemas)
    for status in _failures(operation, known, path):
        answers[str(status)] = {"$ref": f"#/components/responses/{_failure_name(status)}"}
    if name == "sign_in_callback":
        answers |= {str(status): _page_of_failure(status) for status in (400, 409, 503)}
    operation["responses"] = dict(sorted(answers.items()))


def _complete_successes(name: str, answers: dict[str, Any], schemas: dict[str, Any]) -> None:
    for status, answer in answers.items():
        answer["description"] = HTTPStatus(int(status)).phrase
        if name in _OTHER_ANSWERS:
            answer["content"] = _OTHER_ANSWERS[name]
            continue
        if name in _WITH_ETAG:
            answer["headers"] = _ETAG
        content = answer.get("content", {}).get("application/json")
        if content is not None:
            content["example"] = example_of(content["schema"], schemas)


def _failures(operation: dict[str, Any], known: Operation, path: str) -> Iterator[int]:
    """Those of all routes, those of the door, and its own."""
    yield from (400, 500)
    if path not in OPEN_PATHS:
        yield from (401, 403, 429)
    if "requestBody" in operation:
        yield 413
    if path.startswith(PREFIX + "/"):
        yield 404  # while no admin key is set
    yield from known.fails


def _failure_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _page_of_failure(status: int) -> dict[str, Any]:
    """For a person; what is wrong with the address itself is said to a program."""
    answer = problems.response(status)
    del answer["headers"]
    return {**answer, "content": {**_OTHER_ANSWERS["sign_in_callback"], **answer["content"]}}
