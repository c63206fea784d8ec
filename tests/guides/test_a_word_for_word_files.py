"""Guide rows A and R as a whole: the account sections of the guides whose gateways keep accounts in files
(claude-code-proxy, claude-nexus-proxy, cliproxyapi-plusplus), from symptom to mend.
"""

import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, logged, message, run
from tests.guides.planting import names, put
from tests.guides.powers import serve_without_root_powers
from tests.guides.signing_in import code_shown, settings_of, sign_in_by_command

_LIMITED = {"fault": "429", "limit": "unified", "seconds": 900}


def _gateway(folder: Path, provider: SimulatedProvider, *keys: str, **sources: Path) -> Gateway:
    """Accounts only of files; client keys only where the guide has some."""
    named = {name: str(path) for name, path in sources.items()}
    settings = {**settings_of(provider), "sources": named, "access": {"api_keys": list(keys)}}
    return Gateway(folder, provider=provider.url, accounts=(), settings=settings)


def test_a1_the_account_sections_of_claude_code_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-code-proxy's guide, followed with `headgate`: sign-in, refresh, rotation, the accounts file."""
    file = tmp_path / "kept" / "accounts.json"
    gateway = _gateway(tmp_path, provider, accounts_file=file)
    with gateway:
        # OAuth Flow Fails: the address answers; a truncated code is named; once more, with all of it.
        provider.sign_in(login="ann@example.test")
        for wanted, paste in ((400, slice(0, 8)), (201, slice(None))):
            started = gateway.admin("/oauth/authorize?account=ann")
            code = code_shown(started["url"])[paste]
            status, said = gateway.ask("POST", "/oauth/exchange", body=json.dumps({"code": code}).encode())
            assert (status, b"Invalid authorization code" in said) == (wanted, wanted == 400), said

        # Token Refresh Failures: an ended token is renewed by a plain message ...
        grant = provider.grant("bob", lifetime_seconds=-10)
        tokens = {name: grant[name] for name in ("access_token", "refresh_token")}
        bob = {"id": "1", "email": "bob@example.test", **tokens, "expires_at": round(grant["expires_at"])}
        put(file, {"accounts": [bob], "schema_version": "1.0.0"})
        wait_until(lambda: names(gateway) == ["ann", "bob@example.test"])
        run(gateway, "account", "pause", "ann")
        assert message(gateway, key=None, path="/api/v1/messages").status_code == 200
        told = gateway.account("bob@example.test")
        assert (told["email"], told["is_active"]) == ("bob@example.test", True)
        assert told["expires_at"] > grant["expires_at"]
        # ... a dead one shows as inactive, and signing in again mends it where it is, in the file too.
        provider.revoke("bob")
        assert message(gateway, key=None, path="/api/v1/messages").status_code in (401, 403)
        logged(gateway, "Failed to refresh token for account bob@example.test: ")
        assert gateway.account("bob@example.test")["is_active"] is False
        provider.sign_in(login="bob@example.test")
        assert sign_in_by_command(gateway, provider, "reauth", "bob@example.test")[0] == 0
        assert message(gateway, key=None).status_code == 200
        live = provider.sign_ins()["bob@example.test"]["refresh_tokens"]
        wait_until(lambda: json.loads(file.read_text())["accounts"][0]["refresh_token"] in live)

        # Rate Limit Errors: rotation is off, and the limit reaches the client; on, the next account serves.
        run(gateway, "account", "resume", "ann")
        run(gateway, "config", "set", "routing.rotation", "false")
        serving = "ann" if gateway.account("ann")["skipped_because"] is None else "bob@example.test"
        provider.script("*", rules=[{**_LIMITED, "times": 1}])
        assert message(gateway, key=None).status_code == 429
        rotation = gateway.admin("/status")["rotation"]
        assert (rotation["enabled"], rotation["next_reset"] is not None) == (False, True)
        assert gateway.account(serving)["rate_limit_status"] == "limited"
        run(gateway, "config", "set", "routing.rotation", "true")
        assert message(gateway, key=None).status_code == 200

        # Corrupt Accounts File: it serves on and says where; a check finds the place as well.
        good = file.read_text()
        put(file, good[:-6] + "}")
        wait_until(lambda: gateway.admin("/health")["status"] == "degraded")
        assert "Failed to parse accounts.json: line " in run(gateway, "status")
        assert message(gateway, key=None).status_code == 200
        gateway.stop(expect_code=0)
        assert "Failed to parse accounts.json: line " in run(gateway, "config", "check", code=2)
        assert str(file) in run(gateway, "serve", code=2)
        # Restored from the backup: as it was. Removed: an empty one, and what was added here stays.
        put(file, good)
        gateway.start()
        assert names(gateway) == ["ann", "bob@example.test"]  # Accounts Not Persisting
        gateway.stop(expect_code=0)
        file.unlink()
        gateway.start()
        assert names(gateway) == ["ann"]
        assert json.loads(file.read_text())["accounts"] == {}
        gateway.stop(expect_code=0)

    # Permission Denied: path and the command that mends it.
    file.chmod(0)
    refused = serve_without_root_powers(gateway)
    assert (refused.returncode, f"chmod u+rw {file}" in refused.stderr) == (1, True), refused.stderr


