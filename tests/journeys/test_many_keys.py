"""Thousands of keys at once over sockets: each gets what its limits say, to the request, and is counted what
it used, to the billionth of a dollar, over deaths of the gateway too.

The clock is held while they ask, so a plain model (`many_keys.py`) knows how many are let in, however slow
the machine is. As many requests as the fuzz tests have cases, a tenth as many keys.
"""

import asyncio
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from headgate.tasks import TaskGroup
from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.hostile.fuzzing import fuzz_cases
from tests.journeys.many_keys import MODEL, MOST_WORDS, NANO, Client
from tests.journeys.wire import ask, connect, request

_CONNECTIONS = 50
_A_WEDNESDAY = 1_767_787_200.0 + 43_200
"""Its noon, 7 January 2026 (UTC): no day and no week ends while the test runs."""
_SPENT = """
SELECT name, requests, tokens, nano_usd, rows, row_tokens FROM client_keys
JOIN (SELECT key_id, SUM(requests) AS requests, SUM(tokens) AS tokens, SUM(nano_usd) AS nano_usd
      FROM key_days GROUP BY key_id) AS days ON days.key_id = client_keys.id
JOIN (SELECT key_id, COUNT(input_tokens) AS rows,
      SUM(COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0)) AS row_tokens
      FROM requests GROUP BY key_id) AS found ON found.key_id = client_keys.id
"""


