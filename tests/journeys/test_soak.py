"""Two gateways on one PostgreSQL, half of their accounts signed in, for as long as `make soak` says.

Tokens end every half minute, accounts are limited and revived at random, their owner pauses and changes them
meanwhile and edits the file that two of them are kept in, into which both gateways write. No client that an
account could have served may notice, no token may be lost, memory stays flat.
"""

import asyncio
import json
import os
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import psutil

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.guides.planting import by_name, put
from tests.guides.signing_in import declared, settings_of
from tests.journeys.wire import ask, connect, request

SECONDS = float(os.environ.get("HEADGATE_TEST_SOAK_SECONDS", "18"))
CLIENTS = 200
ACCOUNTS = 20
MOST_LIMITED = 12
"""At a time: the others could always serve."""
TOKEN_SECONDS = 16.0
WARM_UP = 0.4
"""Part of the run after which memory is looked at for the first time."""
GROWTH = 1.2


class Soak:
    """What the parts of the run share."""

    def __init__(self, provider: SimulatedProvider, gateways: list[Gateway], kept: Path) -> None:
        self.provider = provider
        self.gateways = gateways
        self.kept = kept
        self.guest = provider.grant("guest", lifetime_seconds=86_400)
        self.ends_at = time.monotonic() + SECONDS
        self.statuses: Counter[str] = Counter()
        self.memory: list[dict[int, int]] = []

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.ends_at

    async def client(self, number: int) -> None:
        """One stream after the other, on a connection that is kept as long as the gateway keeps it."""
        gateway = self.gateways[number % len(self.gateways)]
        async with connect(gateway.url) as connection:
            while self.is_on:
                body = ask(f"say 12 words to visitor {number}", stream=True)
                session = {"x-headgate-session": f"s{number % 60}"}
                answer = await connection.ask(request(body=body, headers=session))
                is_whole = b"message_stop" in answer.body
                self.statuses[f"{answer.status}{'' if is_whole else ' cut'}"] += 1

    async def limits(self) -> None:
        """Accounts are limited for some seconds, each by its provider's own word, and come back."""
        random = Random(7)
        names = [f"sk-ant-sim-key{n}" for n in range(ACCOUNTS // 2)] + [f"p{n}" for n in range(ACCOUNTS // 2)]
        while self.is_on:
            chosen = random.sample(names, MOST_LIMITED)
            for name in names:
                rules: list[dict[str, Any]] = []
                if name in chosen:
                    rules = [
                        {"fault": "429", "limit": random.choice(["unified", "retry_after"]), "seconds": 2}
                    ]
                await asyncio.to_thread(self.provider.script, name, rules=rules)
            await asyncio.sleep(3)

    async def owner(self) -> None:
        """Pauses, weights and a settings file that is saved again, in turn at both gateways."""
        random = Random(8)
        while self.is_on:
            gateway = random.choice(self.gateways)
            name = f"key{random.randrange(ACCOUNTS // 2)}"
            for path, method in (
                (f"/api/accounts/{name}/pause", "POST"),
                (f"/api/accounts/{name}/resume", "POST"),
            ):
                await asyncio.to_thread(gateway.admin, path, method=method)
                await asyncio.sleep(0.5)
            settings = json.loads(gateway.config.read_text())
            settings["routing"] = {"strategy": random.choice(["session", "least-requests", "round-robin"])}
            put(gateway.config, settings)
            await asyncio.sleep(0.5)
            self.edit_kept()
            await asyncio.sleep(0.5)

    def edit_kept(self) -> None:
        """One account comes and goes, while the tokens of the other may just be written."""
        document = json.loads(self.kept.read_text())
        if document["accounts"].pop("guest", None) is None:
            document["accounts"] |= by_name(guest=self.guest)["accounts"]
        put(self.kept, document)

    async def look_at_memory(self) -> None:
        """Once warm, and at the end."""
        await asyncio.sleep(SECONDS * WARM_UP)
        self.memory.append(self._memory())
        await asyncio.sleep(max(self.ends_at - time.monotonic() - 1, 0))
        self.memory.append(self._memory())

    def _memory(self) -> dict[int, int]:
        return {gateway.pid: psutil.Process(gateway.pid).memory_info().rss for gateway in self.gateways}


async def test_soak(tmp_path: Path, postgres_url: str) -> None:
    """See above; the figures are printed with `-s`."""
    environment = {"HEADGATE_SECRET_KEY": secrets.token_urlsafe(32)}
    async with AsyncExitStack() as open_ones:
        provider = await open_ones.enter_async_context(SimulatedProvider())
        provider.keep_bytes(False)
        provider.sign_in(lifetime_seconds=TOKEN_SECONDS, delay_ms=50)
        provider.script("*", pacing={"first_byte_ms": 100, "event_ms": 30})
        accounts = [f"key{n}" for n in range(ACCOUNTS // 2)]
        signed_in = [
            declared(f"person{n}", provider.grant(f"p{n}", lifetime_seconds=TOKEN_SECONDS), provider)
            for n in range(ACCOUNTS // 2)
        ]
        kept = tmp_path / "accounts.json"
        put(kept, by_name(kept=provider.grant("kept", lifetime_seconds=TOKEN_SECONDS)))
        gateways = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            gateways.append(
                Gateway(
                    tmp_path / name,
                    provider=provider.url,
                    accounts=[*accounts, *signed_in],
                    settings={**settings_of(provider), "sources": {"accounts_file": str(kept)}},
                    database=postgres_url,
                    environment=environment,
                )
            )
            await open_ones.enter_async_context(gateways[-1])
        soak = Soak(provider, gateways, kept)
        async with asyncio.TaskGroup() as run:
            for number in range(CLIENTS):
                run.create_task(soak.client(number))
            for part in (soak.limits(), soak.owner(), soak.look_at_memory()):
                run.create_task(part)
        _tell(soak)
        _nobody_noticed(soak)
        _no_token_was_lost(soak)
        _memory_is_flat(soak)


def _tell(soak: Soak) -> None:
    people = soak.provider.sign_ins()
    refreshes = sum(person["refreshes_granted"] for person in people.values())
    print(f"\n{dict(soak.statuses)}, {refreshes} refreshes, memory in MB:")
    for pid in soak.memory[0]:
        print("  ", [round(look[pid] / 1e6, 1) for look in soak.memory])


def _nobody_noticed(soak: Soak) -> None:
    assert set(soak.statuses) == {"200"}, soak.statuses
    assert soak.statuses["200"] > CLIENTS


def _no_token_was_lost(soak: Soak) -> None:
    """No refresh was made twice, and every person's account can still be refreshed."""
    people = soak.provider.sign_ins()
    accounts = {f"p{number}": f"person{number}" for number in range(ACCOUNTS // 2)} | {"kept": "kept"}
    for number, (person, account) in enumerate(accounts.items()):
        counts = people[person]
        assert counts["double_refreshes"] == 0, counts
        assert counts["refreshes_granted"] == counts["refreshes_asked"], counts
        refreshed = soak.gateways[number % 2].admin(f"/api/accounts/{account}/refresh", method="POST")
        assert refreshed["expires_at"] > time.time(), refreshed


def _memory_is_flat(soak: Soak) -> None:
    for pid, early in soak.memory[0].items():
        assert soak.memory[1][pid] < early * GROWTH, [look[pid] for look in soak.memory]
