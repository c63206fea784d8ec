"""Accounts run into their limits in the midst of traffic; no client notices."""

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import Answer, ask, connect, request

CLIENTS = 50
REQUESTS = 2_000
FIVE_HOURS = 5 * 3600.0
RUN_DRY = {"fault": "429", "after": 300, "limit": "unified", "window": "5h", "seconds": FIVE_HOURS}
"""Of the some 660 requests that would be this account's share. Stated, and not a subscription that is used
up: its last good answers would announce it, and whether anybody is refused then is a matter of luck."""


async def test_two_of_three_accounts_run_dry_and_every_client_is_served(tmp_path: Path) -> None:
    """A limited account gets no request until its reset; the third one carries all; then all are back."""
    clock_file = tmp_path / "clock"
    clock = SharedClock(clock_file)
    settings = {"routing": {"strategy": "round-robin", "expose_account": True}}
    with SimulatedProvider(clock=clock_file) as provider:
        for name in ("two", "three"):
            provider.script(f"sk-ant-sim-{name}", rules=[RUN_DRY])
        with Gateway(
            tmp_path,
            provider=provider.url,
            accounts=["one", "two", "three"],
            settings=settings,
            clock=clock_file,
        ) as gateway:
            answers = await _run(gateway, REQUESTS)
            _everyone_was_served(answers)
            _limited_accounts_were_left_alone(provider)
            await _the_gateway_says_so(gateway, clock)
            clock.advance(FIVE_HOURS + 2)
            for name in ("two", "three"):
                provider.script(f"sk-ant-sim-{name}", rules=[])
            await _all_are_back(gateway, provider)
            await until(lambda: len(gateway.requests()) == REQUESTS + 90, what="the last record")
            assert gateway.admin("/status")["in_flight"] == 0
    clock.close()


async def _run(gateway: Gateway, wanted: int) -> list[Answer]:
    """So many streams, fifty at once, on connections that are kept."""
    numbers, answers = count(1), []

    async def client() -> None:
        async with connect(gateway.url) as connection:
            while (number := next(numbers)) <= wanted:
                body = ask(f"say 20 words to visitor {number}", stream=True)
                answers.append(await connection.ask(request(body=body)))

    async with asyncio.TaskGroup() as clients:
        for _ in range(min(CLIENTS, wanted)):
            clients.create_task(client())
    return answers


def _everyone_was_served(answers: list[Answer]) -> None:
    assert len(answers) == REQUESTS
    assert {(answer.status, answer.is_whole) for answer in answers} == {(200, True)}
    assert {answer.events()[-1][0] for answer in answers} == {"message_stop"}
    assert {answer.headers["x-headgate-account"] for answer in answers} == {"one", "two", "three"}


def _limited_accounts_were_left_alone(provider: SimulatedProvider) -> None:
    """From the first 429 on, an account sees what was on its way already and nothing else."""
    rows = list(provider.books()["requests"].values())
    for name in ("two", "three"):
        own = [row for row in rows if row["key"] == f"sk-ant-sim-{name}"]
        refused = [row["number"] for row in own if row["status"] == 429]
        assert 1 <= len(refused) <= CLIENTS
        later = [row for row in own if row["number"] > refused[0]]
        assert len(later) <= CLIENTS
        assert own[-1]["number"] <= refused[0] + 2 * CLIENTS


async def _the_gateway_says_so(gateway: Gateway, clock: SharedClock) -> None:
    rotation = gateway.admin("/status")["rotation"]
    states = {account["name"]: account for account in rotation["accounts"]}
    assert {name: state["status"] for name, state in states.items()} == {
        "one": "active",
        "two": "rate_limited",
        "three": "rate_limited",
    }
    resets = [states[name]["rate_limit_reset"] for name in ("two", "three")]
    assert all(0 < reset - clock.now() <= FIVE_HOURS + 1 for reset in resets)  # in whole seconds, rounded up
    assert rotation["next_reset"] == min(resets)
    assert rotation["switches"] >= 2
    listed = await asyncio.to_thread(gateway.command, "account", "list", "--json")
    accounts: list[dict[str, Any]] = json.loads(listed.stdout)["accounts"]
    limited = {account["name"] for account in accounts if account["status"] == "rate_limited"}
    assert limited == {"two", "three"}
    assert all("rate limited until" in (account["skipped_because"] or "") for account in accounts[1:])
    for name in limited:
        await until(lambda name=name: _is_logged(gateway, name), what=f"The log says that {name} is limited")


def _is_logged(gateway: Gateway, name: str) -> bool:
    return any(name in line and "rate limited" in line for line in gateway.log_text().splitlines())


async def _all_are_back(gateway: Gateway, provider: SimulatedProvider) -> None:
    before = provider.books(with_requests=False)["keys"]
    answers = await _run(gateway, 90)
    after = provider.books(with_requests=False)["keys"]
    assert {answer.status for answer in answers} == {200}
    for name in ("one", "two", "three"):
        key = f"sk-ant-sim-{name}"
        served = after[key]["statuses"]["200"] - before[key]["statuses"]["200"]
        assert served == 30
        assert after[key]["statuses"].get("429") == before[key]["statuses"].get("429")
    states = [account["status"] for account in gateway.admin("/status")["rotation"]["accounts"]]
    assert states == ["active"] * 3
