"""`/api/keys`: versions, pages, and what is refused."""

from pathlib import Path
from typing import Any

import httpx

from headgate.access.client_keys import new_secret
from headgate.access.limits import Limits
from headgate.admin.owner import Owner
from tests.gateway import Gateway

OPEN: dict[str, Any] = {"access": {"api_keys": []}}


def test_a_change_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    with (
        Gateway(tmp_path, accounts=(), settings=OPEN) as gateway,
        httpx.Client(base_url=gateway.url) as owner,
    ):
        made = owner.post("/api/keys", json={"name": "laptop"})
        assert (made.status_code, made.headers["etag"]) == (201, '"1"')
        seen = {"if-match": made.headers["etag"]}
        changed = owner.patch("/api/keys/laptop", json={"note": "mine"}, headers=seen)
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
        for method, path, body in (
            ("PATCH", "/api/keys/laptop", {"note": "theirs"}),
            ("POST", "/api/keys/laptop/rotate", {}),
            ("DELETE", "/api/keys/laptop", None),
        ):
            late = owner.request(method, path, json=body, headers=seen)
            assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
        wrong = owner.patch("/api/keys/laptop", json={"note": "x"}, headers={"if-match": "two"})
        assert wrong.status_code == 400
        found = owner.get("/api/keys/laptop")
        assert (found.json()["note"], found.headers["etag"]) == ("mine", '"2"')
        assert (
            owner.patch("/api/keys/laptop", json={"note": "x"}, headers={"if-match": "*"}).status_code == 200
        )


async def test_a_change_by_another_gateway_is_not_overwritten(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """On one database with it, before its news are here: what is not sent stays."""
    await client.post("/api/keys", json={"name": "laptop"})
    await owner.client_keys.change("laptop", lambda _: {"limits": Limits(rpm=5)})
    changed = (await client.patch("/api/keys/laptop", json={"limits": {"tpm": 7}})).json()
    assert (changed["limits"]["rpm"], changed["limits"]["tpm"], changed["version"]) == (5, 7, 3)
    row = (await client.get("/api/audit", params={"action": "key.change"})).json()["changes"][0]
    assert (row["before"], row["after"]) == ({"limits": {"rpm": 5}}, {"limits": {"rpm": 5, "tpm": 7}})
    await owner.client_keys.create("fresh", new_secret(), {})
    assert (await client.delete("/api/keys/fresh")).json()["status"] == "revoked"


def test_many_keys_come_in_pages(tmp_path: Path) -> None:
    with Gateway(tmp_path, accounts=(), settings=OPEN) as gateway:
        for number in range(7):
            gateway.admin("/api/keys", method="POST", body={"name": f"key{number}"})
        names, cursor = [], "0"
        while cursor is not None:
            page = gateway.admin(f"/api/keys?limit=3&cursor={cursor}")
            names += [key["name"] for key in page["keys"]]
            cursor = page["next_cursor"]
            gateway.admin(f"/api/keys/{names[-1]}", method="DELETE")  # whoever does so passes over none
        assert names == [f"key{number}" for number in range(7)]
        assert gateway.ask("GET", "/api/keys?cursor=abc")[0] == 400
        page = gateway.admin("/api/keys?revoked=true&limit=2")
        rest = gateway.admin(f"/api/keys?revoked=true&limit=2&cursor={page['next_cursor']}")
        assert [key["name"] for key in page["keys"] + rest["keys"]] == ["key2", "key5", "key6"]
        assert rest["next_cursor"] is None
        status, answer = gateway.ask("GET", "/api/keys/key5")
        assert status == 404 and b"key5 was revoked at 2" in answer


def test_what_is_wrong_is_refused_and_makes_no_key(tmp_path: Path) -> None:
    """In our words, by the field."""
    over, far = {"expires_at": 1_700_000_000_000}, {"expires_at": 10**30}
    wrong: list[tuple[Any, str]] = [
        ({}, "name: is missing"),
        ({"name": ""}, "name: must begin with"),
        ({"name": "a/b"}, "name: must begin with"),
        ({"name": "a", "colour": "red"}, "colour: there is no such field"),
        ({"name": "a", "models": [""]}, "models: must hold no empty entry"),
        ({"name": "a", "models": "claude"}, "models: must be a list"),
        ({"name": "a", "expires_at": -1}, "expires_at: must be at least 0"),
        ({"name": "a", **over}, "expires_at: 2023-11-14T22:13:20Z is over"),
        ({"name": "a", **far}, "expires_at: must be at most"),
        ({"name": "a", "days_from_first_use": 0}, "days_from_first_use: must be at least 1"),
        ({"name": "a", "limits": {"rpm": "many"}}, "limits.rpm: must be a whole number"),
        ({"name": "a", "enabled": 1}, "enabled: must be true or false"),
        ({"name": "a", "key": "with space"}, "key: must be"),
        ({"name": "a", "key": ""}, "key: must not be empty"),
        ({"name": "a", "note": "x" * 1000}, "note: "),
        ({"name": "a", "note": "a\u0000b"}, "note: "),
        ({"name": "a", "tags": [f"t{number}" for number in range(2000)]}, "tags: "),
        ([], "body: "),
        (None, "The body is wanted as JSON"),
    ]
    with (
        Gateway(tmp_path, accounts=(), settings=OPEN) as gateway,
        httpx.Client(base_url=gateway.url) as owner,
    ):
        for body, words in wrong:
            answer = owner.post("/api/keys", json=body)
            assert answer.status_code == 400, answer.text
            assert answer.headers["content-type"].startswith("application/problem+json")
            assert answer.json()["code"] == "invalid_request"
            detail = answer.json()["detail"]
            assert detail.startswith(words) and "nput should" not in detail, (body, detail)
        assert gateway.admin("/api/keys")["keys"] == []
        owner.post("/api/keys", json={"name": "a"})
        refused = gateway.command("key", "set", "a", "--rpm", "0")
        assert (refused.returncode, refused.stderr.splitlines()[1]) == (2, "  why: --rpm: '0' is less than 1")


def test_a_name_that_is_not_there_is_met_with_the_near_ones(tmp_path: Path) -> None:
    with Gateway(tmp_path, accounts=(), settings=OPEN) as gateway:
        gateway.admin("/api/keys", method="POST", body={"name": "laptop"})
        status, answer = gateway.ask("GET", "/api/keys/lapto")
        assert status == 404
        assert b"did you mean laptop" in answer
