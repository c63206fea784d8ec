"""Sign-ins and refreshes where provider, owner and luck are at their worst."""

import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message
from tests.guides.signing_in import code_shown, declared, gateway_with

ODD_FIELDS: list[dict[str, Any]] = [
    {"expires_in": "soon"},
    {"expires_in": True},
    {"expires_in": [3600]},
    {"expires_in": 10**400},
    {"scope": ["user:inference", 5]},
    {"account": "acct_1"},
    {"email": {"address": "ann@example.test"}},
    {"error": False},
]


def _exchange(gateway: Gateway, code: str) -> tuple[int, dict[str, Any]]:
    status, body = gateway.ask("POST", "/oauth/exchange", body=json.dumps({"code": code}).encode())
    return status, json.loads(body)


def _signed_in(gateway: Gateway, name: str) -> None:
    status, account = _exchange(gateway, code_shown(gateway.admin(f"/oauth/authorize?account={name}")["url"]))
    assert status == 201, account


def test_an_odd_field_does_not_cost_the_tokens_beside_it(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An odd field beside the tokens of an answer → the tokens are taken: they are all there is"""
    accounts, faults = [], []
    for number, odd in enumerate(ODD_FIELDS):
        old = provider.grant(f"ann-{number}", lifetime_seconds=-10)
        body = json.dumps({**provider.grant(f"ann-{number}"), **odd})
        faults.append({"fault": "wrong_json", "body": body, "login": f"ann-{number}"})
        accounts.append(declared(f"team-{number}", old, provider))
    provider.sign_in(faults=faults)
    with gateway_with(tmp_path, provider, *accounts) as gateway:
        for account in accounts:
            name = account["name"]
            gateway.ask("POST", f"/api/accounts/{name}/refresh")
            assert gateway.account(name)["status"] == "active", name
        assert message(gateway).status_code == 200
    assert all(counts["refreshes_granted"] == 0 for counts in provider.sign_ins().values())


def test_a_token_that_no_header_takes_is_no_token(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An access token that no header takes → no account comes of it, and one that is there serves on"""
    grant = provider.grant("ann")
    with gateway_with(tmp_path, provider, declared("team", grant, provider)) as gateway:
        for token in ("", "sk-ant\r\nx-evil: 1", "sk-ant-\N{EURO SIGN}"):
            url = gateway.admin("/oauth/authorize?account=more")["url"]
            provider.sign_in(faults=[{"fault": "wrong_json", "body": json.dumps({"access_token": token})}])
            status, problem = _exchange(gateway, code_shown(url))
            assert (status, problem["code"]) == (400, "sign_in_failed")
            assert gateway.ask("POST", "/api/accounts/team/refresh")[0] != 200
            assert message(gateway).status_code == 200
        assert [one["name"] for one in gateway.admin("/api/accounts")["accounts"]] == ["team"]


def test_a_cancelled_device_sign_in_brings_no_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Somebody agrees to a device sign-in that was cancelled → no account comes of it"""
    provider.sign_in(device_interval_seconds=0.1)
    with gateway_with(tmp_path, provider) as gateway:
        _, body = gateway.ask("POST", "/oauth/device", body=b'{"account": "team"}')
        started = json.loads(body)
        status, body = gateway.ask("POST", f"/oauth/cancel?state={started['state']}")
        assert (status, json.loads(body)["status"]) == (200, "cancelled")
        provider.approve(started["user_code"], login="ann@example.test")
        # The same person at another device: what was cancelled would have come in first.
        _, body = gateway.ask("POST", "/oauth/device", body=b'{"account": "other"}')
        provider.approve(json.loads(body)["user_code"], login="ann@example.test")
        wait_until(lambda: gateway.admin("/api/accounts")["accounts"], what="the other sign-in")
        assert [one["name"] for one in gateway.admin("/api/accounts")["accounts"]] == ["other"]
        assert gateway.admin(f"/oauth/status?state={started['state']}")["status"] == "cancelled"


def test_a_refused_device_sign_in_says_the_providers_words(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A device sign-in with an unknown client id → 400 with the provider's words, and the setting"""
    provider.sign_in(client_ids=["another"])
    with gateway_with(tmp_path, provider) as gateway:
        status, body = gateway.ask("POST", "/oauth/device", body=b'{"account": "team"}')
        problem = json.loads(body)
        assert status == 400
        assert "Token exchange failed: invalid_client" in problem["detail"]
        assert "client_id" in problem["hint"]


def test_a_renamed_account_gets_the_tokens_of_its_sign_in(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """An account that signs in is renamed, another takes its name → the renamed one has the tokens"""
    with gateway_with(tmp_path, provider) as gateway:
        _signed_in(gateway, "team")
        code = code_shown(gateway.admin("/oauth/authorize?account=team&reauth=true")["url"])
        assert gateway.ask("POST", "/api/accounts/team/rename", body=b'{"name": "crew"}')[0] == 200
        _signed_in(gateway, "team")
        before = gateway.account("team")
        status, account = _exchange(gateway, code)
        assert (status, account["name"]) == (201, "crew"), account
        assert gateway.account("team")["expires_at"] == before["expires_at"]


def test_a_strangers_words_do_not_come_onto_the_callbacks_page(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A made-up address of the callback with words in it → 400 without them, and nothing in the log"""
    words = "call-me-at-555"
    with gateway_with(tmp_path, provider) as gateway:
        for fields in (
            {"error": words, "error_description": words, "state": "made-up"},
            {"code": f"https://id.example/?error={words}&error_description={words}", "state": "made-up"},
            {"code": f"?error={words}", "state": words},
        ):
            answer = httpx.get(f"{gateway.url}/oauth/callback", params=fields)
            assert (answer.status_code, words in answer.text) == (400, False), fields
        assert words not in gateway.log_file.read_text()
