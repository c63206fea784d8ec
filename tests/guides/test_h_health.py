"""Guide rows H: is it up, who serves, what do the accounts look like."""

import asyncio
import json
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.guides.asking import message
from tests.guides.forwarder import Forwarder
from tests.journeys.wire import ask, connect, request

ADMIN_KEY = "the-owner's-key"


def test_h1_health_is_open_and_counts_the_accounts(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/health` and `/healthz` need no key: status, version, uptime in ms, accounts by state."""
    settings = {"admin": {"key": ADMIN_KEY}}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        gateway.command("account", "pause", "two")
        for path in ("/health", "/healthz"):
            status, body = gateway.ask("GET", path)
            health = json.loads(body)
            assert (status, health["status"]) == (200, "ok")
            assert health["version"] == gateway.command("version").stdout.split()[-1]
            assert 0 <= health["uptime"] < 60_000
            counts = health["accounts"]
            assert (counts["total"], counts["active"], counts["paused"]) == (2, 1, 1)
        assert gateway.ask("GET", "/status")[0] == 401


def test_h1_health_is_degraded_with_a_reason(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """`degraded`, still 200, with the reason: every account is down, or storage is."""
    with (
        Forwarder.to_postgres(postgres_url) as line,
        Gateway(tmp_path, provider=provider.url, database=line.url) as gateway,
    ):
        gateway.admin("/api/accounts/one/pause", method="POST")
        health = gateway.admin("/health")
        assert (health["status"], health["reason"]) == ("degraded", "No account is active: 1 paused")
        gateway.admin("/api/accounts/one/resume", method="POST")
        assert gateway.admin("/health")["status"] == "ok"
        line.cut()
        health = gateway.admin("/health")
        assert health["status"] == "degraded"
        assert health["code"] == "storage_failed"
        assert str(line.port) in health["reason"]
        line.mend()
        wait_until(lambda: gateway.admin("/health")["status"] == "ok")


def test_h1_a_database_that_hangs_does_not_hang_the_answer(
    tmp_path: Path, provider: SimulatedProvider, postgres_url: str
) -> None:
    """It has two seconds, and is not waited for once more while its connection is closed."""
    with (
        Forwarder.to_postgres(postgres_url) as line,
        Gateway(tmp_path, provider=provider.url, database=line.url) as gateway,
    ):
        assert gateway.ask("GET", "/ready")[0] == 200
        line.stall()
        began = time.monotonic()
        assert gateway.ask("GET", "/ready")[0] == 503
        assert time.monotonic() - began < 3.5
        line.flow()
        wait_until(lambda: gateway.ask("GET", "/ready")[0] == 200)


def test_h2_status_shows_the_rotation(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/status` has a `rotation`: strategy, on or off, each account's state, the next reset."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "unified", "seconds": 900}])
    settings = {"routing": {"strategy": "round-robin"}}
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two"), settings=settings) as gateway:
        assert message(gateway).status_code == message(gateway).status_code == 200
        rotation = gateway.admin("/status")["rotation"]
        assert (rotation["strategy"], rotation["enabled"]) == ("round-robin", True)
        states = {account["name"]: account["status"] for account in rotation["accounts"]}
        assert states == {"one": "rate_limited", "two": "active"}
        assert 800 < rotation["next_reset"] - time.time() <= 901
        assert "rotation on" in gateway.command("status").stdout


def test_h3_accounts_are_listed_without_secrets(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`/api/accounts` gives the guides' fields, times in Unix seconds, and never a secret."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "429", "limit": "retry_after", "seconds": 900}])
    with Gateway(tmp_path, provider=provider.url) as gateway:
        assert message(gateway).status_code == 429
        listed = gateway.admin("/api/accounts")["accounts"]
        guides = {"name", "email", "is_active", "expires_at", "rate_limit_status", "rate_limit_reset"}
        assert (guides | {"account_tier", "paused"}) <= listed[0].keys()
        one = listed[0]
        assert (one["name"], one["is_active"], one["paused"]) == ("one", False, False)
        assert one["rate_limit_status"] == "limited"
        assert 800 < one["rate_limit_reset"] - time.time() <= 901
        for path in ("/api/accounts", "/api/accounts/one", "/status", "/api/requests"):
            assert b"sk-ant" not in gateway.ask("GET", path)[1]


async def test_h12_the_owner_is_answered_while_many_streams_run(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """`/api/accounts`, `/status` and `/health` answer while 100 streams run, about as quickly as before."""
    provider.script(pacing={"event_ms": 20})
    stream = request(body=ask("say 2000 words", stream=True))
    routes = ("/api/accounts", "/status", "/health")
    with Gateway(tmp_path, provider=provider.url) as gateway:

        def looked_at() -> float:
            """The middle of many looks: other programs may take the processor away from one of them."""
            took = []
            for route in routes * 7:
                began = time.monotonic()
                assert gateway.ask("GET", route)[0] == 200
                took.append(time.monotonic() - began)
            return statistics.median(took)

        await asyncio.to_thread(looked_at)  # the first look makes what later ones find
        idle = await asyncio.to_thread(looked_at)
        async with AsyncExitStack() as open_streams:
            clients = [await open_streams.enter_async_context(connect(gateway.url)) for _ in range(100)]
            for client in clients:
                client.send(stream)
            for client in clients:
                await client.until(b"content_block_delta")
            busy = await asyncio.to_thread(looked_at)
            assert gateway.admin("/status")["in_flight"] == 100
        assert busy < 10 * idle + 0.1
