"""Guide rows R1 to R4: how an account is chosen, and left when it is limited."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.asking import logged, message, record_of
from tests.testing.wire import ask, events

STRATEGIES = ("session", "round-robin", "weighted", "least-requests", "fill-first", "headroom")


def _served(provider: SimulatedProvider) -> dict[str, int]:
    """Requests by account, as the provider counted them."""
    keys = provider.books(with_requests=False)["keys"]
    return {key.removeprefix("sk-ant-sim-"): one["requests"] for key, one in keys.items()}


def _routing(**values: Any) -> dict[str, Any]:
    return {"routing": values}


def test_r1_round_robin_takes_turns(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`round-robin`: every account in turn, as often as any other."""
    settings = _routing(strategy="round-robin")
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b", "c"), settings=settings) as gateway:
        for _ in range(6):
            assert message(gateway).status_code == 200
        assert _served(provider) == {"a": 2, "b": 2, "c": 2}


def test_r1_weighted_follows_the_tier(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`weighted`: an account of tier 3 serves three times as much as one of tier 1."""
    accounts = ("small", {"name": "large", "api_key": "sk-ant-sim-large", "tier": 3})
    settings = _routing(strategy="weighted")
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=settings) as gateway:
        for _ in range(8):
            assert message(gateway).status_code == 200
        assert _served(provider) == {"small": 2, "large": 6}


def test_r1_least_requests_avoids_the_busy_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`least-requests`: while an account is busy the others serve."""
    provider.script("sk-ant-sim-a", pacing={"event_ms": 5_000})
    provider.script("sk-ant-sim-b", pacing={"event_ms": 0})
    settings = _routing(strategy="least-requests")
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings) as gateway:
        headers = {"x-api-key": CLIENT_KEY}
        url = gateway.url + "/v1/messages"
        with httpx.stream("POST", url, json=ask(stream=True), headers=headers, timeout=30) as busy:
            assert busy.status_code == 200
            assert gateway.account("a")["in_flight"] == 1
            for _ in range(3):
                assert message(gateway).status_code == 200
        assert _served(provider) == {"a": 1, "b": 3}


