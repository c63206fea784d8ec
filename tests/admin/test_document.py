"""The OpenAPI document is whole. That it is true a running gateway shows: `journeys/test_openapi.py`."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs

from headgate.admin.app import openapi_document
from headgate.admin.doors import OPEN_PATHS
from headgate.admin.operations import OPERATIONS
from headgate.admin.owner import Owner

DOCUMENT = openapi_document("1.2.3")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and what is said of them."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(answer: dict[str, Any]) -> dict[str, Any]:
    """A failure stands once in the document, and routes point there."""
    name = answer.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["responses"][name] if name else answer
    return found


async def test_a_running_gateway_answers_it(client: httpx.AsyncClient, owner: Owner) -> None:
    """The same as without one, which knows its version alone."""
    answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == openapi_document(owner.version)


def test_every_route_has_its_words_and_every_word_a_route() -> None:
    """A new route is written down with what it is for and how it may fail."""
    assert {operation["operationId"] for _, _, operation in operations()} == OPERATIONS.keys()
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == tags


def test_every_answer_has_a_form_and_an_example() -> None:
    """But one that leads elsewhere has no body at all."""
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            content = resolved(answer).get("content", {})
            assert content or status == "302", f"{method} {path} {status}"
            for said in content.values():
                assert said["schema"] and "example" in said, f"{method} {path} {status}"


def test_every_example_is_one() -> None:
    """Of bodies and of answers: it fits the form beside it."""
    found = 0
    for _, _, operation in operations():
        answers = [resolved(answer) for answer in operation["responses"].values()]
        for part in [operation.get("requestBody", {}), *answers]:
            for said in part.get("content", {}).values():
                if "example" in said:
                    form = {**said["schema"], "components": DOCUMENT["components"]}
                    jsonschema_rs.validate(form, said["example"])
                    found += 1
    assert found > 100


def test_every_body_has_an_example() -> None:
    """A form with files has none that could be written down."""
    for path, method, operation in operations():
        for kind, said in operation.get("requestBody", {"content": {}})["content"].items():
            assert "example" in said or kind == "multipart/form-data", f"{method} {path} {kind}"


def test_failures_are_problems_and_each_route_names_its_own() -> None:
    """None of the framework's own form; a page at the end of a sign-in is for people as well."""
    for path, _, operation in operations():
        failures = {status: resolved(one) for status, one in operation["responses"].items() if status > "399"}
        assert {"400", "500"} <= failures.keys() and "422" not in failures, path
        assert all("application/problem+json" in one["content"] for one in failures.values()), path
        assert path in OPEN_PATHS or {"401", "403", "429"} <= failures.keys(), path
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]
    headers = {name: one["headers"].keys() for name, one in DOCUMENT["components"]["responses"].items()}
    assert all("x-headgate-error" in names for names in headers.values())
    assert "WWW-Authenticate" in headers["Unauthorized"] and "Retry-After" in headers["TooManyRequests"]


def test_it_says_who_may_ask() -> None:
    """One of three headers, or the cookie of a log-in, which needs its other token for a change."""
    keys = [{"adminKey": []}, {"dashboardKey": []}, {"managementKey": []}]
    for path, method, operation in operations():
        by_page = {"session": []} if method == "get" else {"session": [], "csrf": []}
        assert operation["security"] == ([] if path in OPEN_PATHS else [*keys, by_page]), f"{method} {path}"
    assert DOCUMENT["components"]["securitySchemes"].keys() == {
        *("adminKey", "dashboardKey", "managementKey", "session", "csrf")
    }


def test_a_change_of_a_key_can_name_the_version_that_was_seen() -> None:
    """ETag of the answer, If-Match of the next change, 412 when somebody else was there before."""
    one = DOCUMENT["paths"]["/api/keys/{name}"]
    assert "ETag" in one["get"]["responses"]["200"]["headers"]
    assert "412" in one["patch"]["responses"]
    assert "If-Match" in {parameter["name"] for parameter in one["patch"]["parameters"]}


def test_names_of_forms_are_one_word() -> None:
    """Two of one name would be told apart by their modules, which are nobody's business."""
    names = DOCUMENT["components"]["schemas"]
    assert [name for name in names if "__" in name or name.endswith(("-Input", "-Output"))] == []
