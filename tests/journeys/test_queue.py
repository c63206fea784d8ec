"""Requests wait for their turn instead of being refused: `access.queue`."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, NO_TLS, Gateway, until, wait_until
from tests.guides.asking import error_of, message, record_of, run
from tests.guides.test_c_keys import made
from tests.testing.wire import ask


@contextmanager
def queueing(
    folder: Path, provider: SimulatedProvider, *, concurrency: int | None = 1, **queue: int
) -> Iterator[Gateway]:
    """One account, `a`, with so many requests at one time, and a queue."""
    account = {"name": "a", "api_key": "sk-ant-sim-a", "base_url": provider.url, "concurrency": concurrency}
    settings = {"access": {"queue": {"max_waiting": 1000, **queue}}}
    with Gateway(folder, accounts=(account,), settings=settings) as gateway:
        yield gateway


def slow(provider: SimulatedProvider, milliseconds: int) -> None:
    provider.script("sk-ant-sim-a", pacing={"first_byte_ms": milliseconds})


@contextmanager
def begun(gateway: Gateway, count: int, **fields: Any) -> Iterator[list["Future[httpx.Response]"]]:
    """So many requests, sent at once; all are over at the end."""
    with ThreadPoolExecutor(count) as threads:
        yield [threads.submit(message, gateway, **fields) for _ in range(count)]


def waiting(gateway: Gateway) -> int:
    count: int = gateway.admin("/status")["queue"]["waiting"]
    return count


async def test_one_request_of_a_key_passes_hundreds_of_another(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """It waits for the one that runs and at most one turn more."""
    slow(provider, 60_000)
    with queueing(tmp_path, provider, timeout_ms=60_000) as gateway:
        key = made(gateway, "light")

        async def send(text: str, key: str = CLIENT_KEY) -> int:
            body = json.dumps(ask(text)).encode()
            # One client each: for hundreds on their way, one looks at all its connections again and again.
            async with httpx.AsyncClient(base_url=gateway.url, verify=NO_TLS, timeout=60) as client:
                answer = await client.post("/v1/messages", content=body, headers={"x-api-key": key})
                return answer.status_code

        async def until_waiting(count: int) -> None:
            await until(lambda: waiting(gateway) >= count, what=f"A queue of {count}")

        running = asyncio.create_task(send("heavy"))
        await until(provider.received)
        sent = [asyncio.create_task(send("heavy")) for _ in range(500)]
        await until_waiting(500)
        sent.append(asyncio.create_task(send("light", key)))
        await until_waiting(501)
        queue = gateway.admin("/status")["queue"]
        (heavy,) = set(queue["keys"]) - {"light"}
        assert queue["keys"] == {heavy: 500, "light": 1}
        assert [one["position"] for one in queue["requests"]] == list(range(1, 101))
        assert [one["key"] for one in queue["requests"][:3]] == [heavy, "light", heavy]
        assert queue["requests"][1]["why"] == "an account"
        assert queue["longest_ms"] >= queue["requests"][1]["waited_ms"] > 0
        await until(lambda: gateway.admin("/status")["queue"]["longest_ms"] >= 1000)
        said = await asyncio.to_thread(run, gateway, "status")
        assert re.search(r"501 requests in the queue, the first of them for \d+\.\d s", said), said
        slow(provider, 0)
        running.cancel()
        assert await asyncio.gather(*sent) == [200] * 501
        texts = ["light" if b"light" in one["body"] else "heavy" for one in provider.received()]
        assert texts[:3].count("light") == 1
        assert (waiting(gateway), gateway.account("a")["in_flight"]) == (0, 0)


def test_an_account_never_has_more_than_it_may(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 300)
    with queueing(tmp_path, provider, concurrency=2) as gateway, begun(gateway, 6) as answers:
        wait_until(lambda: waiting(gateway) == 4, what="four that wait")
        assert gateway.account("a")["in_flight"] == 2
        assert provider.open_connections() == 2
        assert gateway.account("a")["skipped_because"].startswith("busy: 2 requests run")
        assert "0 of 1 accounts can serve now; 1 is busy: a: busy" in run(gateway, "status")
        assert [one.result().status_code for one in answers] == [200] * 6


def test_a_raised_number_is_in_force_for_those_that_wait(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 60_000)
    with queueing(tmp_path, provider, timeout_ms=60_000) as gateway:
        run(gateway, "account", "add", "b", "--concurrency", "1", "--api-key-stdin", stdin="sk-ant-sim-b")
        run(gateway, "account", "set", "b", "--base-url", provider.url)
        provider.script("sk-ant-sim-b", pacing={"first_byte_ms": 60_000})
        with begun(gateway, 4) as answers:
            wait_until(lambda: waiting(gateway) == 2)
            assert gateway.account("b")["concurrency"] == 1
            slow(provider, 0)
            provider.script("sk-ant-sim-b", pacing={"first_byte_ms": 0})
            run(gateway, "account", "set", "b", "--concurrency", "0")
            wait_until(lambda: sum(one.done() for one in answers) == 2)
            assert gateway.account("b")["concurrency"] is None
            assert gateway.command("account", "show", "b").returncode == 0
            gateway.kill()


def test_busy_accounts_without_a_queue_say_come_back(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 60_000)
    with queueing(tmp_path, provider, max_waiting=0) as gateway, ThreadPoolExecutor(1) as threads:
        running = threads.submit(message, gateway)
        wait_until(lambda: gateway.account("a")["in_flight"] == 1)
        refused = message(gateway)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "x-should-retry" not in refused.headers
        error = error_of(refused)
        assert error["code"] == "all_accounts_busy"
        assert "a: busy: 1 request runs" in error["hint"]
        assert record_of(gateway, refused)["skipped"][0]["account"] == "a"
        gateway.kill()
        assert running.exception() is not None or running.result().status_code >= 500


def test_a_wait_ends_and_so_does_the_room(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 1500)
    queue = {"max_waiting": 2, "timeout_ms": 400}
    with queueing(tmp_path, provider, **queue) as gateway, begun(gateway, 1) as running:
        wait_until(lambda: gateway.account("a")["in_flight"] == 1)
        began = time.monotonic()
        with begun(gateway, 3) as answers:
            refused = [one.result() for one in answers]
        assert time.monotonic() - began >= 0.4
        assert [one.status_code for one in refused] == [503] * 3
        assert {error_of(one)["code"] for one in refused} == {"all_accounts_busy"}
        hints = [error_of(one)["hint"] for one in refused]
        assert sum("no turn for it in time (`access.queue.timeout_ms`)" in hint for hint in hints) >= 2
        durations = sorted(record_of(gateway, one)["duration_ms"] for one in refused)
        assert durations[0] < 300 <= durations[1]  # one found no room
        assert running[0].result().status_code == 200


def test_who_leaves_frees_his_place(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 700)
    with queueing(tmp_path, provider) as gateway, begun(gateway, 1) as running:
        wait_until(lambda: gateway.account("a")["in_flight"] == 1)
        headers, url = {"x-api-key": CLIENT_KEY}, f"{gateway.url}/v1/messages"
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=ask("x"), headers=headers, timeout=0.2)
        wait_until(lambda: waiting(gateway) == 0)
        assert running[0].result().status_code == 200
        assert len(provider.books()["requests"]) == 1


def test_a_rate_is_waited_for_where_it_returns_in_time(tmp_path: Path, provider: SimulatedProvider) -> None:
    """What would take longer is refused at once, with the moment at which it returns."""
    with queueing(tmp_path, provider, concurrency=None, timeout_ms=3000) as gateway:
        key = made(gateway, "light", "--rpm", "60")
        with begun(gateway, 62, key=key) as answers:
            statuses = [one.result().status_code for one in answers]
        assert statuses == [200] * 62
        slower = made(gateway, "slower", "--rpm", "2")
        assert [message(gateway, key=slower).status_code for _ in range(2)] == [200, 200]
        began = time.monotonic()
        refused = message(gateway, key=slower)
        assert (refused.status_code, time.monotonic() - began < 2) == (429, True)
        assert int(refused.headers["retry-after"]) > 20


def test_a_key_s_own_number_at_one_time_is_waited_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 2000)
    with queueing(tmp_path, provider, concurrency=None) as gateway:
        key = made(gateway, "light", "--concurrency", "1")
        with begun(gateway, 5, key=key) as answers:
            wait_until(lambda: waiting(gateway) >= 3)
            slow(provider, 0)
            assert gateway.account("a")["in_flight"] <= 1
            assert gateway.admin("/status")["queue"]["requests"][0]["why"] == "a limit of its key"
            assert [one.result().status_code for one in answers] == [200] * 5


def test_a_limit_that_is_over_in_a_moment_is_waited_for(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The client sees an answer; the record says that it was refused first."""
    rule = {"fault": "429", "limit": "retry_after", "seconds": 2, "times": 1}
    provider.script("sk-ant-sim-a", rules=[rule])
    with queueing(tmp_path, provider, concurrency=None) as gateway:
        answer = message(gateway)
        assert answer.status_code == 200
        record = record_of(gateway, answer)
        assert [one["status"] for one in record["attempts"]] == [429, 200]
        assert (
            record["overhead_ms"] < 1000 < record["waited_ms"] < record["duration_ms"]
        )  # no time of our own
        assert re.search(r"waited \d\.\d+ s", run(gateway, "requests", record["id"]))
        rule = {"fault": "429", "limit": "retry_after", "seconds": 600, "times": 1}
        provider.script("sk-ant-sim-a", rules=[rule])
        began = time.monotonic()
        assert message(gateway).status_code == 429
        assert time.monotonic() - began < 2


