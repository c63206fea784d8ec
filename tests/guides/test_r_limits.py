"""Guide rows R5, R6, R7, R16: what a limit or a refusal does to an account, and how it comes back."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, wait_until
from tests.guides.asking import lines_of, logged, message
from tests.testing.wire import ask

ROUND_ROBIN = {"routing": {"strategy": "round-robin"}}


@contextmanager
def on_a_clock(
    folder: Path, provider: SimulatedProvider, accounts: tuple[str, ...], **settings: object
) -> Iterator[tuple[Gateway, SharedClock]]:
    """A gateway whose time the test can let pass. The provider keeps its own: one that is told to refuse once
    does not look at the clock again."""
    clock = SharedClock(folder / "clock")
    try:
        with Gateway(
            folder, provider=provider.url, accounts=accounts, settings=settings, clock=folder / "clock"
        ) as gateway:
            yield gateway, clock
    finally:
        clock.close()


def served(provider: SimulatedProvider) -> dict[str, int]:
    keys = provider.books(with_requests=False)["keys"]
    return {key.removeprefix("sk-ant-sim-"): one["requests"] for key, one in keys.items()}


def test_r5_a_hard_status_takes_the_account_out_until_its_reset(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """A status that rejects takes the account out, and its reset brings it back by itself."""
    rule = {"fault": "429", "limit": "unified", "seconds": 900, "times": 1}
    provider.script("sk-ant-sim-a", rules=[rule])
    with on_a_clock(tmp_path, provider, ("a", "b"), **ROUND_ROBIN) as (gateway, clock):
        assert [message(gateway).status_code for _ in range(4)] == [200] * 4
        assert served(provider) == {"a": 1, "b": 4}
        account = gateway.account("a")
        assert (account["status"], account["rate_limit_status"]) == ("rate_limited", "limited")
        (rest,) = account["rests"]
        assert (rest["kind"], rest["model"], rest["source"]) == ("limited", None, "header")
        clock.advance(901)
        assert gateway.account("a")["status"] == "active"
        assert [message(gateway).status_code for _ in range(4)] == [200] * 4
        assert served(provider) == {"a": 3, "b": 6}


def test_r5_a_soft_status_is_shown_and_logged_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`allowed_warning`: shown, one WARN in the log, and the account goes on serving."""
    provider.script("sk-ant-sim-a", subscription={"five_hour_tokens": 1000, "seven_day_tokens": 1_000_000})
    with Gateway(tmp_path, provider=provider.url, accounts=("a",)) as gateway:
        wait_until(lambda: _asks_until_warned(gateway), what="a warning")
        before = served(provider)["a"]
        assert message(gateway, max_tokens=1).status_code == 200
        assert served(provider)["a"] == before + 1
        account = gateway.account("a")
        assert (account["status"], account["skipped_because"]) == ("active", None)
        logged(gateway, r"WARN.*Account a is near its limit: the provider says allowed_warning")
        assert len(lines_of(gateway, "near its limit")) == 1


def _asks_until_warned(gateway: Gateway) -> bool:
    assert message(gateway, "say 1 words", max_tokens=1).status_code == 200
    return bool(gateway.account("a")["rate_limit_status"] == "allowed_warning")


def test_r5_without_a_reset_one_request_finds_out(tmp_path: Path, provider: SimulatedProvider) -> None:
    """No time is given: the account stays out until a request that tries it is served."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "bare", "times": 2}])
    with on_a_clock(tmp_path, provider, ("a", "b"), **ROUND_ROBIN) as (gateway, clock):
        clock.hold()  # the first rest is a second long
        assert message(gateway).status_code == 200
        assert gateway.account("a")["rests"][0]["source"] == "estimate"
        clock.advance(3)
        assert message(gateway).status_code == message(gateway).status_code == 200
        assert gateway.account("a")["status"] == "rate_limited"  # it tried, and was refused again
        clock.advance(5)
        assert message(gateway).status_code == message(gateway).status_code == 200
        assert (gateway.account("a")["status"], served(provider)["a"]) == ("active", 3)


FORMS = ("unified", "dated", "retry_after", "retry_after_date")


def test_r6_the_reset_is_read_in_every_form_and_survives_a_restart(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Unified, dated and `retry-after` in seconds or as a date: out until then, also after a restart."""
    for name in FORMS:
        rule = {"fault": "429", "limit": name, "seconds": 900, "times": 1}
        provider.script(f"sk-ant-sim-{name}", rules=[rule])
    with on_a_clock(tmp_path, provider, FORMS) as (gateway, clock):
        assert message(gateway).status_code == 429
        resets = {name: gateway.account(name)["rate_limit_reset"] for name in FORMS}
        assert all(880 < reset - time.time() <= 902 for reset in resets.values()), resets
        gateway.stop(expect_code=0)
        gateway.start()
        assert {name: gateway.account(name)["rate_limit_reset"] for name in FORMS} == resets
        assert message(gateway).status_code == 429
        clock.advance(903)
        assert [gateway.account(name)["status"] for name in FORMS] == ["active"] * 4
        assert message(gateway).status_code == 200


