"""The app as a whole: every route closed, every failure in one shape."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from headgate.admin.app import ROUTES, build_app
from headgate.admin.doors import OPEN_PATHS
from headgate.admin.owner import Owner
from tests.admin.conftest import set_up
from tests.admin.serving import served


def every_route() -> list[tuple[str, str]]:
    """Method and path of each route, its parameters filled in."""
    return [
        (method, re.sub(r"\{[^}]*\}", "some-name", route.path))
        for route in ROUTES
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


@pytest.fixture
def locked(owner: Owner) -> Owner:
    set_up(owner, admin={"key": "the-key"})
    return owner


async def test_every_route_is_closed_unless_listed_as_open(locked: Owner) -> None:
    """A new route is closed by doing nothing; opening one means changing this list of five."""
    async with served(build_app(owner=locked)) as client:
        for method, path in every_route():
            status = (await client.request(method, path)).status_code
            assert (status != 401) == (path in OPEN_PATHS), f"{method} {path} answered {status}"
    assert set(OPEN_PATHS) == {
        *("/health", "/healthz", "/ready", "/v1/metrics/providers", "/oauth/callback", "/api/session")
    }


async def test_the_route_list_is_whole(owner: Owner) -> None:
    """What the document describes is what the walk above walks."""
    paths = build_app(owner=owner).openapi()["paths"]
    walked = {route.path for route in ROUTES if isinstance(route, Route)}
    assert set(paths) == walked


async def test_unknown_paths_tell_a_stranger_nothing(locked: Owner) -> None:
    """Without the key every closed path looks alike."""
    async with served(build_app(owner=locked)) as client:
        assert (await client.get("/api/nothing")).status_code == 401
        answer = await client.get("/api/nothing", headers={"authorization": "Bearer the-key"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_key_changed_while_running_is_in_force_at_once(locked: Owner) -> None:
    """The door asks the settings in force, not those of the start."""
    async with served(build_app(owner=locked)) as client:
        headers = {"x-management-key": "the-key"}
        assert (await client.get("/status", headers=headers)).status_code == 200
        set_up(locked, admin={"key": "another"})
        assert (await client.get("/status", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/accounts", "GET, POST"),
        ("POST", "/api/accounts/some-name", "DELETE, GET, PATCH"),
        ("POST", "/health", "GET, HEAD"),
        ("GET", "/api/accounts/some-name/pause", "POST"),
    ],
)
async def test_a_wrong_method_names_all_that_the_path_takes(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """RFC 9110, section 15.5.6: a 405 carries `Allow` with every method of the path."""
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"strategy": 7}', b"\xff\xfe", b'"text"', b'{"strategy": \xff}', b"[" * 9000]
)
async def test_a_broken_body_is_a_problem_not_a_crash(client: httpx.AsyncClient, body: bytes) -> None:
    """Every failure is `application/problem+json` with status, title, detail and code."""
    answer = await client.put("/api/strategy", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (400, "Bad Request")
    assert problem["detail"] and problem["hint"]
    assert answer.headers["x-headgate-error"] == problem["code"] == "invalid_request"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_that_was_not_sent_as_json_is_told_so(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    """`curl -d` without a header is how it happens: the mend is the header."""
    headers = {"content-type": content_type} if content_type else {}
    answer = await client.post("/api/accounts", content=b'{"name": "work", "api_key": "k"}', headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "invalid_request")
    assert problem["detail"].endswith(f"was sent as {content_type or 'nothing that is named'}")
    assert "content-type: application/json" in problem["hint"]


async def test_broken_json_is_told_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.put(
        "/api/strategy", content=b'{"strategy": }', headers={"content-type": "application/json"}
    )
    assert answer.json()["detail"] == "body: is no JSON: Expecting value at character 13"
    assert answer.json()["hint"] == "Send the body as JSON."


async def test_of_many_wrong_values_some_are_named(client: httpx.AsyncClient) -> None:
    """An answer is never larger than what it answers."""
    answer = await client.post("/api/keys", json={"k" * 500 + str(one): 1 for one in range(1500)})
    problem = answer.json()
    assert answer.status_code == 400 and len(answer.content) < 20_000
    assert problem["detail"].endswith("; and 1451 more") and len(problem["errors"]) == 50


def _numbers(document: dict[str, Any], node: Any) -> Iterator[dict[str, Any]]:
    """Every schema of a number in one that a request has to fit."""
    if isinstance(node, list):
        for item in node:
            yield from _numbers(document, item)
    elif isinstance(node, dict):
        if "$ref" in node:
            yield from _numbers(document, document["components"]["schemas"][node["$ref"].split("/")[-1]])
        if node.get("type") in ("integer", "number"):
            yield node
        for value in node.values():
            yield from _numbers(document, value)


async def test_every_number_of_a_request_ends_somewhere(owner: Owner) -> None:
    """In bodies, questions and headers: what no database column can hold never gets to it."""
    document = build_app(owner=owner).openapi()
    found = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            asked = [operation.get("parameters", []), operation.get("requestBody", {})]
            for number in _numbers(document, asked):
                found += 1
                assert {"minimum", "maximum"} <= set(number), f"{method} {path}: {number}"
    assert found > 15
