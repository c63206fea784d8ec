"""Accounts out and in, as one piece."""

import json
from typing import Any

import httpx

from headgate.admin.app import build_app
from headgate.admin.doors import as_local_owner
from headgate.admin.owner import Owner
from headgate.pool.accounts import Credential
from headgate.pool.faults import Fault
from headgate.storage.drafts import SETTINGS, AccountDraft
from headgate.storage.secrets import SecretBox
from headgate.storage.sign_ins import SignInStore
from tests.admin.conftest import add


def _box(owner: Owner) -> SecretBox:
    """The one that the owner's accounts are sealed in."""
    assert owner.database.path is not None
    return SecretBox.open_or_create(owner.database.path.parent)


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
    assert answer.json() == {
        **{"added": ["work", "spare"], "changed": [], "unchanged": [], "conflicts": []},
        **{"kept": {}, "here_as": {}, "dry_run": False},
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


TOKENS = {
    **{"access_token": "sk-ant-oat-1", "refresh_token": "sk-ant-ort-1", "expires_at": 4_000_000_000.5},
    "scopes": ["user:inference", "user:profile"],
}


async def test_tokens_travel_whole(client: httpx.AsyncClient, owner: Owner) -> None:
    """Access and refresh token, end and scopes; a sign-in without a refresh token as well."""
    few = {"access_token": "sk-ant-oat-2", "refresh_token": None, "expires_at": None, "scopes": []}
    accounts = [{"name": "team", "oauth": TOKENS}, {"name": "short", "oauth": few}]
    taken = await client.post("/api/import/accounts", json={"accounts": accounts})
    assert taken.json()["added"] == ["team", "short"]
    out = await exported(owner)
    assert [one["oauth"] for one in out] == [TOKENS, few]
    assert not any("api_key" in one for one in out)
    for name in ("team", "short"):
        await client.delete(f"/api/accounts/{name}")
    assert (await client.post("/api/import/accounts", json={"accounts": out})).json()["added"]
    assert await exported(owner) == out
    without = (await client.get("/api/export/accounts")).json()["accounts"]
    assert not any("oauth" in one for one in without)


async def test_a_sign_in_that_was_refreshed_since_is_the_same(
    client: httpx.AsyncClient, owner: Owner
) -> None:
    """Nothing puts back tokens that the provider no longer takes, not even `replace`."""
    accounts = [{"name": "team", "oauth": TOKENS}]
    await client.post("/api/import/accounts", json={"accounts": accounts})
    living = owner.pool.by_name("team")
    assert living is not None
    signs_in = SignInStore(owner.database, _box(owner), owner.accounts, owner.clock)
    renewed = await signs_in.keep(
        living.id, Credential("sk-ant-oat-9", "sk-ant-ort-9", 4e9, ("a",)), version=0
    )
    assert renewed is not None
    owner.pool.put(renewed)
    for options in ({}, {"replace": True}, {"keep": True}):
        again = await client.post("/api/import/accounts", json={"accounts": accounts, **options})
        assert again.json()["unchanged"] == ["team"], again.text
    assert (await exported(owner))[0]["oauth"]["refresh_token"] == "sk-ant-ort-9"


async def test_what_is_here_is_kept_when_that_is_asked_for(client: httpx.AsyncClient, owner: Owner) -> None:
    """Renamed and changed since, it stays; a name with another secret is still a conflict."""
    accounts = [{"name": "work", "api_key": "sk-ant-work-secret"}, {"name": "team", "oauth": TOKENS}]
    await client.post("/api/import/accounts", json={"accounts": accounts})
    await client.patch("/api/accounts/work", json={"priority": 7})
    await client.post("/api/accounts/team/rename", json={"name": "office"})
    again = (await client.post("/api/import/accounts", json={"accounts": accounts, "keep": True})).json()
    assert again["kept"] == {"work": "is here, with another priority", "team": "is here as office"}
    assert (again["here_as"], again["added"], again["changed"]) == ({"team": "office"}, [], [])
    other = [{"name": "work", "api_key": "sk-ant-other"}]
    refused = await client.post("/api/import/accounts", json={"accounts": other, "keep": True})
    assert (refused.status_code, "work: there is an account of that name" in refused.text) == (409, True)


async def test_a_sign_in_may_take_the_place_of_a_key(client: httpx.AsyncClient, owner: Owner) -> None:
    """With `replace`; and both at once are one too many."""
    await add(client, "work")
    accounts = [{"name": "work", "oauth": TOKENS}]
    assert (await client.post("/api/import/accounts", json={"accounts": accounts})).status_code == 409
    wanted = {"accounts": accounts, "replace": True}
    assert (await client.post("/api/import/accounts", json=wanted)).json()["changed"] == ["work"]
    assert (await client.get("/api/accounts/work")).json()["kind"] == "oauth"
    both = [{"name": "work", "oauth": TOKENS, "api_key": "sk-ant-x"}]
    answer = await client.post("/api/import/accounts", json={"accounts": both})
    assert (answer.status_code, "sk-ant" in answer.text) == (400, False)


async def test_a_proxy_travels_whole_or_not_at_all(client: httpx.AsyncClient, owner: Owner) -> None:
    """With secrets its credentials go along; without, an address that would lack them is left out, and one
    that is left out changes nothing where it comes in."""
    whole = {"name": "a", "api_key": "sk-a", "proxy": "http://me:pw@127.0.0.1:2"}
    for account in (whole, {"name": "b", "api_key": "sk-b", "proxy": "socks5h://127.0.0.1:3"}):
        shown = (await client.post("/api/accounts", json=account)).json()["proxy"]
        assert shown == account["proxy"].replace("me:pw", "***")
    bare = (await client.get("/api/export/accounts")).json()["accounts"]
    assert [one.get("proxy") for one in bare] == [None, "socks5h://127.0.0.1:3"]
    assert "pw" not in json.dumps(bare)
    wanted = {"accounts": bare, "replace": True}
    done = (await client.post("/api/import/accounts", json=wanted)).json()
    assert done["unchanged"] == ["a", "b"]
    full = await exported(owner)
    assert [one["proxy"] for one in full] == ["http://me:pw@127.0.0.1:2", "socks5h://127.0.0.1:3"]
    full[0]["proxy"] = None
    done = (await client.post("/api/import/accounts", json={"accounts": full, "replace": True})).json()
    assert done["changed"] == ["a"]
    living = owner.pool.by_name("a")
    assert living is not None and living.account.proxy is None
