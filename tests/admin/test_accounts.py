"""The owner's accounts over HTTP: saved, in force in the pool, and never with a secret."""

from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.pool.accounts import Credential, Kind
from headgate.pool.faults import Fault
from headgate.storage.drafts import SETTINGS, AccountDraft
from tests.admin.conftest import add

CONTRACT_FIELDS = {
    *("name", "provider", "kind", "email", "domain", "tier", "priority", "weight", "status"),
    *("is_active", "paused", "expires_at", "rate_limit_status", "rate_limit_reset", "windows"),
    *("request_count", "error_count", "in_flight", "last_used_at", "skipped_because", "account_tier"),
}


async def test_an_account_added_is_saved_and_serves_at_once(client: httpx.AsyncClient, owner: Owner) -> None:
    """In the database and in the living pool before the answer: no restart, no delay."""
    account = await add(client, "work", tier=5, models=["claude-sonnet-4-5"], priority=2, weight=3)
    assert account["status"] == "active"
    assert account["is_active"] is True
    assert [one.name for one in await owner.accounts.list()] == ["work"]
    living = owner.pool.by_name("work")
    assert living is not None
    assert living.account.credential.secret == "sk-ant-work-secret"
    assert (living.account.tier, living.account.priority, living.account.weight) == (5, 2, 3)


async def test_the_list_has_every_promised_field_and_no_secret(client: httpx.AsyncClient) -> None:
    """In the order in which the accounts were put in."""
    await add(client, "zebra")
    await add(client, "ant")
    answer = await client.get("/api/accounts")
    accounts = answer.json()["accounts"]
    assert [one["name"] for one in accounts] == ["zebra", "ant"]
    assert accounts[0].keys() >= CONTRACT_FIELDS
    assert accounts[0]["account_tier"] == accounts[0]["tier"] == 1
    assert "secret" not in answer.text


