"""What the owner sends about an account."""

import httpx
import pytest

from tests.admin.conftest import add


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("a b/c", "a-b-c"),
        ("../../etc", "etc"),
        ("ä", ""),
        ("-x", "x"),
        ("n" * 129, "n" * 128),
        ("a\nb", "a-b"),
    ],
)
async def test_a_name_that_cannot_be_one_is_explained(
    client: httpx.AsyncClient, name: str, near: str
) -> None:
    """In words, not as an expression, with one that would do; added, renamed and imported alike."""
    await add(client, "work")
    key = "sk-ant-other"
    for path, body, field in (
        ("/api/accounts", {"name": name, "api_key": key}, "name"),
        ("/api/accounts/work/rename", {"name": name}, "name"),
        ("/api/import/accounts", {"accounts": [{"name": name, "api_key": key}]}, "accounts.0.name"),
    ):
        answer = await client.post(path, json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "invalid_account_name")
        assert problem["detail"].startswith(f"{field}: must begin with a letter or digit")
        assert problem["detail"].endswith(f"; {near} would do" if near else "@ + -")
    assert [one["name"] for one in (await client.get("/api/accounts")).json()["accounts"]] == ["work"]


@pytest.mark.parametrize("key", ["file:/etc/key", "${KEY}"])
async def test_a_key_is_wanted_itself(client: httpx.AsyncClient, key: str) -> None:
    """The settings know references; here one would be sent to the provider as if it were the key."""
    answer = await client.post("/api/accounts", json={"name": "work", "api_key": key})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "api_key: must be the key itself, not where it is found"


async def test_an_address_that_would_break_a_request_line_is_refused(client: httpx.AsyncClient) -> None:
    """Its path goes into every request of the account as it stands."""
    for tail in ("a b", "\r\nX: y", "ä"):
        account = {"name": "odd", "api_key": "sk-ant-odd", "base_url": f"https://example.com/{tail}/x"}
        answer = await client.post("/api/accounts", json=account)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "base_url")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/accounts", {"name": "a", "api_key": "sk-a", "weight": "5"}, "weight"),
        ("/api/accounts", {"name": "a", "api_key": "sk-a", "priority": True}, "priority"),
        ("/api/import/keys", {"keys": [], "dry_run": 0}, "dry_run"),
        ("/api/keys", {"name": "a", "limits": {"rpm": "60"}}, "limits.rpm"),
        ("/api/keys", {"name": "a", "enabled": "no"}, "enabled"),
        ("/api/history/clear", {"before": "0"}, "before"),
        ("/api/history/clear", {"deleted_before": False}, "deleted_before"),
    ],
)
async def test_what_only_looks_like_a_value_is_refused(
    client: httpx.AsyncClient, path: str, body: dict[str, object], field: str
) -> None:
    """The document says which type a field has; a text for a number is a mistake somewhere."""
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["errors"]] == [field]
