"""Guide rows R9 to R19: nobody can serve, everybody failed, and what is said about it."""

import json
import socket
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import error_of, lines_of, logged, message, record_of

OWN_KEY = "sk-ant-sim-the-callers-own"
OPEN = {"access": {"api_keys": []}}
"""No client key is asked for, so that a caller's own credential may stand in its place."""


def _closed_port() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("accounts", [(), ("one",)], ids=["none configured", "all paused"])
def test_r9_no_active_account_is_a_503(
    tmp_path: Path, provider: SimulatedProvider, accounts: tuple[str, ...]
) -> None:
    """None configured, all paused or expired: 503 `No active accounts available`, with the mend."""
    with Gateway(tmp_path, provider=provider.url, accounts=accounts) as gateway:
        for name in accounts:
            gateway.admin(f"/api/accounts/{name}/pause", method="POST")
        answer = message(gateway)
        error = error_of(answer)
        assert (answer.status_code, error["code"]) == (503, "no_account_available")
        assert "No active accounts available" in error["message"]
        assert ("headgate status" if accounts else "headgate account add") in error["hint"]
        assert answer.headers["x-should-retry"] == "false"
        record = record_of(gateway, answer)
        assert (record["error"], record["attempts"]) == ("no_account_available", [])
        assert record["skipped"] == [{"account": name, "reason": "paused"} for name in accounts]


def test_r9_a_callers_own_credential_is_forwarded(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Nobody can serve, the caller brought its own credential: forwarded with it, and logged."""
    settings = {**OPEN, "providers": {"anthropic": {"base_url": provider.url}}}
    with Gateway(tmp_path, provider=provider.url, accounts=(), settings=settings) as gateway:
        answer = message(gateway, key=OWN_KEY)
        assert answer.status_code == 200
        assert list(provider.books()["keys"]) == [OWN_KEY]
        logged(
            gateway,
            r"WARN.*\[Proxy\] No active accounts available - forwarding request without authentication",
        )
        assert OWN_KEY not in gateway.log_text()
        assert message(gateway, key=None).status_code == 503


def test_r9_own_credentials_may_be_refused(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`access.own_credentials: never`: nothing of the caller's is forwarded, the answer is the 503."""
    never = {"access": {"api_keys": [], "own_credentials": "never"}}
    settings = {**never, "providers": {"anthropic": {"base_url": provider.url}}}
    with Gateway(tmp_path, accounts=(), settings=settings) as gateway:
        answer = message(gateway, key=OWN_KEY)
        assert answer.status_code == 503
        assert "No active accounts available" in error_of(answer)["message"]
        assert provider.books()["count"] == 0


def test_r10_the_last_answer_is_passed_on(tmp_path: Path, provider: SimulatedProvider) -> None:
    """All failed: the provider's last answer verbatim, with what happened in two headers."""
    rule = {"fault": "status", "status": 500, "message": "the provider's own words"}
    provider.script("*", rules=[rule])
    settings = {"retry": {"attempts": 2, "delay_ms": 1}}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings) as gateway:
        answer = message(gateway)
        assert answer.status_code == 500
        assert answer.content == provider.received()[-1]["sent_body"]
        assert answer.headers["x-headgate-error"] == "all_accounts_failed"
        assert answer.headers["x-headgate-attempts"] == "4"  # two tries on each of two accounts
        attempts = record_of(gateway, answer)["attempts"]
        assert [one["status"] for one in attempts] == [500] * 4
        assert {one["account"] for one in attempts} == {"a", "b"}


