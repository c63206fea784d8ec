"""Guide rows C, H, R and P as a whole: the authentication sections of five gateways' guides, as far as they
are about who may call (client keys, own credentials, the owner's key, domains), with `headgate` in the place
of their commands; docs/from-other-guides.md is the table of it. Accounts are test_a_word_for_word.py's.

Left to the rows of later work: pages of the browser (W), token usage (H7, H8), the list of models (H4), first
keys of a container (P8).
"""

import json
from pathlib import Path
from typing import Any

import httpx

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, logged, message, record_of, run
from tests.guides.planting import put

_OPEN: dict[str, Any] = {"access": {"api_keys": []}}
_OWN = "sk-ant-sim-own"


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _put_settings(gateway: Gateway, text: str) -> None:
    """Among those of the file, which is YAML then, as an editor does it."""
    put(gateway.config, text)
    gateway.config.chmod(0o600)


def test_c1_the_authentication_sections_of_claude_nexus_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-nexus-proxy's guide, with `headgate`: keys of clients and domains, own keys, the dashboard's."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    file = folder / "team.example.com.credentials.json"
    team = {"type": "api_key", "accountId": "acc_1", "api_key": "sk-ant-sim-team"}
    put(file, {**team, "client_api_key": "cnp_live_1"})
    (tmp_path / ".env").write_text("ENABLE_CLIENT_AUTH=true\n")
    settings = {
        **_OPEN,
        "sources": {"credentials_dir": str(folder)},
        "providers": {"anthropic": {"base_url": provider.url}},
    }
    with Gateway(tmp_path, provider=provider.url, accounts=(), settings=settings) as gateway:

        def ask(key: str | None = None, host: str = "team.example.com", **headers: str) -> httpx.Response:
            sent = {"host": host, **headers, **(_bearer(key) if key else {})}
            return message(gateway, key=None, headers=sent)

        # 401 Unauthorized, Verify Client API Key: that of the domain's file, for its domain.
        refused = ask("cnp_live_2")
        assert (refused.status_code, error_of(refused)["message"]) == (401, "Invalid client API key")
        assert "headgate key create" in error_of(refused)["hint"]
        assert [ask(key).status_code for key in ("cnp_live_1", "cnp_live_2", None)] == [200, 401, 401]
        # Include Client Key in Request: the guide's line has no model; that is what it hears.
        sent = {**_bearer("cnp_live_1"), "host": "team.example.com", "content-type": "application/json"}
        curl = b'{"messages": [{"role": "user", "content": "test"}]}'
        status, said = gateway.ask("POST", "/v1/messages", headers=sent, body=curl)
        assert (status, b"model" in said) == (400, True), said
        # Ensure Client Auth is Enabled: what is set; the variable's name leads to the setting's.
        assert run(gateway, "config", "get", "access.client_auth") == "required"
        assert "did you mean access.client_auth?" in run(
            gateway, "config", "get", "ENABLE_CLIENT_AUTH", code=2
        )
        # Domain not properly configured: its key opens no other; a key for all hears which file is missing.
        elsewhere = ask("cnp_live_1", host="other.example.com")
        assert (elsewhere.status_code, "another host" in error_of(elsewhere)["hint"]) == (401, True)
        made = json.loads(gateway.command("key", "create", "laptop", "--json").stdout)["key"]
        assert "other.example.com.credentials.json" in error_of(ask(made, "other.example.com"))["message"]
        listed = run(gateway, "key", "list")
        assert "team.example.com" in listed and "laptop" in listed

        # Invalid x-api-key, Use Request Headers: an own key in either header, where the owner allows it.
        run(gateway, "config", "set", "access.own_credentials", "allow")
        for headers in (_bearer(_OWN), {"x-api-key": _OWN}):
            own = ask(**headers)
            assert own.status_code == 200, own.text
            assert record_of(gateway, own)["caller"] == "own-credential"
        wrong = ask(**{"x-api-key": "sk-ant-wrong"})
        assert (wrong.status_code, error_of(wrong)["message"]) == (401, "invalid x-api-key")
        # Check API key format, verify the credential file, test the key directly: one command.
        put(file, {**team, "api_key": "sk-ant-mistyped", "client_api_key": "cnp_live_1"})
        wait_until(lambda: ask("cnp_live_1").status_code == 401, what="the mistyped key")
        assert f"Put a new key into {file}" in run(gateway, "account", "test", "team.example.com", code=1)

        # Client authentication disabled: nobody on this machine is asked for a key.
        (tmp_path / ".env").write_text("ENABLE_CLIENT_AUTH=false\n")
        logged(gateway, "Settings reloaded, changed: access.client_auth")
        put(file, {**team, "client_api_key": "cnp_live_1"})
        wait_until(lambda: ask().status_code == 200, what="the good key, without a client's")

        # X-Dashboard-Key: the owner's routes want it, and no client key opens them.
        (tmp_path / ".env").write_text("ENABLE_CLIENT_AUTH=true\nDASHBOARD_API_KEY=s3cret\n")
        logged(gateway, "Settings reloaded, changed: .*admin.key")
        for headers, status in (
            ({"X-Dashboard-Key": "s3cret"}, 200),
            ({}, 401),
            ({"X-Dashboard-Key": "wrong"}, 401),
            (_bearer("cnp_live_1"), 401),
        ):
            assert gateway.ask("GET", "/api/accounts", headers=headers)[0] == status, headers
        assert run(gateway, "config", "get", "admin.key") == "***"


