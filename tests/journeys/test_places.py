"""Places on accounts, from outside: never one too many, and none that is kept from who could have it."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, message, run
from tests.guides.test_c_keys import made
from tests.journeys.test_queue import begun, slow, waiting

_TROUBLE = {"fault": "status", "status": 500, "times": 1}


def _gateway(
    folder: Path, *accounts: dict[str, Any], provider: SimulatedProvider, waiting: int, **more: Any
) -> Gateway:
    entries = [
        {"api_key": f"sk-ant-sim-{one['name']}", "base_url": provider.url, "concurrency": 1, **one}
        for one in accounts
    ]
    settings = {
        "access": {"queue": {"max_waiting": waiting, "timeout_ms": 60_000}},
        "retry": {"delay_ms": 700, "attempts": 2},
    }
    return Gateway(folder, accounts=entries, settings=settings, **more)


def test_a_full_queue_refuses_nobody_whose_account_is_idle(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    slow(provider, 1500)
    provider.script("*", models=["model-a", "model-b"])
    accounts = {"name": "a", "models": ["model-a"]}, {"name": "b", "models": ["model-b"]}
    with (
        _gateway(tmp_path, *accounts, provider=provider, waiting=1) as gateway,
        begun(gateway, 2, model="model-a") as answers,
    ):
        wait_until(lambda: waiting(gateway) == 1)
        assert message(gateway, model="model-b").status_code == 200
        assert message(gateway, model="model-a").status_code == 503
        assert [one.result().status_code for one in answers] == [200, 200]


def test_a_key_that_is_changed_waits_for_what_it_opens_now(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Bound to another account, it goes to that; by limits of before nobody gets in."""
    slow(provider, 60_000)
    accounts = {"name": "a"}, {"name": "b"}
    with _gateway(tmp_path, *accounts, provider=provider, waiting=9) as gateway:
        key = made(gateway, "light", "--accounts", "a", "--concurrency", "3")
        with begun(gateway, 5, key=key) as answers:
            wait_until(lambda: waiting(gateway) == 4)
            whys = {one["why"] for one in gateway.admin("/status")["queue"]["requests"]}
            assert whys == {"a limit of its key", "an account"}
            run(gateway, "key", "set", "light", "--accounts", "b", "--concurrency", "4")
            wait_until(lambda: sum(one.done() for one in answers) == 4)
            assert gateway.account("a")["in_flight"] == 1
            run(gateway, "key", "set", "light", "--models", "other-*")
            assert error_of(message(gateway, key=key))["code"] == "key_may_not"
            gateway.kill()
        assert [one.result().status_code for one in answers if not one.exception()] == [200] * 4


def test_one_of_those_that_wait_finds_out_whether_a_limit_is_over(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """The provider named no time: what it thinks of ten requests at once is not tried."""
    provider.script("sk-ant-sim-a", rules=[{"fault": "429", "limit": "bare", "times": 1}])
    clock = SharedClock(tmp_path / "clock")
    clock.hold()
    account = {"name": "a", "concurrency": None}
    gateway = _gateway(tmp_path, account, provider=provider, waiting=50, clock=tmp_path / "clock")
    with gateway, begun(gateway, 1) as first, ThreadPoolExecutor(9) as threads:
        wait_until(lambda: waiting(gateway) == 1)
        answers = first + [threads.submit(message, gateway) for _ in range(9)]
        wait_until(lambda: waiting(gateway) == 10)
        before = len(provider.received())
        slow(provider, 1500)
        clock.advance(2)
        wait_until(lambda: len(provider.received()) > before)
        assert (gateway.account("a")["in_flight"], waiting(gateway)) == (1, 9)
        slow(provider, 0)
        assert [one.result().status_code for one in answers] == [200] * 10
        assert (gateway.account("a")["in_flight"], waiting(gateway)) == (0, 0)


def _during_the_delay(gateway: Gateway, provider: SimulatedProvider, then: Callable[[], None]) -> int:
    """Do something while a request waits for its second try; its status."""
    provider.script("sk-ant-sim-a", rules=[_TROUBLE])
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(message, gateway)
        wait_until(lambda: gateway.account("a")["error_count"] == 1)
        then()
        return first.result().status_code


def test_who_tries_again_keeps_its_place(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Or its second try would be one more than the account may have."""
    with _gateway(tmp_path, {"name": "a"}, provider=provider, waiting=0) as gateway:

        def refused() -> None:
            answer = message(gateway)
            assert (answer.status_code, error_of(answer)["code"]) == (503, "all_accounts_busy")

        assert _during_the_delay(gateway, provider, refused) == 200


def test_a_place_on_an_account_in_trouble_is_waited_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    """It is the only one, so it is asked all the same: as soon as it has a place."""
    with _gateway(tmp_path, {"name": "a"}, provider=provider, waiting=5) as gateway:
        answered: list[int] = []
        other = threading.Thread(target=lambda: answered.append(message(gateway).status_code))

        def waits() -> None:
            other.start()
            wait_until(lambda: waiting(gateway) == 1)

        assert _during_the_delay(gateway, provider, waits) == 200
        other.join()
        assert answered == [200]
        assert json.loads(gateway.ask("GET", "/status")[1])["queue"]["waiting"] == 0
