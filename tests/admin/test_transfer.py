"""Accounts out and in, as one piece."""

from typing import Any

import httpx

from headgate.admin.app import build_app
from headgate.admin.doors import as_local_owner
from headgate.admin.owner import Owner
from headgate.pool.accounts import Credential
from headgate.pool.faults import Fault
from headgate.storage.accounts import SETTINGS, AccountDraft
from tests.admin.conftest import add


async def exported(owner: Owner) -> list[dict[str, Any]]:
    """With secrets, as over the control socket."""
    app = as_local_owner(build_app(owner=owner))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://local") as local:
        answer = await local.get("/api/export/accounts?secrets=true")
        accounts: list[dict[str, Any]] = answer.json()["accounts"]
        return accounts


async def test_secrets_leave_over_the_control_socket_alone(client: httpx.AsyncClient, owner: Owner) -> None:
    """No admin key, no log-in and no page of another site gets them over TCP."""
    await add(client, "work", models=["a"], domain="team")
    refused = await client.get("/api/export/accounts?secrets=true")
    assert (refused.status_code, "sk-ant" in refused.text) == (401, False)
    without = await client.get("/api/export/accounts")
    assert (without.status_code, "sk-ant" in without.text) == (200, False)
    assert "api_key" not in without.json()["accounts"][0]
    assert [one["api_key"] for one in await exported(owner)] == ["sk-ant-work-secret"]


async def test_what_went_out_comes_in_again(client: httpx.AsyncClient, owner: Owner) -> None:
    """Every field, the pause too; and once more changes nothing."""
    await add(
        client, "work", models=["a"], domain="team", priority=3, weight=2, tier=5, base_url="http://h/x"
    )
    await add(client, "spare", email="a@b.example")
    await client.post("/api/accounts/spare/pause")
    accounts = await exported(owner)
    for name in ("work", "spare"):
        await client.delete(f"/api/accounts/{name}")
    answer = await client.post("/api/import/accounts", json={"accounts": accounts})
    assert answer.json() | {"dry_run": None} == {
        **{"added": ["work", "spare"], "changed": [], "unchanged": [], "conflicts": []},
        "dry_run": None,
    }
    assert await exported(owner) == accounts
    again = (await client.post("/api/import/accounts", json={"accounts": accounts})).json()
    assert (again["added"], again["changed"], again["unchanged"]) == ([], [], ["work", "spare"])


async def test_one_that_cannot_be_taken_keeps_out_all(client: httpx.AsyncClient, owner: Owner) -> None:
    """Every reason is said at once, a dry run says the same without refusing, and nothing is changed."""
    await add(client, "work")
    draft = AccountDraft(
        name="fixed", provider="anthropic", secret=Credential("sk-ant-fixed"), origin=SETTINGS
    )
    owner.pool.put(await owner.accounts.add(draft))
    before = await exported(owner)
    accounts = [
        {"name": "new", "api_key": "sk-ant-new"},
        {"name": "work", "priority": 7},
        {"name": "fixed", "priority": 7},
        {"name": "other", "api_key": "sk-ant-work-secret"},
        {"name": "keyless"},
        {"name": "twice", "api_key": "sk-ant-one"},
        {"name": "twice", "api_key": "sk-ant-one"},
    ]
    refused = await client.post("/api/import/accounts", json={"accounts": accounts})
    assert (refused.status_code, refused.json()["code"]) == (409, "import_refused")
    tried = (await client.post("/api/import/accounts", json={"accounts": accounts, "dry_run": True})).json()
    said = refused.json()["detail"]
    for words in (
        "work: there is an account of that name",
        "fixed: is declared in the settings",
        "other: has the same key as work",
        "keyless: has no api_key",
        "twice: is in it 2 times",
        "twice, twice: have the same key",
    ):
        assert words in said
        assert any(one.startswith(words) for one in tried["conflicts"])
    assert "sk-ant" not in said
    assert await exported(owner) == before


async def test_replacing_renews_an_account_in_place(client: httpx.AsyncClient, owner: Owner) -> None:
    """The id stays, a new key ends what the old one was refused for, no key leaves the one there."""
    await add(client, "work", weight=4)
    living = owner.pool.by_name("work")
    assert living is not None
    living.health.apply(Fault.REFUSED, reason="401", now=owner.clock.now())
    body = {"accounts": [{"name": "work", "api_key": "sk-ant-renewed"}], "replace": True}
    assert (await client.post("/api/import/accounts", json=body)).json()["changed"] == ["work"]
    renewed = owner.pool.by_name("work")
    assert renewed is living
    assert (str(renewed.status), renewed.account.credential, renewed.account.weight) == (
        "active",
        Credential("sk-ant-renewed"),
        1,
    )
    body = {"accounts": [{"name": "work", "tier": 2}], "replace": True}
    await client.post("/api/import/accounts", json=body)
    account = await owner.accounts.get("work")
    assert (account.credential, account.tier) == (Credential("sk-ant-renewed"), 2)


async def test_a_conflict_that_only_the_database_knows_rolls_all_back(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """An account that another process put in meanwhile."""
    draft = AccountDraft(name="unseen", provider="anthropic", secret=Credential("sk-ant-unseen"))
    await owner.accounts.add(draft)
    accounts = [{"name": "new", "api_key": "sk-ant-new"}, {"name": "unseen", "api_key": "sk-ant-other"}]
    answer = await client.post("/api/import/accounts", json={"accounts": accounts})
    assert answer.status_code == 409
    assert [one.name for one in await owner.accounts.list()] == ["unseen"]
    assert owner.pool.by_name("new") is None
