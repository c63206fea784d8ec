"""Guide rows R1, R2, R17, R20: the strategies that keep conversations, and what can be seen of them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message


def served(provider: SimulatedProvider) -> dict[str, int]:
    keys = provider.books(with_requests=False)["keys"]
    return {key.removeprefix("sk-ant-sim-"): one["requests"] for key, one in keys.items()}


def says(gateway: Gateway, session: str, **fields: Any) -> str:
    """One message of a conversation; the name of the account that served it."""
    before = {one["name"]: one["request_count"] for one in gateway.admin("/api/accounts")["accounts"]}
    assert message(gateway, headers={"x-headgate-session": session}, **fields).status_code == 200
    after = gateway.admin("/api/accounts")["accounts"]
    asked = [one for one in after if one["request_count"] > before[one["name"]]]
    (name,) = [one["name"] for one in asked if not one["rests"]]
    return str(name)


def test_r1_fill_first_finishes_one_account_before_the_next(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`fill-first`: the first account serves until it is limited, then the next; back after its reset."""
    rule = {"fault": "429", "limit": "unified", "seconds": 900, "after": 3, "times": 1}
    provider.script("sk-ant-sim-a", rules=[rule])
    settings = {"routing": {"strategy": "fill-first"}}
    clock = SharedClock(tmp_path / "clock")
    accounts = ("a", "b", "c")
    with Gateway(
        tmp_path, provider=provider.url, accounts=accounts, settings=settings, clock=tmp_path / "clock"
    ) as gateway:
        assert [says(gateway, f"s{n}") for n in range(6)] == ["a", "a", "a", "b", "b", "b"]
        clock.advance(901)
        assert says(gateway, "new") == "a"
        assert says(gateway, "s5") == "b"  # a conversation that moved stays where it went
    clock.close()


def test_r1_headroom_goes_where_quota_would_expire(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`headroom`: new conversations go to the account with room, running ones stay on theirs."""
    provider.script("sk-ant-sim-a", subscription={"five_hour_tokens": 3000, "seven_day_tokens": 90_000})
    plenty = {"five_hour_tokens": 10_000_000, "seven_day_tokens": 90_000_000}
    provider.script("sk-ant-sim-b", subscription=plenty)
    settings = {"routing": {"strategy": "headroom"}}
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings) as gateway:
        assert {says(gateway, "first"), says(gateway, "second")} == {"a", "b"}
        home = {"first": says(gateway, "first"), "second": says(gateway, "second")}
        on_a = next(session for session, name in home.items() if name == "a")
        while gateway.account("a")["windows"][0]["utilization"] < 0.6:
            assert says(gateway, on_a) == "a"
        assert [says(gateway, f"new-{n}") for n in range(2)] == ["b", "b"]
        assert says(gateway, on_a) == "a"


@pytest.mark.parametrize("duration_ms", [3_600_000, 600_000])
def test_r2_a_conversation_stays_for_its_time(
    tmp_path: Path, provider: SimulatedProvider, duration_ms: int
) -> None:
    """`session`: an hour from its first use, or as long as `session_duration_ms` says; then anew."""
    settings = {"routing": {"session_duration_ms": duration_ms}}
    clock = SharedClock(tmp_path / "clock")
    with Gateway(
        tmp_path, provider=provider.url, accounts=("a", "b"), settings=settings, clock=tmp_path / "clock"
    ) as gateway:
        home = says(gateway, "talk")
        clock.advance(duration_ms / 1000 - 60)
        assert says(gateway, "talk") == home
        clock.advance(60)
        assert says(gateway, "talk") != home  # the other account has served less
    clock.close()


def test_r17_the_distribution_can_be_inspected(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Counts, weights and why an account is skipped: in `account list`, `status`, the API and `/status`."""
    accounts = (
        {"name": "small", "api_key": "sk-ant-sim-small"},
        {"name": "large", "api_key": "sk-ant-sim-large", "tier": 3, "weight": 2},
        {"name": "spare", "api_key": "sk-ant-sim-spare", "priority": 5},
    )
    settings = {"routing": {"strategy": "weighted"}}
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, settings=settings) as gateway:
        for _ in range(14):
            assert message(gateway).status_code == 200
        for shown in (
            gateway.admin("/api/accounts")["accounts"],
            gateway.admin("/status")["rotation"]["accounts"],
            json.loads(gateway.command("account", "list", "--json").stdout)["accounts"],
        ):
            seen = {one["name"]: (one["request_count"], one["share"], one["weight"]) for one in shown}
            assert seen == {"small": (2, 1, 1), "large": (12, 6, 2), "spare": (0, 1, 1)}
            why = {one["name"]: one["skipped_because"] for one in shown}
            assert why == {"small": None, "large": None, "spare": "worse priority than large"}
        listed = gateway.command("account", "list").stdout.splitlines()
        assert {"requests", "share", "sessions"} <= set(listed[0].split())
        status = gateway.command("status").stdout
        assert "3 of 3 accounts can serve now, 1 of them in reserve:" in status
        assert "spare: worse priority than large" in status


def test_r20_running_conversations_are_counted(tmp_path: Path, provider: SimulatedProvider) -> None:
    """How many, since when, until when: in `account list`, `show` and the API; gone when their hour is."""
    clock = SharedClock(tmp_path / "clock")
    with Gateway(tmp_path, provider=provider.url, clock=tmp_path / "clock") as gateway:
        began = time.time()
        says(gateway, "first")
        clock.advance(600)
        says(gateway, "second")
        says(gateway, "first")
        sessions = gateway.account("one")["sessions"]
        assert sessions["count"] == 2
        assert 0 <= sessions["since"] - began < 10
        assert 4200 <= sessions["until"] - began < 4210
        assert gateway.admin("/status")["rotation"]["accounts"][0]["sessions"] == sessions
        listed = gateway.command("account", "list").stdout.splitlines()
        (row,) = [line.split() for line in listed if line.startswith("one ")]
        assert listed[0].split()[-3:] == ["sessions", "share", "origin"]
        assert row[-3:] == ["2", "1", "settings"]
        assert "2, the oldest since" in gateway.command("account", "show", "one").stdout
        clock.advance(3001)
        assert gateway.account("one")["sessions"]["count"] == 1
        clock.advance(600)
        assert gateway.account("one")["sessions"] == {"count": 0, "since": None, "until": None}
    clock.close()


def test_r20_skipped_because_names_the_conversation(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Asked for a conversation, the accounts it is not on say that it is on another, and until when."""
    with Gateway(tmp_path, provider=provider.url, accounts=("a", "b")) as gateway:
        home = says(gateway, "talk")
        other = {"a": "b", "b": "a"}[home]
        for shown in (
            gateway.admin("/api/accounts?session=talk"),
            json.loads(gateway.command("account", "list", "--session", "talk", "--json").stdout),
        ):
            why = {one["name"]: one["skipped_because"] for one in shown["accounts"]}
            assert why[home] is None
            assert why[other].startswith(f"session talk is on {home} until ")
        new = gateway.admin("/api/accounts?session=unheard-of")["accounts"]
        assert [one["skipped_because"] for one in new] == [None, None]