def _credentials(**fields: Any) -> dict[str, Any]:
    return {"type": "api_key", "accountId": "acc_1", "client_api_key": "cnp_live_1", **fields}


def test_a1_the_account_sections_of_claude_nexus_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-nexus-proxy's guide, followed with `headgate`: keys of domains, client keys, limits."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    file = folder / "team.example.com.credentials.json"
    put(file, _credentials(api_key="sk-ant-mistyped"))
    with _gateway(tmp_path, provider, "cnp_live_1", credentials_dir=folder) as gateway:

        def ask(host: str = "team.example.com", key: str = "cnp_live_1") -> httpx.Response:
            return message(gateway, key=None, headers={"host": host, "authorization": f"Bearer {key}"})

        # Invalid x-api-key: the provider's words; the test of the account names the file to be mended.
        refused = ask()
        assert (refused.status_code, error_of(refused)["message"]) == (401, "invalid x-api-key")
        assert f"Put a new key into {file}" in run(gateway, "account", "test", "team.example.com", code=1)
        put(file, _credentials(api_key="sk-ant-sim-team"))
        wait_until(lambda: gateway.account("team.example.com")["status"] == "active")
        assert ask().status_code == 200

        # A file without a key, a domain without a file: each is named.
        put(folder / "new.example.com.credentials.json", {"type": "api_key", "accountId": "acc_2"})
        logged(gateway, r"new.example.com.credentials.json: line 1 column 1: api_key is missing or empty")
        assert "new.example.com.credentials.json" in error_of(ask("new.example.com"))["message"]
        unknown = ask("other.example.com")
        assert (unknown.status_code, error_of(unknown)["code"]) == (400, "unknown_host")
        grant = provider.grant("new", lifetime_seconds=-10)
        tokens = {"accessToken": grant["access_token"], "refreshToken": grant["refresh_token"]}
        oauth = {**tokens, "expiresAt": round(grant["expires_at"] * 1000)}
        put(folder / "new.example.com.credentials.json", {"type": "oauth", "accountId": "x", "oauth": oauth})
        wait_until(lambda: "new.example.com" in names(gateway))
        assert ask("new.example.com").status_code == 200

        # 401 Unauthorized: the gateway's own refusal, which touches no account; see whether keys are wanted.
        stranger = ask(key="cnp_live_wrong")
        assert (stranger.status_code, error_of(stranger)["message"]) == (401, "Invalid client API key")
        assert gateway.account("team.example.com")["error_count"] == 1
        assert run(gateway, "config", "get", "access.client_auth") == "auto"
        listed = run(gateway, "import", "claude-nexus-proxy", str(folder), "--dry-run")
        assert "client key team.example.com unchanged" in listed

        # Rate Limiting: one domain's limit is its own; the usage of its account.
        provider.script("sk-ant-sim-team", rules=[_LIMITED])
        assert ask().status_code == 429
        assert ask("new.example.com").status_code == 200
        assert "team.example.com 1 rate_limited" in run(gateway, "account", "list")
        wait_until(lambda: "team.example.com" in run(gateway, "usage", "--account", "team.example.com"))


