"""Limits and budgets of client keys, met by requests of the running program."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import error_of, message, record_of, run
from tests.guides.test_c_keys import DAY_SECONDS, OPEN, made, status
from tests.testing.wire import ask

HAIKU = "claude-haiku-4-5"


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[SharedClock]:
    clock = SharedClock(tmp_path / "clock")
    yield clock
    clock.close()


async def at_once(gateway: Gateway, key: str, count: int, **fields: Any) -> list[int]:
    """The statuses of so many requests that are sent together."""
    body = json.dumps(ask("hello", **fields)).encode()
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=gateway.url, limits=limits, timeout=60) as client:
        sent = (client.post("/v1/messages", content=body, headers={"x-api-key": key}) for _ in range(count))
        return [answer.status_code for answer in await asyncio.gather(*sent)]


def test_c7_a_rate_is_exact_and_says_when_to_come_back(
    tmp_path: Path, provider: SimulatedProvider, clock: SharedClock
) -> None:
    """429 `rate_limit_error` "Rate limit exceeded" with `Retry-After`; nothing of it reaches the provider."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN, clock=tmp_path / "clock") as gateway:
        key = made(gateway, "laptop", "--rpm", "40")
        began = time.monotonic()
        statuses = asyncio.run(at_once(gateway, key, 120))
        assert 40 <= statuses.count(200) <= 41 + (time.monotonic() - began) * 40 / 60
        assert set(statuses) == {200, 429}
        assert len(provider.books()["requests"]) == statuses.count(200)
        refused = message(gateway, key=key)
        error = error_of(refused)
        assert (error["type"], error["message"]) == ("rate_limit_error", "Rate limit exceeded")
        assert error["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert "x-should-retry" not in refused.headers
        assert refused.headers["anthropic-ratelimit-requests-limit"] == "40"
        assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert refused.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        record = record_of(gateway, refused)
        assert (record["status"], record["error"], record["caller"]) == (429, "rate_limit_exceeded", "laptop")
        clock.advance(60)
        assert status(gateway, key) == 200
        run(gateway, "key", "set", "laptop", "--rpm", "none")
        assert set(asyncio.run(at_once(gateway, key, 60))) == {200}


def test_c7_only_so_many_run_at_one_time(tmp_path: Path, provider: SimulatedProvider) -> None:
    """The next one gets a 429; a request whose client left frees its place."""
    provider.script("*", rules=[{"fault": "hang", "times": 3}])
    settings = {**OPEN, "server": {"request_timeout_ms": 60_000}}
    with Gateway(tmp_path, provider=provider.url, settings=settings) as gateway:
        key = made(gateway, "laptop", "--concurrency", "3")

        async def three_hang() -> None:
            body = json.dumps(ask("hello")).encode()
            headers = {"x-api-key": key}
            async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
                hanging = [
                    asyncio.ensure_future(client.post("/v1/messages", content=body, headers=headers))
                    for _ in range(3)
                ]
                await asyncio.to_thread(
                    wait_until, lambda: gateway.admin("/api/keys/laptop")["used"]["running"] == 3
                )
                refused = await client.post("/v1/messages", content=body, headers=headers)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
                for one in hanging:
                    one.cancel()
                await asyncio.gather(*hanging, return_exceptions=True)

        asyncio.run(three_hang())
        # Whose client left is no more among those that run.
        wait_until(lambda: gateway.admin("/api/keys/laptop")["used"]["running"] == 0, what="the end of three")
        assert status(gateway, key) == 200


def test_c7_tokens_of_a_minute_and_of_five_hours(
    tmp_path: Path, provider: SimulatedProvider, clock: SharedClock
) -> None:
    """Tokens as they were used, not as they were guessed; a wait of hours is not slept out."""
    with Gateway(tmp_path, provider=provider.url, settings=OPEN, clock=tmp_path / "clock") as gateway:
        minute = made(gateway, "minute", "--tpm", "200")
        statuses = [status(gateway, minute, text="say 60 words") for _ in range(8)]
        assert statuses[0] == 200 and statuses[-1] == 429
        answer = message(gateway, key=minute)
        assert answer.headers["anthropic-ratelimit-tokens-limit"] == "200"
        clock.advance(300)
        assert status(gateway, minute) == 200

        window = made(gateway, "window", "--window-tokens", "100")
        statuses = [status(gateway, window, text="say 60 words") for _ in range(4)]
        assert statuses[0] == 200 and statuses[-1] == 429
        refused = message(gateway, key=window)
        assert int(refused.headers["retry-after"]) > 4 * 3600
        assert refused.headers["x-should-retry"] == "false"
        clock.advance(5 * 3600)
        assert status(gateway, window) == 200


def cost_of_all(gateway: Gateway, name: str) -> float:
    """By the prices of the model, from the records: the slow way."""
    rows = [row for row in gateway.requests() if row["caller"] == name]
    return (
        sum(
            (row["usage"]["input_tokens"] or 0) * 1.0
            + (row["usage"]["output_tokens"] or 0) * 5.0
            + (row["usage"]["cache_read_tokens"] or 0) * 0.1
            + (row["usage"]["cache_write_5m_tokens"] or 0) * 1.25
            + (row["usage"]["cache_write_1h_tokens"] or 0) * 2.0
            for row in rows
            if row["usage"]
        )
        / 1_000_000
    )


def test_c7_a_budget_ends_in_402_and_returns(
    tmp_path: Path, provider: SimulatedProvider, clock: SharedClock
) -> None:
    """Clients stop asking; the message says what is used up, the hint when it returns; over a restart too."""
    gateway = Gateway(tmp_path, provider=provider.url, settings=OPEN, clock=tmp_path / "clock")
    with gateway:
        key = made(gateway, "laptop", "--daily-usd", "0.002", "--total-usd", "0.005")
        answers = [message(gateway, "say 100 words", key=key, model=HAIKU) for _ in range(12)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == sorted(statuses) and set(statuses) == {200, 402}
        refused = answers[-1]
        assert "used $0.00205 of $0.002 a day" in error_of(refused)["message"]
        assert "UTC" in error_of(refused)["hint"]
        assert refused.headers["x-should-retry"] == "false"
        used = gateway.admin("/api/keys/laptop")["used"]
        wait_until(lambda: len(gateway.requests()) == 12, what="the records")
        assert used["day_usd"] == pytest.approx(cost_of_all(gateway, "laptop"), abs=1e-9)
        assert used["day_usd"] >= 0.002
    with gateway:
        assert gateway.admin("/api/keys/laptop")["used"]["day_usd"] == pytest.approx(
            used["day_usd"], abs=1e-9
        )
        assert status(gateway, key, model=HAIKU) == 402
        clock.advance(DAY_SECONDS)
        assert status(gateway, key, model=HAIKU) == 200
        for _ in range(30):
            clock.advance(DAY_SECONDS)
            last = message(gateway, "say 100 words", key=key, model=HAIKU)
            if last.status_code == 402:
                break
        assert "in all" in error_of(last)["message"]
        assert "does not return" in error_of(last)["hint"]
        run(gateway, "key", "set", "laptop", "--total-usd", "none", "--daily-usd", "none")
        assert status(gateway, key, model=HAIKU) == 200


def test_c7_nothing_is_counted_twice_or_lost_over_a_kill(tmp_path: Path, provider: SimulatedProvider) -> None:
    """kill -9 under load, twice: what the budgets know afterwards is what the records say."""
    gateway = Gateway(tmp_path, provider=provider.url, settings=OPEN)
    gateway.start()
    try:
        key = made(gateway, "laptop", "--total-usd", "100")
        for _ in range(2):
            asyncio.run(at_once(gateway, key, 40, model=HAIKU))
            gateway.kill()
            gateway.start()
        asyncio.run(at_once(gateway, key, 40, model=HAIKU))
        wait_until(lambda: len(gateway.requests()) == 120, what="all records")
        used = gateway.admin("/api/keys/laptop")["used"]["total_usd"]
        assert used == pytest.approx(cost_of_all(gateway, "laptop"), abs=1e-9)
        gateway.stop()
        gateway.start()
        assert gateway.admin("/api/keys/laptop")["used"]["total_usd"] == pytest.approx(used, abs=1e-9)
    finally:
        gateway.stop()


def test_c7_limits_for_all_keys_are_settings(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Of keys that have none of their own, those of the settings too; in force without a restart."""
    with Gateway(tmp_path, provider=provider.url) as gateway:
        for _ in range(5):
            assert message(gateway).status_code == 200
        run(gateway, "config", "set", "access.limits.rpm", "2")
        assert [message(gateway).status_code for _ in range(4)][-1] == 429
        (key,) = gateway.admin("/api/keys")["keys"]
        assert (key["limits"]["rpm"], key["limits_in_force"]["rpm"]) == (None, 2)
        run(gateway, "key", "set", key["name"], "--rpm", "1000")
        assert message(gateway).status_code == 200


def test_c7_gateways_on_one_database_know_what_a_key_used(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """Budgets hold over several gateways, as soon as their recorders have written."""
    made_at = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        environment = {"HEADGATE_SECRET_KEY": "k" * 43 + "="}
        made_at.append(
            Gateway(
                folder,
                provider=provider.url,
                accounts=() if made_at else ("one",),
                settings={**OPEN, "accounts": None} if made_at else OPEN,
                database=postgres_url,
                environment=environment,
            )
        )
    one, other = made_at
    with one:
        key = made(one, "laptop", "--total-usd", "100")
        for _ in range(3):
            assert status(one, key, model=HAIKU) == 200
        used = one.admin("/api/keys/laptop")["used"]["total_usd"]
        assert used > 0
        with other:
            wait_until(
                lambda: other.admin("/api/keys/laptop")["used"]["total_usd"] == pytest.approx(used),
                what="the same sum on the other gateway",
            )