def test_r7_a_models_limit_leaves_the_others(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Where one model's limit is met the account goes on serving the others, and says which rests."""
    opus, haiku = "claude-opus-4-5", "claude-haiku-4-5"
    rule = {"fault": "429", "limit": "model", "model": opus, "seconds": 900}
    provider.script("sk-ant-sim-a", rules=[rule])
    with Gateway(tmp_path, provider=provider.url, accounts=("a",)) as gateway:
        assert message(gateway, model=opus).status_code == 429
        assert message(gateway, model=haiku).status_code == 200
        assert message(gateway, model=opus).status_code == 429
        account = gateway.account("a")
        assert (account["status"], account["skipped_because"]) == ("active", None)
        (rest,) = account["rests"]
        assert (rest["kind"], rest["model"], rest["source"]) == ("model_limited", opus, "header")
        listed = gateway.admin(f"/api/accounts?model={opus}")["accounts"]
        assert listed[0]["skipped_because"].startswith(f"model {opus} rate limited until")
        assert f"model limited {opus}" in gateway.command("account", "show", "a").stdout
        assert served(provider)["a"] == 2  # the third was not sent


def test_r7_rests_grow_and_differ(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Without a stated time rests double, each account's a little otherwise; a restart keeps the rung."""
    names = ("a", "b", "c")
    provider.script("*", rules=[{"fault": "429", "limit": "bare"}])
    lengths: dict[str, list[float]] = {name: [] for name in names}
    with on_a_clock(tmp_path, provider, names) as (gateway, clock):
        clock.hold()
        for turn in range(5):
            assert message(gateway).status_code == 429
            for name in names:
                (rest,) = gateway.account(name)["rests"]
                lengths[name].append(rest["until"] - rest["since"])
            clock.advance(60)
            if turn == 2:
                gateway.stop(expect_code=0)
                gateway.start()
    for rests in lengths.values():
        assert all(0.75 * 2**n <= rest <= 1.25 * 2**n for n, rest in enumerate(rests)), lengths
    assert len({round(rests[-1], 2) for rests in lengths.values()}) > 1


def test_r7_one_request_at_a_time_finds_out(tmp_path: Path, provider: SimulatedProvider) -> None:
    """While one request tries a limited account the others pass it by; a client that leaves frees it."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "bare", "times": 1}])
    with on_a_clock(tmp_path, provider, ("a", "b"), **ROUND_ROBIN) as (gateway, clock):
        assert message(gateway).status_code == 200
        clock.advance(5)
        provider.script("sk-ant-sim-a", rules=[], pacing={"first_byte_ms": 60_000})
        with ThreadPoolExecutor(1) as threads:
            leaving = threads.submit(_leaves_after, gateway, seconds=3.0)
            wait_until(lambda: gateway.account("a")["in_flight"] == 1)
            assert "finds out" in gateway.account("a")["skipped_because"]
            assert [message(gateway).status_code for _ in range(4)] == [200] * 4
            assert served(provider)["b"] == 5
            leaving.result()
        wait_until(lambda: gateway.account("a")["in_flight"] == 0)
        assert gateway.account("a")["skipped_because"] is None
        provider.script("sk-ant-sim-a", pacing={"first_byte_ms": 0})
        assert [message(gateway).status_code for _ in range(2)] == [200] * 2
        assert gateway.account("a")["rests"] == []
        assert served(provider)["a"] == 3


def _leaves_after(gateway: Gateway, *, seconds: float) -> None:
    """A client that asks for the slow account by name, and waits no longer than this."""
    headers = {"x-api-key": CLIENT_KEY, "x-headgate-account": "a"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(gateway.url + "/v1/messages", json=ask(), headers=headers, timeout=seconds)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_r7_a_callers_own_fault_benches_nobody(
    tmp_path: Path, provider: SimulatedProvider, status: int
) -> None:
    """400, 413, 422: passed on at once, no other account is asked, none rests."""
    provider.script("*", rules=[{"fault": "status", "status": status}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        assert [message(gateway).status_code for _ in range(3)] == [status] * 3
        assert sum(served(provider).values()) == 3
        assert all(one["rests"] == [] for one in gateway.admin("/api/accounts")["accounts"])


@pytest.mark.parametrize("log_format", ["pretty", "json"])
def test_r16_a_providers_403_is_passed_on_and_found_in_the_log(
    tmp_path: Path, provider: SimulatedProvider, log_format: str
) -> None:
    """The provider's words reach the client; counted, and in either log format `"status_code":403`."""
    provider.script("*", rules=[{"fault": "status", "status": 403, "message": "not for this plan"}])
    settings = {"log": {"format": log_format}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        answer = message(gateway)
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, "not for this plan")
        line = logged(gateway, '"status_code":403')
        assert '"provider":"anthropic"' in line
        assert log_format == "pretty" or json.loads(line)["status_code"] == 403
        account = gateway.account("one")
        assert (account["error_count"], account["status"]) == (1, "active")


def test_r16_a_403_goes_to_another_account(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Another account that may do it answers; three in ten minutes and the refused one rests."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "status", "status": 403}])
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=ROUND_ROBIN) as gateway:
        assert [message(gateway).status_code for _ in range(8)] == [200] * 8
        account = gateway.account("a")
        assert (account["error_count"], account["status"]) == (3, "disabled")
        assert account["skipped_because"].startswith("forbidden repeatedly")
