"""Memory of gateway and recorder stays flat, however many requests go by.

`make soak` sends 300 000 after a warm-up in which everything that remembers a bounded number has filled up.
"""

import asyncio
import itertools
import os
from pathlib import Path

import psutil

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import ask, connect, request

REQUESTS = int(os.environ.get("HEADGATE_TEST_MEMORY_REQUESTS", "4000"))
WARM_UP = int(os.environ.get("HEADGATE_TEST_MEMORY_WARM_UP", "2000"))
CLIENTS = 32
MOST_GROWTH = 5_000_000 if WARM_UP >= 50_000 else 15_000_000
"""Bytes, of each process. After a short warm-up what remembers a bounded number has not filled up yet."""


async def test_memory_stays_flat(tmp_path: Path, provider: SimulatedProvider) -> None:
    """New conversations and old ones, streams and plain answers, new sessions: none leaves anything."""
    provider.keep_bytes(False)
    with Gateway(tmp_path, provider=provider.url, accounts=("one", "two", "three")) as gateway:
        numbers = itertools.count()
        await _send(gateway, numbers, WARM_UP)
        before = await _at_rest(gateway, WARM_UP)
        await _send(gateway, numbers, REQUESTS)
        after = await _at_rest(gateway, WARM_UP + REQUESTS)
    grown = {name: after[name] - before[name] for name in before}
    print(
        f"{REQUESTS:,} requests: "
        + ", ".join(f"{name} {before[name] / 1e6:.1f} → {after[name] / 1e6:.1f} MB" for name in before)
    )
    assert max(grown.values()) < MOST_GROWTH, grown


async def _send(gateway: Gateway, numbers: "itertools.count[int]", count: int) -> None:
    last = next(numbers) + count
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(_client(gateway, numbers, last))


async def _client(gateway: Gateway, numbers: "itertools.count[int]", last: int) -> None:
    async with connect(gateway.url) as connection:
        while (number := next(numbers)) < last:
            body = ask(f"say 5 words to visitor {number // 3}", stream=number % 3 == 0)
            headers = {"x-headgate-session": f"s{number // 10}", "user-agent": f"probe/{number}"}
            answer = await connection.ask(request(body=body, headers=headers))
            assert answer.is_whole and answer.status == 200
            connection.received.clear()


async def _at_rest(gateway: Gateway, wanted: int) -> dict[str, int]:
    """Bytes of each process once everything is written."""

    async def all_is_written() -> bool:
        status = await asyncio.to_thread(gateway.admin, "/status")
        return bool(status["recorder"]["written"] >= wanted)

    await until(all_is_written, what="the last record", seconds=600)
    recorder = await asyncio.to_thread(gateway.recorder_pid)
    assert recorder is not None
    return {
        name: psutil.Process(pid).memory_info().rss
        for name, pid in (("gateway", gateway.pid), ("recorder", recorder))
    }
