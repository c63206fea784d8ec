"""Killed at any moment: what a client saw finished is in the database exactly once.

A burst of requests runs; at a random moment gateway or recorder dies by SIGKILL; the gateway is started
again, the recorder comes back by itself. Twenty times on each database.
"""

import asyncio
import random
from pathlib import Path
from typing import Any

from headgate.tasks import TaskGroup
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.journeys.wire import Connection, ask, connect, request

ROUNDS = 20
CLIENTS = 8
_USAGE_FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
}


class Burst:
    """Clients that ask until they are told to stop, and remember what they saw finished."""

    def __init__(self, gateway: Gateway, dice: random.Random) -> None:
        self._gateway = gateway
        self._dice = dice
        self._tasks = TaskGroup()
        self._clients: list[asyncio.Task[None]] = []
        self._stops = False
        self.finished: dict[str, str] = {}
        """The gateway's id of each whole answer, and the provider's."""

    def start(self) -> None:
        for _ in range(CLIENTS):
            self._clients.append(self._tasks.spawn(self._client(), name="client"))

    async def stop(self) -> None:
        self._stops = True
        await asyncio.gather(*self._clients)

    async def _client(self) -> None:
        try:
            async with connect(self._gateway.url) as connection:
                while not self._stops:
                    await self._ask(connection)
        except OSError:
            return  # the gateway is dead: what it had not finished, nobody saw finished

    async def _ask(self, connection: Connection) -> None:
        words = self._dice.randrange(1, 40)
        body = ask(f"say {words} words", stream=self._dice.random() < 0.7)
        answer = await connection.ask(request(body=body))
        if answer.is_whole and answer.status == 200:
            self.finished[answer.id] = answer.headers["request-id"]


async def test_what_a_client_saw_finished_is_stored_once_whoever_was_killed(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """The record reaches the journal before the last byte reaches the client, and the database once."""
    dice = random.Random(20)
    finished: dict[str, str] = {}
    accounts = [{"name": name, "api_key": f"sk-ant-sim-{name}"} for name in ("one", "two")]
    with Gateway(tmp_path, provider=provider.url, accounts=accounts, database=database_url) as gateway:
        for _ in range(ROUNDS):
            finished |= await _burst_with_a_kill(gateway, dice)
        await until(lambda: _missing(gateway, finished) == set(), what="the last record")
        rows = gateway.requests()
    assert len(finished) > 10 * ROUNDS
    _compare(rows, finished, provider.books()["requests"])


async def _burst_with_a_kill(gateway: Gateway, dice: random.Random) -> dict[str, str]:
    """Traffic, a death in its midst, and everything alive again."""
    burst = Burst(gateway, dice)
    burst.start()
    wanted = dice.randrange(20, 120)
    await until(lambda: len(burst.finished) >= wanted, what="enough traffic")
    if dice.random() < 0.5 and gateway.recorder_pid() is not None:
        gateway.kill_recorder()
        await burst.stop()
    else:
        gateway.kill()
        await burst.stop()
        await asyncio.to_thread(gateway.start)
    return burst.finished


def _missing(gateway: Gateway, finished: dict[str, str]) -> set[str]:
    return finished.keys() - {row["id"] for row in gateway.requests()}


def _compare(rows: list[dict[str, Any]], finished: dict[str, str], books: dict[str, Any]) -> None:
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    stated = [row["provider_request_id"] for row in rows if row["provider_request_id"]]
    assert len(set(stated)) == len(stated), "One provider request has two records."
    for gateway_id, provider_id in finished.items():
        row, usage = by_id[gateway_id], books[provider_id]["usage"]
        assert (row["provider_request_id"], row["status"]) == (provider_id, 200)
        assert {name: row["usage"][name] for name in _USAGE_FIELDS} == {
            name: usage[theirs] for name, theirs in _USAGE_FIELDS.items()
        }