def test_a1_the_account_sections_of_cliproxyapis_guide(tmp_path: Path, provider: SimulatedProvider) -> None:
    """cliproxyapi-plusplus's guide, followed with `headgate`: client keys, auth loops, twins, 403, 429."""
    folder = tmp_path / "auths"
    folder.mkdir()
    put(folder / "claude-me.json", _auth_file(provider.grant("me")))
    with _gateway(tmp_path, provider, " pp-key ", auth_dir=folder) as gateway:
        # 401 Unauthorized on /v1/*: the models of a key; spaces round a key in the settings do not count.
        for key, status in (("pp-key", 200), ("rotated", 401)):
            headers = {"authorization": f"Bearer {key}"}
            assert gateway.ask("GET", "/v1/models", headers=headers)[0] == status

        # Model not found: the provider's words, and no account rests for it.
        wrong = message(gateway, key="pp-key", model="no-such-model")
        assert (wrong.status_code, "no-such-model" in wrong.text) == (404, True)
        assert gateway.account("claude-me")["status"] == "active"

        # OAuth auth loops: the refresh is asked for once; a fresh token file serves again.
        provider.revoke("me")
        assert message(gateway, key="pp-key").status_code in (401, 403)
        for _ in range(3):
            assert message(gateway, key="pp-key").status_code == 503
        assert provider.sign_ins()["me"]["refused"] == {"invalid_grant": 1}
        fresh = _auth_file(provider.grant("me"))
        put(folder / "claude-me.json", fresh)
        wait_until(lambda: gateway.account("claude-me")["status"] == "active")
        assert message(gateway, key="pp-key").status_code == 200
        # ... and the same token in a second file is told with the name of the account that has it.
        put(folder / "claude-twin.json", fresh)
        assert "as account claude-me" in logged(gateway, "Account claude-twin was not taken")
        (folder / "claude-twin.json").unlink()
        wait_until(lambda: not gateway.admin("/health")["troubles"])

        # Provider 403: passed on, in the log with its status; repeated, the account rests.
        provider.script("*", rules=[{"fault": "status", "status": 403, "message": "no plan", "times": 3}])
        for _ in range(3):
            assert error_of(message(gateway, key="pp-key"))["message"] == "no plan"
        logged(gateway, r'"status_code":403')
        assert "headgate account resume claude-me" in run(gateway, "status")
        run(gateway, "account", "resume", "claude-me")
        assert message(gateway, key="pp-key").status_code == 200

        # 429 and Rate-Limit Cascades: add capacity.
        provider.script("*", rules=[{**_LIMITED, "times": 1}])
        assert message(gateway, key="pp-key").status_code == 429
        run(gateway, "account", "add", "second", "--api-key-stdin", stdin="sk-ant-sim-second")
        assert message(gateway, key="pp-key").status_code == 200

    # Reimport of a token: on a stopped gateway as well, where the account is the owner's own.
    taken = _gateway(_folder(tmp_path / "moved"), provider, "pp-key")
    run(taken, "import", "cliproxyapi", str(folder))
    put(folder / "claude-me.json", _auth_file(provider.grant("me")))
    run(taken, "import", "cliproxyapi", str(folder), "--replace")
    with taken:
        assert len(names(taken)) == 1
        assert message(taken, key="pp-key").status_code == 200


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _auth_file(grant: dict[str, Any]) -> dict[str, Any]:
    tokens = {"access_token": grant["access_token"], "refresh_token": grant["refresh_token"]}
    return {**tokens, "email": "me@example.test", "type": "claude", "expired": "2099-01-01T00:00:00Z"}
