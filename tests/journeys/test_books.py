"""Usage and cost against the provider's own books, whoever dies meanwhile: to the token and the cent.

Clients ask for all sorts of answers, some leave in the middle; the provider limits, fails, cuts its answers
anywhere and writes them in pieces; gateway and recorder are killed in turn. `make books` does it with 100 000
requests on each database.
"""

import asyncio
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from headgate.tasks import TaskGroup
from headgate.testing.conversations import coding_request
from headgate.testing.process import SimulatedProvider
from tests.gateway import PATIENCE_SECONDS, Gateway, until
from tests.journeys.wire import MODEL, Connection, ask, connect, request

REQUESTS = int(os.environ.get("HEADGATE_TEST_BOOKS", "800"))
CLIENTS = 32
LIVES = max(5, REQUESTS // 2_000)
"""Each ends with a death."""
ACCOUNTS = tuple(f"account-{number}" for number in range(10))
PRICES = {"input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 3.75, "cache_write_1h": 6}
_NANO_USD = {
    "input": 3_000,
    "output": 15_000,
    "cache_read": 300,
    "cache_write_5m": 3_750,
    "cache_write_1h": 6_000,
}
"""Of a token, as `PRICES` say of a million."""
_LEFT = 499
_ALL_LIMITED = 429
_ENDING = {
    "head": "close",
    "body": "close",
    "mid_body": "clean",
    "mid_event": "close",
    "mid_chunk": "close",
    "mid_utf8": "clean",
    "before_message_stop": "clean",
}
"""Where answers are cut, and how: not by a reset, which may take bytes with it that count as sent."""

Row = dict[str, Any]
Tokens = Counter[str]


class Run:
    """Clients that ask until enough was asked, over all deaths of the gateway."""

    def __init__(self, gateway: Gateway, provider: SimulatedProvider, seed: int) -> None:
        self._gateway = gateway
        self._provider = provider
        self._dice = random.Random(seed)
        self._tasks = TaskGroup()
        self._is_up = asyncio.Event()
        self.asked = 0
        self.finished: set[str] = set()
        """The gateway's ids of the answers that a client had whole."""
        self.deaths: Counter[str] = Counter()

    async def all(self) -> None:
        self._is_up.set()
        clients = [self._tasks.spawn(self._client(), name="client") for _ in range(CLIENTS)]
        for life in range(1, LIVES + 1):
            await asyncio.to_thread(self._script)
            await self._traffic(REQUESTS * life // LIVES)
            await self._death()
        await asyncio.gather(*clients)

    async def _traffic(self, wanted: int) -> None:
        await until(lambda: self.asked >= wanted, what="enough traffic", seconds=6 * PATIENCE_SECONDS)

    async def _death(self) -> None:
        if self._dice.random() < 0.5 and await asyncio.to_thread(self._gateway.recorder_pid) is not None:
            self.deaths["recorder"] += 1
            await asyncio.to_thread(self._gateway.kill_recorder)
            return
        self.deaths["gateway"] += 1
        self._is_up.clear()
        self._gateway.kill()
        await asyncio.to_thread(self._gateway.start)
        self._is_up.set()

    def _script(self) -> None:
        """What goes wrong in this life, and how answers are written."""
        for name in ACCOUNTS:
            self._provider.script(
                f"sk-ant-sim-{name}",
                rules=[self._fault(after=after) for after in range(2, REQUESTS // LIVES, 9)],
                reply={
                    "write_bytes": self._dice.choice([0, 0, 0, 0, 13, 400]),
                    "pings": self._dice.randrange(3),
                },
                coding=self._dice.choice(["", "", "gzip", "zstd"]),
                pacing={"event_ms": self._dice.choice([0, 0, 0, 0, 0, 0, 0, 1])},
            )

    def _fault(self, *, after: int) -> dict[str, Any]:
        dice = self._dice
        event = dice.randrange(1, 12)
        faults: list[dict[str, Any]] = [
            {"fault": "status", "status": dice.choice([400, 500, 503, 529])},
            {"fault": "429", "limit": "retry_after", "seconds": 0.1},
            {"fault": "error_first"},
            {"fault": "error_mid", "event": event},
            *(
                {"fault": "cut", "stage": stage, "event": event, "ending": _ENDING[stage]}
                for stage in _ENDING
            ),
        ]
        return {**dice.choice(faults), "after": after, "times": 1}

    # ---- a client --------------------------------------------------------------------------------

    async def _client(self) -> None:
        while self.asked < REQUESTS:
            await self._is_up.wait()
            try:
                async with connect(self._gateway.url) as connection:
                    while self.asked < REQUESTS and self._is_up.is_set():
                        self.asked += 1
                        await self._ask(connection)
            except OSError:
                await asyncio.sleep(0)  # the gateway is dead, or we left: a new connection

    async def _ask(self, connection: Connection) -> None:
        dice = self._dice
        if dice.random() < 0.2:
            body = coding_request(dice.randrange(40), turns=dice.randrange(1, 4), stream=dice.random() < 0.7)
        else:
            body = ask(f"say {dice.randrange(1, 60)} words", stream=dice.random() < 0.6)
        headers = {"accept-encoding": dice.choice(["gzip, zstd", "identity"])}
        sent = request(body=body, headers=headers)
        if dice.random() < 0.05:
            await self._leave(request(body=body, headers={**headers, "connection": "close"}))
            return
        answer = await connection.ask(sent)
        if answer.status == _ALL_LIMITED:
            self.asked -= 1  # no account was asked
        if answer.is_whole:
            self.finished.add(answer.id)

    async def _leave(self, sent: bytes) -> None:
        """Ask, read a little, and go; mostly before the end, which closes the connection."""
        reader, writer = await asyncio.open_connection(*self._gateway.address)
        try:
            writer.write(sent)
            async with asyncio.timeout(PATIENCE_SECONDS):
                for _ in range(self._dice.randrange(1, 6)):
                    await reader.read(self._dice.randrange(1, 2_000))
        finally:
            writer.transport.abort()


async def test_usage_and_cost_are_those_of_the_providers_books(
    tmp_path: Path, provider: SimulatedProvider, database_url: str
) -> None:
    """Each record has its request's usage and what it costs; sums are those of the records; none is missing
    that a client saw, and none is there twice."""
    provider.keep_bytes(False)
    settings = {
        "pricing": {"refresh_hours": 0, "models": {MODEL: PRICES}},
        "routing": {"strategy": "round-robin"},
    }
    with Gateway(
        tmp_path, provider=provider.url, accounts=ACCOUNTS, settings=settings, database=database_url
    ) as gateway:
        run = Run(gateway, provider, seed=6)
        await run.all()
        await until(
            lambda: run.finished <= _ids(gateway), what="the last record", seconds=6 * PATIENCE_SECONDS
        )
        await asyncio.to_thread(gateway.stop, expect_code=0)
        await asyncio.to_thread(gateway.start)
        rows, books = _rows(gateway), provider.books()["requests"]
        _compare(rows, books, run)
        _sums_are_those_of(rows, gateway)
        checked = await asyncio.to_thread(gateway.command, "db", "check")
        assert checked.returncode == 0, checked.stdout + checked.stderr


def _rows(gateway: Gateway) -> list[Row]:
    status, lines = gateway.ask("GET", "/api/requests/export?format=jsonl")
    assert status == 200
    return [json.loads(line) for line in lines.splitlines()]


def _ids(gateway: Gateway) -> set[str]:
    return {row["id"] for row in _rows(gateway)}


# ---- the books -----------------------------------------------------------------------------------


def _compare(rows: list[Row], books: dict[str, Row], run: Run) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    stated = [row["provider_request_id"] for row in rows if row["provider_request_id"]]
    claimed = set(stated)
    assert len(claimed) == len(stated), "One request of the provider's has two records."
    ours: Tokens = Counter()
    theirs: Tokens = Counter()
    kinds: Counter[str] = Counter()
    for row in rows:
        told = books[row["provider_request_id"]]["usage"] if row["provider_request_id"] else None
        seen, truth = _tokens_of(row), _tokens_in(told)
        assert _nano(row) == (_cost(seen) if row["usage"] is not None else None), row
        if row["status"] == _LEFT and seen != truth:
            # It left before the last figures came by: those before them are what is known.
            assert all(seen[name] <= count for name, count in truth.items()), (row, told)
            kinds["left"] += 1
            continue
        assert seen == truth, (row, books.get(row["provider_request_id"]))
        kinds["with usage" if told else "without"] += 1
        ours += seen
        theirs += truth
    assert ours == theirs and _cost(ours) == _cost(theirs) > 0
    unclaimed = [entry for its, entry in books.items() if entry["usage"] is not None and its not in claimed]
    given_up = sum(bool(entry["fault"]) for entry in unclaimed)
    lost = len(unclaimed) - given_up
    print(f"{len(rows):,} records: {dict(kinds)}, {_cost(ours) / 1e9:.6f} USD for {dict(ours)}")
    print(f"deaths: {dict(run.deaths)}; lost with one: {lost}; broken off, then asked elsewhere: {given_up}")
    # What was under way when the gateway died has no record: nobody saw it finished.
    assert lost <= CLIENTS * run.deaths["gateway"]
    assert kinds["with usage"] > len(rows) / 4


def _tokens_of(row: Row) -> Tokens:
    usage = row["usage"] or {}
    return Counter({name: usage[f"{name}_tokens"] for name in _NANO_USD if usage.get(f"{name}_tokens")})


def _tokens_in(told: Row | None) -> Tokens:
    """By the names of ours; Anthropic, "Messages", `usage`."""
    if told is None:
        return Counter()
    writes = told["cache_creation"]
    counts = {
        "input": told["input_tokens"],
        "output": told["output_tokens"],
        "cache_read": told["cache_read_input_tokens"],
        "cache_write_5m": writes["ephemeral_5m_input_tokens"],
        "cache_write_1h": writes["ephemeral_1h_input_tokens"],
    }
    return Counter({name: count for name, count in counts.items() if count})


def _cost(tokens: Tokens) -> int:
    """Nano-USD."""
    return sum(count * _NANO_USD[name] for name, count in tokens.items())


def _nano(row: Row) -> int | None:
    return None if row["cost_usd"] is None else round(row["cost_usd"] * 1e9)


def _sums_are_those_of(rows: list[Row], gateway: Gateway) -> None:
    """What the roll-ups say, which were added up batch by batch between the deaths."""
    tokens: Tokens = Counter()
    for row in rows:
        tokens += _tokens_of(row)
    totals = gateway.admin("/api/stats?range=all")
    assert totals["requests"] == len(rows)
    assert totals["input_tokens"] == tokens["input"]
    assert totals["output_tokens"] == tokens["output"]
    assert totals["cache_read_tokens"] == tokens["cache_read"]
    assert totals["cache_write_tokens"] == tokens["cache_write_5m"] + tokens["cache_write_1h"]
    assert round(totals["cost_usd"] * 1e9) == _cost(tokens)