def test_h10_the_authentication_sections_of_cliproxyapis_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """cliproxyapi-plusplus's guide, with `headgate`: `api-keys`, the management key, the triage loop."""
    gateway = Gateway(tmp_path, provider=provider.url)
    settings = json.loads(gateway.config.read_text())
    del settings["access"]
    rest = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    keys = 'api-keys:\n  - "  pp-key "\n'
    _put_settings(gateway, keys + 'remote-management:\n  secret-key: ""\n' + rest)
    triage = ("/health", "/models", "/v1/metrics/providers", "/v0/management/logs")
    with gateway:
        # 401 on /v1/*: as Bearer, in the list, without the spaces round it.
        assert gateway.ask("GET", "/health")[0] == 200
        for key, status in (("pp-key", 200), ("rotated", 401)):
            assert gateway.ask("GET", "/v1/models", headers=_bearer(key))[0] == status
        assert error_of(message(gateway, key="rotated"))["message"] == "Invalid client API key"
        assert message(gateway, key=None, headers=_bearer("pp-key")).status_code == 200
        assert run(gateway, "config", "get", "api-keys").startswith('["***"]')
        assert run(gateway, "key", "list").count("settings") == 1

        # Management API returns 404: the key is empty. Set in the file, it works at once ...
        owner = _bearer("set-a-strong-key")
        for path in ("config", "logs"):
            assert gateway.ask("GET", f"/v0/management/{path}", headers=owner)[0] == 404
        named = 'remote-management:\n  secret-key: "set-a-strong-key"\n'
        _put_settings(gateway, keys + named + rest)
        logged(gateway, "Settings reloaded, changed: admin.key")
        for path in ("config", "logs"):
            assert gateway.ask("GET", f"/v0/management/{path}", headers=owner)[0] == 200
            assert gateway.ask("GET", f"/v0/management/{path}", headers=_bearer("pp-key"))[0] == 401
        # ... and after the restart of the guide.
        gateway.stop(expect_code=0)
        gateway.start()
        assert gateway.ask("GET", "/v0/management/config", headers=owner)[0] == 200
        # The triage loop with a client key: clean answers, and the owner is let in as before.
        for _ in range(5):
            answers = {path: gateway.ask("GET", path, headers=_bearer("pp-key")) for path in triage}
            assert [answers[path][0] for path in ("/health", "/v1/metrics/providers")] == [200, 200]
            assert all(status < 500 and json.loads(said) for status, said in answers.values()), answers
        assert gateway.ask("GET", "/v0/management/logs", headers=owner)[0] == 200
        # Update the key: by command, where it cannot be seen in the file.
        made = json.loads(gateway.command("key", "create", "laptop", "--json").stdout)["key"]
        assert message(gateway, key=made).status_code == 200


