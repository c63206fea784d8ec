"""Guide row A17: credentials of domains, and the Host header that picks the account."""

import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, logged, message
from tests.guides.planting import camel, gateway_with, names, put


def _key(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "api_key", "accountId": f"acc_{name}", "api_key": f"sk-ant-sim-{name}", **fields}


def _oauth(grant: dict[str, Any]) -> dict[str, Any]:
    tokens = {**camel(grant), "scopes": ["user:inference"], "isMax": True}
    return {"type": "oauth", "accountId": "acc_x", "oauth": tokens, "client_api_key": "cnp_live_secret"}


def _ask(gateway: Gateway, host: str) -> httpx.Response:
    return message(gateway, headers={"host": host})


def _served(gateway: Gateway, host: str) -> str:
    answer = _ask(gateway, host)
    assert answer.status_code == 200, answer.text
    name = gateway.record_of(answer.headers["x-headgate-request-id"])["account"]
    assert isinstance(name, str)
    return name


def test_a17_the_host_picks_the_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Each domain is served by its own file's account, by API key or by sign-in; not port, not case."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    put(folder / "one.example.com.credentials.json", _key("one"))
    put(folder / "two.example.com.credentials.json", _oauth(provider.grant("two", lifetime_seconds=-1)))
    put(folder / "*.example.org.credentials.json", _key("wild"))
    put(folder / "near.example.org.credentials.json", _key("near"))
    put(folder / "localhost:3000.credentials.json", _key("local"))
    with gateway_with(tmp_path, provider, credentials_dir=folder) as gateway:
        assert _served(gateway, "one.example.com") == "one.example.com"
        assert _served(gateway, "ONE.example.com:8443") == "one.example.com"
        assert _served(gateway, "two.example.com.") == "two.example.com"
        assert _served(gateway, "a.b.example.org") == "any.example.org"
        assert _served(gateway, "near.example.org") == "near.example.org"
        assert _served(gateway, "localhost:8080") == "localhost-3000"
        shown = gateway.account("two.example.com")
        assert (shown["kind"], shown["domain"]) == ("oauth", "two.example.com")
        assert shown["origin"] == "file:credentials/two.example.com.credentials.json"
        file = folder / "two.example.com.credentials.json"
        wait_until(
            lambda: provider.sign_ins()["two"]["access_tokens"][-1] in file.read_text(), what="the token"
        )
        written = json.loads(file.read_text())
        assert written["client_api_key"] == "cnp_live_secret"
        assert "cnp_live_secret" not in gateway.log_text() + gateway.output_text()
        assert "cnp_live" not in json.dumps(gateway.admin("/api/accounts"))


