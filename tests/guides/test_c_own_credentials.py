"""Guide rows C5 and R18: a caller that brings a provider's credential of its own."""

import socket
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway
from tests.guides.asking import error_of, lines_of, message, record_of, run

OWN = "sk-ant-sim-own"
FORWARDING = "forwarding request without authentication"


def _gateway(tmp_path: Path, url: str, *, accounts: tuple[str, ...] = ("one",), **more: Any) -> Gateway:
    settings = {"providers": {"anthropic": {"base_url": url}}, "access": {"api_keys": []}, **more}
    return Gateway(tmp_path, provider=url, accounts=accounts, settings=settings)


def _sent(provider: SimulatedProvider) -> dict[str, str]:
    """The header lines of the last request that the provider got."""
    lines = provider.received()[-1]["head"].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_c5_client_key_then_own_credential_then_the_pool(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A client key leads to the pool; without one an own credential pays where the owner allows it; without
    either the pool serves where no key is asked for. `fallback`: the pool comes first."""
    with _gateway(tmp_path, provider.url) as gateway:

        def paid(key: str | None, **headers: str) -> str:
            """Whose credential the provider got; for a refusal its code."""
            answer = message(gateway, key=key, headers=headers)
            if answer.status_code != 200:
                return str(error_of(answer)["code"])
            return _sent(provider)["x-api-key"].removeprefix("sk-ant-sim-")

        assert [paid(None), paid(OWN), paid(None, **_bearer(OWN))] == ["one", "one", "one"]
        run(gateway, "config", "set", "access.own_credentials", "allow")
        assert [paid(None), paid(OWN), paid(None, **_bearer(OWN))] == ["one", "own", "own"]
        own = message(gateway, key=OWN)
        assert record_of(gateway, own)["caller"] == "own-credential"
        run(gateway, "config", "set", "access.api_keys", f"[{CLIENT_KEY}]")
        assert [paid(None), paid("wrong")] == ["invalid_client_key"] * 2
        assert [paid(CLIENT_KEY), paid(OWN), paid(OWN, **_bearer(CLIENT_KEY))] == ["one", "own", "one"]
        for rule in ("fallback", "never"):
            run(gateway, "config", "set", "access.own_credentials", rule)
            assert [paid(OWN), paid(OWN, **_bearer(CLIENT_KEY))] == ["invalid_client_key", "one"]
        run(gateway, "account", "pause", "one")
        assert paid(OWN, **_bearer(CLIENT_KEY)) == "no_account_available"
        run(gateway, "config", "set", "access.own_credentials", "fallback")
        assert paid(OWN, **_bearer(CLIENT_KEY)) == "own"
        assert paid(CLIENT_KEY) == "no_account_available"
        assert OWN not in gateway.log_text()


def test_c5_it_goes_where_the_provider_expects_it(tmp_path: Path, provider: SimulatedProvider) -> None:
    """An API key as `x-api-key`, an OAuth token as `Authorization: Bearer`, whichever header it came in."""
    allow = {"access": {"api_keys": [], "own_credentials": "allow"}}
    token = provider.grant("me")["access_token"]
    with _gateway(tmp_path, provider.url, **allow) as gateway:
        for headers in ({"x-api-key": OWN}, _bearer(OWN)):
            assert message(gateway, key=None, headers=headers).status_code == 200
            assert (_sent(provider)["x-api-key"], "authorization" in _sent(provider)) == (OWN, False)
        for headers in ({"x-api-key": token}, _bearer(token)):
            answer = message(gateway, key=None, headers=headers)
            assert answer.status_code == 200, answer.text
            sent = _sent(provider)
            assert (sent["authorization"], "x-api-key" in sent) == (f"Bearer {token}", False)
        refused = message(gateway, key="sk-ant-wrong")
        assert (refused.status_code, error_of(refused)["message"]) == (401, "invalid x-api-key")
        assert gateway.account("one")["request_count"] == 0


def test_c5_a_client_key_is_no_credential(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Also one that looks like a provider's key: it never goes to a provider."""
    key = {"access": {"api_keys": ["sk-ant-sim-ours"]}}
    with _gateway(tmp_path, provider.url, accounts=(), **key) as gateway:
        assert message(gateway, key="sk-ant-sim-ours").status_code == 503
    assert provider.books()["count"] == 0


@pytest.mark.parametrize("rule", ["fallback", "allow"])
def test_r18_no_provider_for_an_own_credential(tmp_path: Path, rule: str) -> None:
    """502 "Failed to forward unauthenticated request: [reason]" under both rules, on record as the caller's;
    only `fallback` says that no account was active."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and not listening: refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        access = {"access": {"api_keys": [], "own_credentials": rule}}
        with _gateway(tmp_path, url, accounts=(), **access) as gateway:
            answer = message(gateway, key=OWN)
            error = error_of(answer)
            assert (answer.status_code, error["code"]) == (502, "forward_failed")
            assert error["message"].startswith("Failed to forward unauthenticated request: ")
            assert "ECONNREFUSED" in error["message"] and error["hint"]
            record = record_of(gateway, answer)
            assert (record["caller"], record["status"], record["error"]) == (
                *("own-credential", 502),
                "forward_failed",
            )
            assert [one["account"] for one in record["attempts"]] == ["own-credential"]
            assert bool(lines_of(gateway, FORWARDING)) is (rule == "fallback")
            assert OWN not in gateway.log_text() + answer.text


def test_r18_a_silent_provider_is_a_timeout(tmp_path: Path, provider: SimulatedProvider) -> None:
    """It was reached and says nothing: the 504 of row C6, as for an account."""
    provider.script("*", rules=[{"fault": "hang"}])
    limit = {"upstream": {"first_byte_timeout_ms": 200}}
    with _gateway(tmp_path, provider.url, accounts=(), **limit) as gateway:
        answer = message(gateway, key=OWN)
        assert (answer.status_code, error_of(answer)["type"]) == (504, "timeout_error")
        assert error_of(answer)["message"] == "Request timed out after 200ms"
