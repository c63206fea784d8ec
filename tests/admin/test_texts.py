"""NUL and halves of characters, on every route there is."""

import json
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from tests.admin.conftest import with_key
from tests.admin.test_app import every_route

BROKEN = ["\0", "\ud800", "a\udfffb"]


def _bodies(text: str) -> list[Any]:
    """As a value, as a name, deep inside, and as the whole."""
    return [{"name": text}, {"routing.strategy": text}, {text: 1}, {"models": ["fine", text]}, text]


@pytest.mark.parametrize("text", BROKEN)
async def test_text_that_nothing_can_hold_is_refused_on_every_route(owner: Owner, text: str) -> None:
    """With its field, and before anything is changed."""
    async with with_key(owner) as client:
        for method, path in every_route():
            if method in ("GET", "HEAD"):
                continue
            for body in _bodies(text):
                answer = await client.request(
                    method, path, content=json.dumps(body), headers={"content-type": "application/json"}
                )
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), path
                assert "must hold no NUL" in answer.json()["errors"][0]["message"]
    assert owner.settings == owner.configuration.loaded.origin.load().settings


async def test_nul_in_an_address_is_refused_on_every_route(owner: Owner) -> None:
    """PostgreSQL would fail on it."""
    async with with_key(owner) as client:
        for method, path in every_route():
            answers = [await client.request(method, f"{path}?account=a%00b")]
            if "some-name" in path:
                answers.append(await client.request(method, path.replace("some-name", "a%00b")))
            assert {answer.status_code for answer in answers} == {400}, path


async def test_the_place_is_named(client: httpx.AsyncClient) -> None:
    """As in every complaint about a field."""
    body = '{"accounts": [{"name": "fine", "domain": "\\ud83d"}]}'
    answer = await client.post(
        "/api/accounts/import", content=body, headers={"content-type": "application/json"}
    )
    assert [one["field"] for one in answer.json()["errors"]] == ["accounts.0.domain"]


async def test_bytes_that_are_no_text_are_refused(client: httpx.AsyncClient) -> None:
    """A half of a character can be written in plain bytes as well."""
    headers = {"content-type": "application/json"}
    for body in (b'{"strategy": "\xed\xa0\x80"}', '{"strategy": "session"}'.encode("utf-16")):
        answer = await client.put("/api/strategy", content=body, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (400, "body: is no UTF-8 text")


async def test_whole_pairs_pass(client: httpx.AsyncClient) -> None:
    """JSON may spell a character as two halves."""
    headers = {"content-type": "application/json"}
    body = b'{"strategy": "\\ud83d\\ude00"}'
    answer = await client.put("/api/strategy", content=body, headers=headers)
    assert answer.json()["code"] == "invalid_setting"