class Crowd:
    """The clients, and what they were answered."""

    def __init__(self, gateway: Gateway, clock: SharedClock, dice: Random) -> None:
        self._gateway = gateway
        self._clock = clock
        self._dice = dice
        self.clients: list[Client] = []
        self.asked: Counter[Client] = Counter()

    async def join(self, count: int) -> None:
        """So many keys, put into the database of a gateway that does not run: by the owner's route each waits
        for the disk. What requests use is asked before, with a key that has no limits."""
        self._gateway.start()
        self._gateway.admin("/api/keys", method="POST", body={"name": "unlimited", "key": "hg_unlimited"})
        used = {words: await self._usage_of(words) for words in range(1, MOST_WORDS + 1)}
        self._gateway.stop(expect_code=0)
        self.clients = [Client(number, used, self._dice) for number in range(count)]
        with closing(sqlite3.connect(_database_of(self._gateway))) as connection, connection:
            columns = "digest, name, limits"
            same = (
                "beginning, note, owner, tags, enabled, models, refused_models, providers, accounts, domain"
            )
            same += ", may_choose_account, declared, version, created_at, updated_at"
            add = (
                f"INSERT INTO client_keys ({columns}, {same}) SELECT ?, ?, ?, {same} FROM client_keys LIMIT 1"
            )
            connection.executemany(add, [client.row for client in self.clients])

    async def _usage_of(self, words: int) -> tuple[int, int]:
        async with connect(self._gateway.url) as connection:
            wire = request(body=ask(f"say {words} words", model=MODEL), key="hg_unlimited")
            usage = (await connection.ask(wire)).json()["usage"]
        return usage["input_tokens"], usage["output_tokens"]

    async def begin_life(self) -> None:
        for client in self.clients:
            client.begin_life()
        await self.flood(self.clients)

    def pass_time(self, seconds: int) -> None:
        self._clock.advance(seconds)
        for client in self.clients:
            client.pass_time(seconds)

    def some(self, per_client: int) -> list[Client]:
        """So many requests for each in the mean, in any order; often some of one behind each other."""
        runs = [
            [one] * self._dice.randint(1, 3)
            for one in self._dice.choices(self.clients, k=len(self.clients) * per_client)
        ]
        return [one for run in runs for one in run][: len(self.clients) * per_client]

    async def flood(self, asking: Sequence[Client]) -> None:
        """All at once. Of each as many are answered as the model says, the rest are refused."""
        answered = await self._ask(asking)
        differences = {}
        for client, asked in Counter(asking).items():
            let_in, got = client.let_in(asked), answered[client]
            if (got[200], got[402] + got[429]) != (let_in, asked - let_in):
                differences[client.name] = (
                    client.limits,
                    client.tokens,
                    client.nano,
                    asked,
                    let_in,
                    dict(got),
                )
            client.note(let_in)
        self.asked.update(asking)
        assert not differences, differences

    async def flood_until_death(self, asking: Sequence[Client]) -> Counter[Client]:
        """The gateway is killed in the midst of it; the answers that came whole."""
        answered = await self._ask(asking, deadly=len(asking) // 2)
        self.asked.update(asking)
        return Counter({client: statuses[200] for client, statuses in answered.items()})

    async def _ask(
        self, asking: Sequence[Client], *, deadly: int | None = None
    ) -> dict[Client, Counter[int]]:
        waiting = deque(asking)
        answered: dict[Client, Counter[int]] = {client: Counter() for client in asking}

        async def ask_on() -> None:
            async with connect(self._gateway.url) as connection:
                while waiting:
                    client = waiting.popleft()
                    answer = await connection.ask(client.request)
                    if answer.is_whole:
                        answered[client][answer.status] += 1
                    if deadly is not None and len(waiting) < deadly and self._gateway.is_alive:
                        self._gateway.kill()

        tasks = TaskGroup()
        workers = [tasks.spawn(ask_on(), name="client") for _ in range(_CONNECTIONS)]
        ends = await asyncio.gather(*workers, return_exceptions=True)
        assert deadly is not None or ends == [None] * _CONNECTIONS, ends
        return answered

    def check_spent(self) -> None:
        """What the owner is told of every key is what the model says, to the billionth."""
        told = self.told()
        for client in self.clients:
            nano, used = client.served * client.nano, told[client.name]
            money = [round(used[f"{of}_usd"] * NANO) for of in ("day", "week", "total")]
            assert money == [nano] * 3, client.name
            assert (used["window_tokens"], used["running"]) == (client.served * client.tokens, 0)

    def told(self) -> dict[str, dict[str, Any]]:
        found, cursor = {}, ""
        while cursor is not None:
            page = self._gateway.admin(f"/api/keys?limit=1000{cursor and '&cursor=' + cursor}")
            found |= {key["name"]: key["used"] for key in page["keys"]}
            cursor = page["next_cursor"]
        return found


async def test_thousands_of_keys_get_what_their_limits_say(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """Rates, tokens, five hours and budgets, alone and together; not one request more or less."""
    clock = SharedClock(tmp_path / "clock")
    clock.set_wall(_A_WEDNESDAY - time.time())
    clock.hold()
    provider.keep_bytes(False)
    # By the recorder's own clock all of that is long ago.
    settings = {"access": {"api_keys": []}, "storage": {"retention_days": 0}}
    gateway = Gateway(tmp_path, provider=provider.url, settings=settings, clock=tmp_path / "clock")
    crowd = Crowd(gateway, clock, Random(7))
    try:
        await crowd.join(fuzz_cases() // 10)
        gateway.start()
        await crowd.begin_life()
        await crowd.flood(crowd.some(3))
        crowd.pass_time(7)
        await crowd.flood(crowd.some(1))
        crowd.check_spent()
        gateway.kill()  # all is answered; some of it is in the journal alone
        gateway.start()
        crowd.check_spent()
        await crowd.begin_life()
        await crowd.flood(crowd.some(1))
        crowd.pass_time(20)
        await crowd.flood(crowd.some(1))
        crowd.check_spent()
        asking = crowd.some(2)
        answered = await crowd.flood_until_death(asking)
        gateway.start()
        told = crowd.told()
        gateway.stop(expect_code=0)
    finally:
        gateway.stop()
        provider.keep_bytes(True)
        clock.close()
    _check_after_death(gateway, crowd, Counter(asking), answered, told)


async def test_each_key_has_its_own_number_at_one_time(tmp_path: Path, provider: SimulatedProvider) -> None:
    """Twice as many requests as may run, of twenty keys at once: of each key just the half is refused."""
    provider.script("*", rules=[{"fault": "hang"}])
    most = {f"hg_key_{number}_of_twenty": 1 + number % 4 for number in range(20)}
    answered: Counter[tuple[str, int]] = Counter()
    with Gateway(tmp_path, provider=provider.url, settings={"access": {"api_keys": []}}) as gateway:
        for key, concurrency in most.items():
            form = {"name": key[3:], "key": key, "limits": {"concurrency": concurrency}}
            gateway.admin("/api/keys", method="POST", body=form)

        async def ask_once(key: str) -> None:
            async with connect(gateway.url) as connection:
                answered[key, (await connection.ask(request(body=ask(), key=key))).status] += 1

        asking = [key for key, concurrency in most.items() for _ in range(2 * concurrency)]
        Random(3).shuffle(asking)
        tasks = TaskGroup()
        for key in asking:
            tasks.spawn(ask_once(key), name="client")
        await until(lambda: answered.total() >= len(asking) // 2, what="the refusals")
        await until(lambda: _running(gateway) == list(most.values()), what="those that run")
        assert answered == {(key, 429): concurrency for key, concurrency in most.items()}
        await tasks.cancel()
        await until(lambda: _running(gateway) == [0] * len(most), what="their end")


def _running(gateway: Gateway) -> list[int]:
    return [key["used"]["running"] for key in gateway.admin("/api/keys")["keys"]]


def _check_after_death(
    gateway: Gateway,
    crowd: Crowd,
    asked: Counter[Client],
    answered: Counter[Client],
    told: dict[str, dict[str, Any]],
) -> None:
    """Whatever was under way: no answer that a client has is missing, none is counted twice; records, sums
    and what the owner is told are one."""
    with closing(sqlite3.connect(_database_of(gateway))) as connection:
        spent = {name: sums for name, *sums in connection.execute(_SPENT)}
    for client in crowd.clients:
        requests, tokens, nano, rows, row_tokens = spent[client.name]
        assert (requests, tokens) == (rows, row_tokens)
        assert round(told[client.name]["total_usd"] * NANO) == nano
        served = tokens // client.tokens
        assert (tokens, nano) == (served * client.tokens, served * client.nano)
        assert answered[client] <= served - client.served <= client.let_in(asked[client])
        assert rows <= crowd.asked[client]


def _database_of(gateway: Gateway) -> Path:
    (file,) = gateway.data.rglob("*.db")
    return file