async def test_a_pause_acts_on_the_pool_and_survives_a_restart(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """Pausing what is paused is no error: a script may be run twice."""
    await add(client, "work")
    for _ in range(2):
        paused = (await client.post("/api/accounts/work/pause")).json()
        assert (paused["status"], paused["paused"], paused["is_active"]) == ("paused", True, False)
        assert paused["skipped_because"] == "paused"
    assert (await owner.accounts.get("work")).paused is True
    assert owner.pool.explain("anthropic", None) == {"work": "paused"}
    resumed = (await client.post("/api/accounts/work/resume")).json()
    assert (resumed["status"], resumed["skipped_because"]) == ("active", None)
    assert (await owner.accounts.get("work")).paused is False


async def test_resume_ends_a_refusal_but_not_a_stated_limit(client: httpx.AsyncClient, owner: Owner) -> None:
    """What waits for the owner is over when the owner says so; a provider's reset is the provider's."""
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    now = owner.clock.now()
    living.health.apply(Fault.REFUSED, reason="invalid x-api-key", now=now)
    refused = (await client.get("/api/accounts/work")).json()
    assert (refused["status"], refused["rate_limit_reset"]) == ("needs_reauth", None)
    assert (await client.post("/api/accounts/work/resume")).json()["status"] == "active"
    living.health.apply(Fault.LIMITED, until=now + 500, now=now)
    limited = (await client.post("/api/accounts/work/resume")).json()
    assert (limited["status"], limited["rate_limit_status"]) == ("rate_limited", "limited")
    assert limited["rate_limit_reset"] == pytest.approx(now + 500)


async def test_reauth_takes_a_new_secret_and_forgets_the_refusal(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """An account whose secret the settings declare would lose it at the next start: refused."""
    await add(client, "work")
    living = owner.pool.by_name("work")
    assert living is not None
    living.health.apply(Fault.REFUSED, reason="401", now=owner.clock.now())
    renewed = await client.post("/api/accounts/work/reauth", json={"api_key": "sk-ant-new"})
    assert (renewed.status_code, renewed.json()["status"]) == (200, "active")
    assert "sk-ant" not in renewed.text
    assert (await owner.accounts.get("work")).credential.secret == "sk-ant-new"
    secret = Credential("sk-ant-file")
    draft = AccountDraft(name="declared", provider="anthropic", secret=secret, origin=SETTINGS)
    owner.pool.put(await owner.accounts.add(draft))
    refused = await client.post("/api/accounts/declared/reauth", json={"api_key": "sk-ant-other"})
    assert refused.status_code == 409


async def test_a_change_touches_only_the_fields_that_were_sent(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """A rename keeps id and health; null empties a field; a new key replaces the old one."""
    await add(client, "work", base_url="http://127.0.0.1:9/base/", domain="a.example", weight=7)
    before = owner.pool.by_name("work")
    assert before is not None
    answer = await client.patch(
        "/api/accounts/work",
        json={"name": "office", "base_url": None, "priority": 4, "api_key": "sk-ant-new"},
    )
    changed = answer.json()
    assert (changed["name"], changed["base_url"], changed["priority"]) == ("office", None, 4)
    assert (changed["domain"], changed["weight"]) == ("a.example", 7)
    living = owner.pool.by_name("office")
    assert living is not None
    assert (living.account.id, living.account.credential.secret) == (before.id, "sk-ant-new")
    assert owner.pool.by_name("work") is None


async def test_a_removed_account_is_gone_from_pool_and_database(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """The answer names it; asking for it again is the answer for a name that nobody has."""
    await add(client, "work")
    answer = await client.delete("/api/accounts/work")
    assert answer.json() == {"removed": "work"}
    assert (await owner.accounts.list(), owner.pool.by_name("work")) == ((), None)
    assert (await client.delete("/api/accounts/work")).status_code == 400


async def test_an_account_of_the_settings_is_not_removed_but_explained(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """It would come back at the next start: a removal that does not last is none."""
    draft = AccountDraft(
        name="fixed",
        provider="anthropic",
        kind=Kind.API_KEY,
        secret=Credential("sk-ant-fixed"),
        origin=SETTINGS,
    )
    owner.pool.put(await owner.accounts.add(draft))
    answer = await client.delete("/api/accounts/fixed")
    assert answer.status_code == 409
    assert "settings" in answer.json()["detail"]
    assert owner.pool.by_name("fixed") is not None


async def test_a_rename_keeps_id_health_and_what_runs(client: httpx.AsyncClient, owner: Owner) -> None:
    """The living account is the same object; a taken name is refused, its own is no error."""
    await add(client, "work")
    await add(client, "spare")
    living = owner.pool.by_name("work")
    assert living is not None
    living.in_flight = 3
    living.health.apply(Fault.LIMITED, until=owner.clock.now() + 500, now=owner.clock.now())
    renamed = await client.post("/api/accounts/work/rename", json={"name": "office"})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["in_flight"]) == (200, "office", 3)
    assert (owner.pool.by_name("office"), owner.pool.by_name("work")) == (living, None)
    assert str(living.status) == "rate_limited"
    taken = await client.post("/api/accounts/office/rename", json={"name": "spare"})
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert (await client.post("/api/accounts/office/rename", json={"name": "office"})).status_code == 200


async def test_a_change_that_is_refused_changes_nothing_of_it(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """A new name beside a key that another account has: neither."""
    await add(client, "work")
    await add(client, "spare")
    body = {"name": "office", "priority": 9, "api_key": "sk-ant-spare-secret"}
    assert (await client.patch("/api/accounts/work", json=body)).status_code == 409
    assert [one.name for one in await owner.accounts.list()] == ["work", "spare"]
    assert (await owner.accounts.get("work")).priority == 0
    assert owner.pool.by_name("work") is not None


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("PATCH", "", {"priority": 1}),
        ("POST", "/rename", {"name": "other"}),
        ("POST", "/reauth", {"api_key": "sk-ant-other"}),
        ("DELETE", "", None),
    ],
)
async def test_what_the_settings_declare_is_changed_there(
    client: httpx.AsyncClient, owner: Owner, method: str, below: str, body: dict[str, Any] | None
) -> None:
    """The next start would undo it: a change that does not last is none."""
    draft = AccountDraft(
        name="fixed", provider="anthropic", secret=Credential("sk-ant-fixed"), origin=SETTINGS
    )
    owner.pool.put(await owner.accounts.add(draft))
    answer = await client.request(method, f"/api/accounts/fixed{below}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "`accounts` in the settings file" in answer.json()["hint"]
    assert (await owner.accounts.get("fixed")).priority == 0


@pytest.mark.parametrize("path", ["a%2Fb", "a%2Fb/pause", "%2F", "", "w%0Ark"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_a_name_that_cannot_be_one_is_a_400(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Whatever stands in the path where a name is wanted, and near names are said."""
    await add(client, "work")
    answer = await client.request(method, f"/api/accounts/{path}", json={} if method == "PATCH" else None)
    if method == "POST" and path == "w%0Ark":
        assert answer.status_code == 405  # there is nothing that could be posted to an account itself
        return
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_account")
    if path == "w%0Ark":
        assert "named 'w\\nrk'; did you mean work?" in answer.json()["detail"]


async def test_a_path_below_a_known_account_is_not_taken_for_a_name(client: httpx.AsyncClient) -> None:
    """There the path is wrong, not the name."""
    await add(client, "work")
    assert (await client.post("/api/accounts/work/frobnicate")).status_code == 404
    assert (await client.get("/api/accounts/work/pause")).status_code == 405


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_name_is_a_400_with_near_matches(client: httpx.AsyncClient, method: str) -> None:
    """Never 404 and never 500: the path is right, the name is not."""
    await add(client, "work-laptop")
    await add(client, "spare")
    answer = await client.request(method, "/api/accounts/work-lapop", json={} if method == "PATCH" else None)
    assert answer.status_code == 400
    assert answer.json()["code"] == "unknown_account"
    assert "did you mean work-laptop?" in answer.json()["detail"]


async def test_the_same_name_and_the_same_secret_are_refused(client: httpx.AsyncClient, owner: Owner) -> None:
    """One key under two names would be limited twice as fast as it looks."""
    await add(client, "work")
    same_name = {"name": "work", "api_key": "sk-ant-other"}
    same_secret = {"name": "other", "api_key": "sk-ant-work-secret"}
    for body, named in ((same_name, "work"), (same_secret, "work")):
        answer = await client.post("/api/accounts", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert named in answer.json()["detail"]
        assert "sk-ant" not in answer.text
    assert len(owner.pool.living) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "ä"}, "name"),
        ({"api_key": " "}, "api_key"),
        ({"api_key": "sk-ant\r\nx: y"}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"base_url": "ftp://host"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://host:99999"}, "base_url"),
        ({"base_url": "http://user:pw@host"}, "base_url"),
        ({"proxy": "ftp://me:sk-ant-secret@127.0.0.1"}, "proxy"),
        ({"weight": 0}, "weight"),
        ({"tier": "big"}, "tier"),
        ({"models": "one"}, "models"),
        ({"models": ["one", ""]}, "models.1"),
        ({"wieght": 2}, "wieght"),
        ({"provider": "antropic"}, "provider"),
    ],
)
async def test_a_wrong_value_is_a_400_that_names_its_field(
    client: httpx.AsyncClient, owner: Owner, wrong: dict[str, Any], field: str
) -> None:
    """Nothing is added, and no secret is said back."""
    body = {"name": "work", "api_key": "sk-ant-secret", **wrong}
    answer = await client.post("/api/accounts", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(f"{field}: ")
    assert "sk-ant" not in answer.text
    assert not owner.pool.living
