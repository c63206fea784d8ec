"""Guide rows H: the management routes of cliproxyapi's guide and of its operators' scripts."""

import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import logged, message

ADMIN_KEY = "the-owner's-key"
OWNER = {"authorization": f"Bearer {ADMIN_KEY}"}
CLIENT = {"authorization": f"Bearer {CLIENT_KEY}"}
TRIAGE = ("/health", "/models", "/v1/models", "/v1/metrics/providers", "/v0/management/logs")
ROUTES = (
    *("config", "config.yaml", "api-keys", "auth-files", "logs", "usage", "debug", "request-retry"),
    *("routing/strategy", "proxy-url", "logging-to-file", "latest-version", "nothing-of-the-kind", ""),
)


def ask(
    gateway: Gateway, path: str, *, method: str = "GET", headers: dict[str, str] = OWNER, body: Any = None
) -> tuple[int, Any]:
    sent = json.dumps(body).encode() if body is not None else None
    status, answer = gateway.ask(method, path, headers=headers, body=sent)
    return status, json.loads(answer)


def test_h9_settings_and_log_with_the_management_key(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`GET /v0/management/config` and `/logs` with the key, as `Bearer` or `X-Management-Key`; no secrets."""
    settings = {"admin": {"key": ADMIN_KEY}, "routing": {"strategy": "fill-first"}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        request_id = message(gateway).headers["x-headgate-request-id"]
        logged(gateway, request_id)
        for headers in (OWNER, {"x-management-key": ADMIN_KEY}):
            status, config = ask(gateway, "/v0/management/config", headers=headers)
            assert (status, config["routing"]["strategy"], config["debug"]) == (200, "fill-first", False)
            assert (config["request-retry"], config["logging-to-file"]) == (2, True)
            assert config["headgate"]["retry.attempts"] == 3
            status, log = ask(gateway, "/v0/management/logs", headers=headers)
            assert (status, log["line-count"]) == (200, len(log["lines"]))
            assert any(request_id in line for line in log["lines"])
        for path in ("config", "config.yaml", "logs", "api-keys", "usage"):
            status, answer = gateway.ask("GET", f"/v0/management/{path}", headers=OWNER)
            assert status == 200
            for secret in (ADMIN_KEY, CLIENT_KEY, "sk-ant-sim-one"):
                assert secret.encode() not in answer, path


def test_h10_management_is_there_as_soon_as_it_has_a_key(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Every route is 404 while no management key is set, also on this machine; once set it works at once."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        status, nothing = ask(gateway, "/api/nothing", headers={})  # as of any path that is nobody's
        for route in ROUTES:
            for method in ("GET", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"):
                for headers in ({}, OWNER, CLIENT):
                    path = f"/v0/management/{route}".rstrip("/")
                    status, answer = ask(gateway, path, method=method, headers=headers)
                    assert (status, answer) == (404, {**nothing, "detail": f"There is nothing at {path}"})
        before = gateway.pid
        set_ = gateway.command("config", "set", "remote-management.secret-key", ADMIN_KEY)
        assert set_.returncode == 0, set_.stderr
        assert ask(gateway, "/v0/management/config")[0] == 200
        assert ask(gateway, "/v0/management/config", headers={})[0] == 401
        assert gateway.pid == before
        gateway.command("config", "set", "admin.key", "null")
        assert ask(gateway, "/v0/management/config")[0] == 404


def test_h10_an_empty_management_key_is_none(tmp_path: Path) -> None:
    """As the guide has it: `secret-key: ""` leaves the routes away, and this machine the owner's."""
    settings = {"remote-management": {"secret-key": ""}}
    with Gateway(tmp_path, accounts=(), settings=settings) as gateway:
        assert ask(gateway, "/v0/management/config")[0] == 404
        assert ask(gateway, "/status", headers={})[0] == 200


@pytest.mark.parametrize("is_hashed", [False, True], ids=["plain", "hashed"])
def test_h11_the_triage_loop_with_a_client_key(
    tmp_path: Path, provider: SimulatedProvider, is_hashed: bool
) -> None:
    """Two hundred times over: a clean answer on each path, and the owner is let in as before."""
    key = PasswordHasher(time_cost=1, memory_cost=8192).hash(ADMIN_KEY) if is_hashed else ADMIN_KEY
    with Gateway(tmp_path, provider=provider.url, settings={"admin": {"key": key}}) as gateway:
        for _ in range(200):
            statuses = {}
            for path in TRIAGE:
                statuses[path], answer = ask(gateway, path, headers=CLIENT)
                assert isinstance(answer, dict), path
            assert statuses["/health"] == statuses["/v1/metrics/providers"] == 200
            assert statuses["/v0/management/logs"] == 401
            assert all(status < 500 for status in statuses.values()), statuses
        status, refused = ask(gateway, "/v0/management/logs", headers=CLIENT)
        assert (status, refused["code"]) == (401, "admin_key_required")
        assert ask(gateway, "/v0/management/logs")[0] == 200
        assert "Traceback" not in gateway.log_text()