def test_r10_nobody_answered(tmp_path: Path) -> None:
    """No provider answered: 502 `All accounts failed to proxy the request`, `attempts`, `lastError`."""
    settings = {"retry": {"attempts": 1}}
    with Gateway(tmp_path, provider=_closed_port(), accounts=("a", "b"), settings=settings) as gateway:
        answer = message(gateway)
        error = error_of(answer)
        assert answer.status_code == 502
        assert "All accounts failed to proxy the request" in error["message"]
        assert error["attempts"] == 2
        assert "ECONNREFUSED" in error["lastError"]
        assert len(record_of(gateway, answer)["attempts"]) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_r12_the_gateways_refusal_touches_no_account(
    tmp_path: Path, provider: SimulatedProvider, status: int
) -> None:
    """A caller without a valid key is refused and no account hears of it; the provider's refusal counts."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        refused = message(gateway, key="not-a-key")
        assert (refused.status_code, error_of(refused)["message"]) == (401, "Invalid client API key")
        one = gateway.account("one")
        assert (one["status"], one["request_count"], one["error_count"]) == ("active", 0, 0)
        assert provider.books()["count"] == 0

        provider.script("sk-ant-sim-one", rules=[{"fault": "status", "status": status}])
        assert message(gateway).status_code == status
        one = gateway.account("one")
        assert (one["request_count"], one["error_count"]) == (1, 1)
        assert one["status"] == ("needs_reauth" if status == 401 else "active")


@pytest.mark.parametrize(
    "path", ["/v2/messages", "/messages", "/v1", "/anthropic/v1/messages", "/v1/../v1/messages"]
)
def test_r14_a_path_that_is_nobodys(tmp_path: Path, provider: SimulatedProvider, path: str) -> None:
    """A path outside all routes is a 400, `Provider cannot handle path: [path]`, in the client's dialect."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        status, body = gateway.ask("POST", path, headers={"x-api-key": CLIENT_KEY}, body=b"{}")
        assert status == 400
        error = json.loads(body)["error"]
        assert f"Provider cannot handle path: {path}" in error["message"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_path")
        assert gateway.ask("GET", "/api/nothing")[0] == 404
    assert provider.books()["count"] == 0


def test_r15_a_switch_is_logged_and_counted(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A line per switch with from, to and why; a counter in `/status`."""
    rule = {"fault": "429", "limit": "unified", "seconds": 900, "after": 1}
    provider.script("sk-ant-sim-a", rules=[rule])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        for session in ("x", "x"):
            assert message(gateway, headers={"x-headgate-session": session}).status_code == 200
        line = logged(gateway, r"\[Proxy\] Switched account: a -> b: ")
        assert "429" in line
        assert gateway.admin("/status")["rotation"]["switches"] == 1
        assert len(lines_of(gateway, "Switched account")) == 1


def test_r15_a_conversation_that_moves_is_a_switch(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A conversation whose account was paused goes on elsewhere, and that is said as well."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        session = {"x-headgate-session": "x"}
        first = record_of(gateway, message(gateway, headers=session))["account"]
        gateway.admin(f"/api/accounts/{first}/pause", method="POST")
        second = record_of(gateway, message(gateway, headers=session))["account"]
        logged(gateway, rf"\[Proxy\] Switched account: {first} -> {second}: paused")
        assert gateway.admin("/status")["rotation"]["switches"] == 1


def test_r19_a_failed_attempt_names_account_and_network_reason(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`Failed to proxy request with account [name]: [reason]`; ECONNREFUSED, ETIMEDOUT included."""
    provider.script("sk-ant-sim-slow", rules=[{"fault": "hang"}])
    dead = {"name": "dead", "api_key": "sk-ant-sim-dead", "base_url": _closed_port()}
    settings = {"retry": {"attempts": 1}, "upstream": {"first_byte_timeout_ms": 300}}
    with Gateway(
        tmp_path, provider=provider.url, accounts=(dead, "slow", "good"), settings=settings
    ) as gateway:
        assert message(gateway).status_code == 200
        start = r"WARN: \[Proxy\] Failed to proxy request with account"
        assert logged(gateway, rf"{start} dead: ECONNREFUSED").count("ECONNREFUSED") == 1
        logged(gateway, rf"{start} slow: ETIMEDOUT")


def test_r13_rotation_can_be_switched_off(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`routing.rotation: false`: one account serves and its failures pass through; it is taken over live."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "retry_after", "seconds": 60}])
    settings = {"routing": {"rotation": False}}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        refused = message(gateway)
        assert (refused.status_code, error_of(refused)["type"]) == (429, "rate_limit_error")
        assert gateway.admin("/status")["rotation"]["enabled"] is False
        assert gateway.account("two")["request_count"] == 0
        assert gateway.command("config", "set", "routing.rotation", "true").returncode == 0
        assert message(gateway).status_code == 200
        assert gateway.account("two")["request_count"] == 1


def test_r18_a_callers_own_credential_and_no_provider(tmp_path: Path) -> None:
    """502 "Failed to forward unauthenticated request: [reason]", with the network's word."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and not listening: refused
        port = nobody.getsockname()[1]
        settings = {
            "providers": {"anthropic": {"base_url": f"http://127.0.0.1:{port}"}},
            "access": {"api_keys": []},
        }
        with Gateway(tmp_path, accounts=(), settings=settings) as gateway:
            answer = message(gateway, key="sk-ant-of-the-caller")
            assert answer.status_code == 502
            said = error_of(answer)["message"]
            assert said.startswith("Failed to forward unauthenticated request: ")
            assert "ECONNREFUSED" in said
            logged(gateway, "forwarding request without authentication")