def test_a_key_that_is_revoked_waits_no_more(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 1500)
    with queueing(tmp_path, provider) as gateway:
        key = made(gateway, "light")
        with begun(gateway, 1):
            wait_until(lambda: gateway.account("a")["in_flight"] == 1)
            with begun(gateway, 2, key=key) as answers:
                wait_until(lambda: waiting(gateway) == 2)
                run(gateway, "key", "revoke", "light", "--yes")
                refused = [one.result() for one in answers]
        assert [one.status_code for one in refused] == [401, 401]
        assert len(provider.books()["requests"]) == 1


def test_a_stop_lets_those_that_wait_have_their_turn(tmp_path: Path, provider: SimulatedProvider) -> None:
    slow(provider, 300)
    with queueing(tmp_path, provider) as gateway, begun(gateway, 4) as answers:
        wait_until(lambda: waiting(gateway) == 3)
        os.kill(gateway.pid, signal.SIGTERM)
        assert [one.result().status_code for one in answers] == [200] * 4
        wait_until(lambda: not gateway.is_alive)
        gateway.stop(expect_code=0)


def test_the_queue_is_switched_while_it_runs(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Switched off, those that wait go on waiting, and nobody joins them."""
    slow(provider, 500)
    with queueing(tmp_path, provider, max_waiting=0) as gateway:
        run(gateway, "config", "set", "access.queue.max_waiting", "5")
        with begun(gateway, 3) as answers:
            wait_until(lambda: waiting(gateway) == 2)
            run(gateway, "config", "set", "access.queue.max_waiting", "0")
            assert message(gateway).status_code == 503
            assert [one.result().status_code for one in answers] == [200] * 3


def test_a_callers_own_credential_does_not_wait(tmp_path: Path, provider: SimulatedProvider) -> None:
    """It serves at once where no account can."""
    slow(provider, 700)
    provider.script("sk-ant-own", pacing={"first_byte_ms": 0})
    with queueing(tmp_path, provider) as gateway:
        gateway.admin("/api/config", method="PUT", body={"providers.anthropic.base_url": provider.url})
        with begun(gateway, 1) as running:
            wait_until(lambda: gateway.account("a")["in_flight"] == 1)
            headers = {"authorization": "Bearer sk-ant-own"}
            assert message(gateway, headers=headers).status_code in (200, 401)
            assert not running[0].done()