def test_a17_a_host_without_a_file_names_the_file_expected(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A Host that no file is for: 400 `unknown_host` in the caller's dialect, naming the file."""
    folder = tmp_path / "credentials"
    with gateway_with(tmp_path, provider, credentials_dir=folder) as gateway:
        refused = _ask(gateway, "team.example.com:8080")
        assert refused.status_code == 400
        assert error_of(refused)["code"] == "unknown_host"
        assert "team.example.com.credentials.json" in error_of(refused)["message"]
        put(folder / "team.example.com.credentials.json", _key("team"))
        wait_until(lambda: names(gateway) == ["team.example.com"], what="the first file")
        assert _served(gateway, "team.example.com:8080") == "team.example.com"
        assert provider.books()["count"] == 1
        (folder / "team.example.com.credentials.json").unlink()
        wait_until(lambda: _ask(gateway, "team.example.com").status_code == 400, what="the removal")
        wrong = _ask(gateway, "../secret")
        assert wrong.status_code == 400


def test_a17_other_accounts_do_not_serve_a_domain(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A domain whose account cannot be used is answered 503 with its file; no other account serves it."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    put(folder / "one.example.com.credentials.json", _key("one"))
    put(folder / "two.example.com.credentials.json", _key("two"))
    with gateway_with(tmp_path, provider, credentials_dir=folder) as gateway:
        put(folder / "two.example.com.credentials.json", '{"type": "api_key", "api_key": ')
        wait_until(lambda: gateway.admin("/health").get("code") == "source_invalid", what="trouble")
        assert _served(gateway, "two.example.com") == "two.example.com"
        put(folder / "new.example.com.credentials.json", '{"type": "magic"}')
        assert logged(gateway, r"new.example.com.credentials.json: line 1 column 10: type must")
        refused = _ask(gateway, "new.example.com")
        assert refused.status_code == 503
        assert "new.example.com.credentials.json" in error_of(refused)["message"]
        gateway.admin("/api/accounts/one.example.com/pause", method="POST")
        paused = _ask(gateway, "one.example.com")
        assert paused.status_code == 503
        assert "two.example.com" not in paused.text
        assert _served(gateway, "two.example.com") == "two.example.com"


def test_a17_two_domains_may_share_an_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The same tokens in the files of two domains are one account, and both files get its new tokens."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    grant = provider.grant("shared", lifetime_seconds=-1)
    one, two = folder / "one.example.com.credentials.json", folder / "two.example.com.credentials.json"
    put(one, _oauth(grant))
    put(two, _oauth(grant))
    with gateway_with(tmp_path, provider, credentials_dir=folder) as gateway:
        assert _served(gateway, "two.example.com") == "one.example.com"
        for file in (one, two):
            wait_until(lambda file=file: grant["refresh_token"] not in file.read_text(), what="new tokens")
        assert _served(gateway, "one.example.com") == "one.example.com"
        wait_until(lambda: names(gateway) == ["one.example.com"], what="one account")
    assert provider.sign_ins()["shared"]["double_refreshes"] == 0


def test_a17_one_wrong_file_leaves_the_others_of_an_account(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """While the first file of shared tokens is wrong the other domain is served on, renewals too."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    grant = provider.grant("shared")
    one, two = folder / "one.example.com.credentials.json", folder / "two.example.com.credentials.json"
    put(one, _oauth(grant))
    put(two, _oauth(grant))
    with gateway_with(tmp_path, provider, credentials_dir=folder) as gateway:
        put(one, "{")
        logged(gateway, "Failed to parse one.example.com.credentials.json")
        assert _served(gateway, "two.example.com") == "one.example.com"
        gateway.admin("/api/accounts/one.example.com/refresh", method="POST")
        wait_until(lambda: grant["refresh_token"] not in two.read_text(), what="new tokens in the other")
        put(folder / "three.example.com.credentials.json", _key("three"))
        wait_until(lambda: len(names(gateway)) == 2, what="a look at the files")
        assert _served(gateway, "two.example.com") == "one.example.com"
        put(one, _oauth(grant))
        wait_until(lambda: grant["refresh_token"] not in one.read_text(), what="new tokens in the mended one")
        wait_until(lambda: gateway.admin("/health")["troubles"] == [], what="a look at what was written")
        folder.rename(tmp_path / "away")
        wait_until(lambda: gateway.admin("/health").get("code") == "source_unreadable", what="trouble")
        assert _served(gateway, "two.example.com") == "one.example.com"
    assert provider.sign_ins()["shared"]["refreshes_asked"] == 1


def test_a17_an_auth_folder_serves(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Sign-ins as cliproxyapi keeps them: those of Claude serve, those of others are passed over."""
    folder = tmp_path / "auths"
    folder.mkdir()
    grant = provider.grant("me", lifetime_seconds=-1)
    tokens = {"access_token": grant["access_token"], "refresh_token": grant["refresh_token"]}
    mine = {
        **{"id_token": "", **tokens, "last_refresh": "2026-01-01T00:00:00Z", "email": "me@example.test"},
        **{"type": "claude", "expired": "2026-01-01T08:00:00+08:00", "proxy_url": "direct", "prefix": "team"},
    }
    put(folder / "claude-me@example.test.json", mine)
    put(folder / "codex-me.json", {**mine, "type": "codex"})
    off = provider.grant("off")
    others = {"access_token": off["access_token"], "refresh_token": off["refresh_token"]}
    put(folder / "claude-off.json", {**mine, **others, "disabled": True})
    with gateway_with(tmp_path, provider, auth_dir=folder) as gateway:
        assert names(gateway) == ["claude-me@example.test", "claude-off"]
        assert gateway.account("claude-off")["paused"] is True
        assert logged(gateway, "claude-me@example.test.json: not obeyed .*: prefix")
        answer = message(gateway)
        assert answer.status_code == 200, answer.text
        file = folder / "claude-me@example.test.json"
        wait_until(lambda: grant["refresh_token"] not in file.read_text(), what="new tokens in the file")
        written = json.loads(file.read_text())
        assert written["access_token"] in provider.sign_ins()["me"]["access_tokens"]
        assert written["expired"].endswith("Z") and written["expired"] > "2026-11"
        assert list(written) == list(mine)
        put(folder / "claude-off.json", {**mine, **others, "disabled": False})
        wait_until(lambda: gateway.account("claude-off")["paused"] is False, what="the account back")
