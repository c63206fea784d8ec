"""Guide rows D13 (current windows) and H2: how full the windows are, and what is to be expected of them."""

import time
from pathlib import Path

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.asking import message

SUBSCRIPTION = {"five_hour_tokens": 20_000, "seven_day_tokens": 400_000}


def test_d13_windows_with_their_forecast(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Utilisation, reset, source and time of each window, and when it will be full at the present rate."""
    provider.script("*", subscription=SUBSCRIPTION)
    clock = SharedClock(tmp_path / "clock")
    with Gateway(tmp_path, provider=provider.url, clock=tmp_path / "clock") as gateway:
        for _ in range(6):
            assert message(gateway, "word " * 500).status_code == 200
            clock.advance(300)
        windows = {one["name"]: one for one in gateway.account("one")["windows"]}
        hours, week = windows["5h"], windows["7d"]
        assert 0 < week["utilization"] < hours["utilization"] < 1
        assert 17_990 <= hours["resets_at"] - time.time() <= 18_001
        assert abs(hours["seen_at"] - time.time() - 1500) < 20
        assert (hours["source"], hours["status"], hours["models"]) == ("header", "allowed", None)
        forecast = hours["forecast"]
        assert forecast["utilization"] >= hours["utilization"]
        assert 0.2 < hours["utilization"] < 0.5  # the message of half an hour: full before five are over
        passed = (1 - hours["utilization"]) / hours["utilization"] * 1500
        assert forecast["full_at_earliest"] <= forecast["full_at"]
        left = forecast["full_at"] - time.time() - 1800
        assert 0.5 * passed < left < 2 * passed  # the last message is in no statement yet
        assert hours["utilization"] < forecast["at_reset"] <= 1
        shown = gateway.command("account", "show", "one").stdout
        assert "5h: " in shown
        assert ", full at about " in shown
        assert "5h " in gateway.command("account", "list").stdout
        rotation = gateway.admin("/status")["rotation"]["accounts"][0]
        assert [one["name"] for one in rotation["windows"]] == list(windows)
    clock.close()


def test_d13_what_was_sent_since_is_estimated(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The provider states a window before the answer is counted: the running request is added to it."""
    provider.script("*", subscription=SUBSCRIPTION)
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for _ in range(3):
            assert message(gateway).status_code == 200
        window = gateway.account("one")["windows"][0]
        assert window["forecast"]["source"] == "header"
        provider.script("*", rules=[{"fault": "status", "status": 500, "times": 1}])
        message(gateway)
        window = gateway.account("one")["windows"][0]
        assert window["forecast"]["utilization"] >= window["utilization"]


def test_d13_a_window_that_was_reset_begins_anew(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Past its reset nothing is said of it any more, until the next answer."""
    provider.script("*", subscription=SUBSCRIPTION)
    clock = SharedClock(tmp_path / "clock")
    with Gateway(tmp_path, provider=provider.url, clock=tmp_path / "clock") as gateway:
        assert message(gateway).status_code == message(gateway).status_code == 200
        assert gateway.account("one")["windows"][0]["utilization"] > 0
        clock.advance(5 * 3600 + 1)
        window = gateway.account("one")["windows"][0]
        assert (window["utilization"], window["resets_at"], window["forecast"]) == (None, None, None)
    clock.close()


def test_h2_status_tells_the_last_switch_and_why_accounts_rest(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`/status` and `headgate status` say from where to where and why; rests name who said until when."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    settings = {"routing": {"strategy": "round-robin"}}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        assert gateway.admin("/status")["rotation"]["last_switch"] is None
        assert message(gateway).status_code == 200
        rotation = gateway.admin("/status")["rotation"]
        switch = rotation["last_switch"]
        assert (switch["from_account"], switch["to_account"], rotation["switches"]) == ("one", "two", 1)
        assert switch["why"].startswith("rate limited until")
        (rest,) = rotation["accounts"][0]["rests"]
        assert (rest["kind"], rest["source"], rest["until"]) == ("limited", "header", rotation["next_reset"])
        assert "one -> two: rate limited until" in gateway.command("status").stdout