def test_r9_the_authentication_sections_of_ccflares_and_claudeflares_guides(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """ccflare's and claudeflare's guides, with `headgate`: any client, no accounts, keys of its own."""
    settings = {**_OPEN, "providers": {"anthropic": {"base_url": provider.url}}}
    with Gateway(tmp_path, provider=provider.url, accounts=(), settings=settings) as gateway:
        # "No active accounts available - forwarding request without authentication".
        nobody = message(gateway, key=None)
        assert "No active accounts available" in error_of(nobody)["message"]
        assert "headgate account add" in error_of(nobody)["hint"]
        assert message(gateway, key=_OWN).status_code == 200
        logged(gateway, "No active accounts available - forwarding request without authentication")
        failed = message(gateway, key="sk-ant-wrong")  # "may fail": then in the provider's words
        assert (failed.status_code, error_of(failed)["message"]) == (401, "invalid x-api-key")

        run(gateway, "config", "set", "access.own_credentials", "never")
        assert message(gateway, key=_OWN).status_code == 503
        run(gateway, "config", "set", "access.own_credentials", "fallback")

        # Add new accounts: a caller's own key is of no account then, and any key opens the pool.
        run(gateway, "account", "add", "work", "--api-key-stdin", stdin="sk-ant-sim-work")
        assert [message(gateway, key=key).status_code for key in (None, "anything")] == [200, 200]
        # Multiple client applications: with a key each they are told apart, and each is shut out alone.
        keys = {}
        for name in ("laptop", "ci"):
            done = gateway.command("key", "create", name, "--json")
            keys[name] = json.loads(done.stdout)["key"]
        for name, headers in (("laptop", _bearer(keys["laptop"])), ("ci", {"x-api-key": keys["ci"]})):
            for path in ("/v1/messages", "/api/v1/messages"):
                answer = message(gateway, key=None, headers=headers, path=path)
                assert (answer.status_code, record_of(gateway, answer)["caller"]) == (200, name)
        assert message(gateway, key=None).status_code == 401
        run(gateway, "key", "revoke", "ci", "--yes")
        assert [message(gateway, key=key).status_code for key in keys.values()] == [200, 401]

        # 401 Unauthorized: the gateway's own touches no account; 403: the provider's is passed on.
        assert gateway.account("work")["error_count"] == 0
        provider.script("*", rules=[{"fault": "status", "status": 403, "message": "no right", "times": 1}])
        denied = message(gateway, key=keys["laptop"])
        assert (denied.status_code, error_of(denied)["message"]) == (403, "no right")
        # Provider cannot handle path: which paths there are.
        status, said = gateway.ask("GET", "/v2/messages", headers=_bearer(keys["laptop"]))
        assert (status, b"Provider cannot handle path: /v2/messages" in said) == (400, True), said


def test_p8_the_authentication_sections_of_claude_code_proxys_guide(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """claude-code-proxy's guide, with `headgate`: no key is asked for here, both before others may call."""
    gateway = Gateway(tmp_path, provider=provider.url, settings=_OPEN)
    # If using remote access: only with a key on either door; the refusal has both commands.
    refused = run(gateway, "serve", "--host", "0.0.0.0", code=2)
    assert "headgate config set admin.key" in refused and "headgate key create" in refused, refused
    with gateway:
        # The guide's lines, without any key, from this machine.
        for path in ("/health", "/status", "/api/accounts", "/oauth/authorize"):
            assert gateway.ask("GET", path)[0] in (200, 303, 400), path
        assert message(gateway, key=None, path="/api/v1/messages").status_code == 200
        # Both keys: from here on the same lines gain them, at once.
        key = json.loads(gateway.command("key", "create", "laptop", "--json").stdout)["key"]
        run(gateway, "config", "set", "admin.key", "--stdin", stdin="the-owner's-key\n")
        assert message(gateway, key=None, path="/api/v1/messages").status_code == 401
        assert message(gateway, key=key, path="/api/v1/messages").status_code == 200
        for path in ("/status", "/api/accounts"):
            assert gateway.ask("GET", path)[0] == 401
            assert gateway.ask("GET", path, headers=_bearer("the-owner's-key"))[0] == 200
        assert gateway.ask("GET", "/health")[0] == 200
    # "Server running on http://0.0.0.0:…": good.
    gateway.environment["HEADGATE_SERVER__HOST"] = "0.0.0.0"
    with gateway:
        logged(gateway, r"Server running on http://0\.0\.0\.0:\d+$")
        assert [message(gateway, key=one).status_code for one in (key, None)] == [200, 401]