def test_r1_session_is_the_default_and_sticks(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`session`, the default: a conversation stays on its account, another one goes elsewhere."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert gateway.admin("/api/strategy")["strategy"] == "session"
        for session in ("first", "second", "first", "second", "first"):
            assert message(gateway, headers={"x-headgate-session": session}).status_code == 200
        assert sorted(_served(provider).values()) == [2, 3]


def test_r1_the_strategy_changes_at_run_time(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Changed by command or API it holds for the next request, and after a restart."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert gateway.command("strategy", "get").stdout.strip() == "session"
        assert gateway.command("strategy", "set", "round-robin").returncode == 0
        for _ in range(4):
            assert message(gateway, headers={"x-headgate-session": "one"}).status_code == 200
        assert _served(provider) == {"a": 2, "b": 2}
        for strategy in STRATEGIES:
            changed = gateway.admin("/api/strategy", method="PUT", body={"strategy": strategy})
            assert (changed["strategy"], changed["persisted"]) == (strategy, True)
        gateway.stop(expect_code=0)
        gateway.start()
        assert gateway.admin("/status")["rotation"]["strategy"] == STRATEGIES[-1]


def test_r3_an_unknown_strategy_changes_nothing(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`Invalid strategy: [name]` with the valid ones; the old one stays in force."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        body = b'{"strategy": "roulette"}'
        status, answer = gateway.ask("PUT", "/api/strategy", body=body)
        assert status == 400
        refused = gateway.command("strategy", "set", "roulette")
        assert refused.returncode != 0
        for text in (answer.decode(), refused.stderr):
            assert "Invalid strategy: roulette" in text
            assert all(strategy in text for strategy in STRATEGIES)
        assert gateway.admin("/api/strategy")["strategy"] == "session"


@pytest.mark.parametrize("source", ["file", "environment"])
def test_r3_an_unknown_strategy_stops_the_start(tmp_path: Path, source: str) -> None:
    """At start `Invalid strategy: [name]` with the valid ones, and exit code 2."""
    settings = _routing(strategy="roulette") if source == "file" else {}
    gateway = Gateway(tmp_path, settings=settings)
    named = {"LB_STRATEGY": "roulette"} if source == "environment" else {}
    refused = gateway.command("serve", "--port", "0", **named)
    assert refused.returncode == 2
    assert "Invalid strategy: roulette" in refused.stderr
    assert all(strategy in refused.stderr for strategy in STRATEGIES)


@pytest.mark.parametrize("stream", [False, True])
def test_r4_the_client_sees_only_the_success(
    tmp_path: Path, provider: SimulatedProvider, stream: bool
) -> None:
    """A 429 is answered by the next account within the same request, streaming or not."""
    for name in ("a", "b"):
        provider.script(f"sk-ant-sim-{name}", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b", "c")) as gateway:
        answer = message(gateway, stream=stream)
        assert answer.status_code == 200
        if stream:
            assert events(answer.content)[-1][0] == "message_stop"
        assert _served(provider) == {"a": 1, "b": 1, "c": 1}
        assert message(gateway).status_code == 200
        assert _served(provider) == {"a": 1, "b": 1, "c": 2}  # the limited ones rest


def test_r8_all_limited_says_when_to_come_back(tmp_path: Path, provider: SimulatedProvider) -> None:
    """All limited: 429 with the earliest reset as `Retry-After`; `x-should-retry: false` when far away."""
    for name, seconds in (("a", 1800), ("b", 900)):
        rule = {"fault": "429", "limit": "unified", "seconds": seconds}
        provider.script(f"sk-ant-sim-{name}", rules=[rule])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        for _ in range(2):
            answer = message(gateway)
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (429, "rate_limit_error")
            assert "No active accounts available: all are rate limited" in error["message"]
            assert error["code"] == answer.headers["x-headgate-error"] == "all_accounts_limited"
            assert 800 < int(answer.headers["retry-after"]) <= 902
            assert answer.headers["x-should-retry"] == "false"
        assert _served(provider) == {"a": 1, "b": 1}  # nobody was asked again
        record = record_of(gateway, answer)
        assert record["attempts"] == []
        reasons = {one["account"]: one["reason"] for one in record["skipped"]}
        assert all(reasons[name].startswith("rate limited until") for name in ("a", "b"))


def test_r8_a_wrong_key_beside_a_limit_is_not_the_clients(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """One account refused, the other limited: the client only has to wait, and hears just that."""
    provider.script("sk-ant-sim-b", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    settings = _routing(strategy="round-robin")
    accounts = ({"name": "a", "api_key": "sk-not-known"}, "b")
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=settings) as gateway:
        for _ in range(2):
            answer = message(gateway)
            assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
            hint = answer.json()["error"]["hint"]
            assert "a: needs re-auth" in hint
            assert "b: rate limited until" in hint
            assert "1 of 2 is rate limited, the others are out" in answer.json()["error"]["message"]
            assert hint.endswith("or mend the others: `headgate status` says how.")


def test_r8_an_empty_purse_is_not_tried_for_hours(tmp_path: Path, provider: SimulatedProvider) -> None:
    """402 everywhere: the provider's words, and `x-should-retry: false` beside them."""
    provider.script("*", rules=[{"fault": "status", "status": 402, "message": "pay first"}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        answer = message(gateway)
        assert (answer.status_code, answer.json()["error"]["message"]) == (402, "pay first")
        assert answer.headers["x-should-retry"] == "false"


def test_r8_a_near_reset_is_worth_waiting(tmp_path: Path, provider: SimulatedProvider) -> None:
    """With the reset near, a client is not told to give up; it comes back by itself and is served."""
    rule = {"fault": "429", "limit": "retry_after", "seconds": 1, "times": 1}
    provider.script("sk-ant-sim-one", rules=[rule])
    with Gateway(tmp_path, provider=provider.url) as gateway:
        began = time.monotonic()
        answer = message(gateway)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) in (1, 2)
        assert "x-should-retry" not in answer.headers
        wait_until(lambda: message(gateway).status_code == 200)
        assert time.monotonic() - began >= 0.9
        logged(gateway, r"WARN.*\[Proxy\].*rate limited")
