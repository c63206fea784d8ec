"""How the providers do, over HTTP: who sees what, and what it costs the database."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from headgate.access.client_keys import ClientKey, digest_of
from headgate.admin.app import build_app
from headgate.admin.metrics import FRESH_SECONDS
from headgate.admin.owner import Owner
from headgate.pool.faults import Fault
from headgate.storage.batch import Step, write_batch
from headgate.storage.schema import provider_sums
from headgate.testing.clock import SharedClock
from tests.admin.conftest import ADMIN_KEY, add, set_up
from tests.admin.serving import served
from tests.storage.rows import attempt_row, request_row, rows_of

PATH = "/v1/metrics/providers"
MILLION = 1_000_000
OWNER = {"x-management-key": ADMIN_KEY}
LAPTOP, CI, ENDED = "hg_laptop", "hg_ci", "hg_ended"


@pytest.fixture
async def asking(owner: Owner, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Shows no key. An admin key is set, and three client keys are there, of which one has ended; the clock
    is the test's."""
    set_up(owner, admin={"key": ADMIN_KEY})
    clock = SharedClock(tmp_path / "clock")
    clock.hold()
    owner.clock = clock
    keys = [
        ClientKey(id=number, name=secret.removeprefix("hg_"), digest=digest_of(secret))
        for number, secret in enumerate((LAPTOP, CI, ENDED), 1)
    ]
    keys[2] = dataclasses.replace(keys[2], expires_at=1.0)
    owner.ring.replace(keys)
    async with served(build_app(owner=owner)) as client:
        yield client
    clock.close()


async def record(owner: Owner, *requests: dict[str, Any], step: int = 0) -> None:
    rows = rows_of(*requests)
    rows.attempts = [attempt_row(one["id"], 0) for one in requests]
    await write_batch(owner.database, Step("j", "s", step, step + 1), rows)


def used(request_id: str, key_id: int | None, **changes: Any) -> dict[str, Any]:
    """A million tokens of the cheapest model: one dollar."""
    tokens = dict.fromkeys(("output_tokens", "cache_read_tokens", "cache_write_5m_tokens"))
    fields = {"model": "claude-haiku-4-5", "input_tokens": MILLION, **tokens, "key_id": key_id}
    return request_row(request_id, **{**fields, **changes})


async def metrics(client: httpx.AsyncClient, **headers: str) -> dict[str, Any]:
    answer = await client.get(PATH, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_nothing_before_the_first_request(asking: httpx.AsyncClient) -> None:
    assert await metrics(asking) == await metrics(asking, **OWNER) == {}


async def test_a_stranger_sees_how_providers_do(asking: httpx.AsyncClient, owner: Owner) -> None:
    """Counts, times, and how many accounts rest; no name, no tokens, no money."""
    rows = [request_row(f"r{n}", duration_ms=float(n), first_byte_ms=n / 2) for n in range(1, 101)]
    await record(owner, *rows, request_row("bad", status=529, error="overloaded_error", duration_ms=9e6))
    assert await metrics(asking) == {
        "anthropic": {
            **{"request_count": 101, "success_count": 100, "failure_count": 1, "success_rate": 0.9901},
            "status_codes": {"200": 100, "529": 1},
            **{"latency_p50_ms": 50, "latency_p95_ms": 95, "first_byte_p50_ms": 25, "first_byte_p95_ms": 48},
            "cooldowns": {"accounts": 0, "first_return_at": None, "last_return_at": None},
        }
    }


async def test_cooldowns_are_told_without_names(asking: httpx.AsyncClient, owner: Owner) -> None:
    """An account that waits for its owner rests without an end; one model's limit rests no account."""
    await record(owner, request_row("r"))
    now = owner.clock.now()
    for name, fault, until in (
        ("one", Fault.LIMITED, now + 60),
        ("two", Fault.LIMITED, now + 600),
        ("three", Fault.REFUSED, None),
        ("four", None, None),
    ):
        await add_account(asking, name)
        living = owner.pool.by_name(name)
        assert living is not None
        if fault is not None:
            living.health.apply(fault, model=None, until=until, reason="a word", now=now)
    living.health.apply(Fault.MODEL_LIMITED, model="claude-x", until=now + 60, reason="", now=now)
    cooldowns = (await metrics(asking))["anthropic"]["cooldowns"]
    assert cooldowns["accounts"] == 3
    first, last = cooldowns["first_return_at"] / 1000 - now, cooldowns["last_return_at"] / 1000 - now
    assert (round(first), round(last)) == (60, 600)


async def add_account(client: httpx.AsyncClient, name: str) -> None:
    client.headers.update(OWNER)
    try:
        await add(client, name)
    finally:
        del client.headers["x-management-key"]


@pytest.mark.parametrize(
    "shown", [{"authorization": f"Bearer {LAPTOP}"}, {"x-api-key": LAPTOP}, {"x-goog-api-key": LAPTOP}]
)
async def test_a_client_key_sees_what_it_used(
    asking: httpx.AsyncClient, owner: Owner, shown: dict[str, str]
) -> None:
    """Its own tokens and cost, and nobody else's."""
    await record(owner, used("a", 1), used("b", 1, status=500), used("c", 2), used("d", None))
    found = (await metrics(asking, **shown))["anthropic"]
    assert (found["request_count"], found["failure_count"]) == (4, 1)
    assert (found["total_tokens"], found["input_tokens"], found["cost_usd"]) == (
        2 * MILLION,
        2 * MILLION,
        2.0,
    )
    assert found["keys"] == [
        {"name": "laptop", "request_count": 2, "total_tokens": 2 * MILLION, "cost_usd": 2.0}
    ]
    assert (await asking.get(PATH, params={"key": LAPTOP})).json()["anthropic"] == found


async def test_the_owner_sees_what_all_used(asking: httpx.AsyncClient, owner: Owner) -> None:
    await record(owner, used("a", 1), used("b", 1), used("c", 2), used("d", None, input_tokens=MILLION // 2))
    found = (await metrics(asking, **OWNER))["anthropic"]
    assert (found["total_tokens"], found["cost_usd"]) == (3_500_000, 3.5)
    assert [(one["name"], one["cost_usd"]) for one in found["keys"]] == [
        *(("laptop", 2.0), ("ci", 1.0), (None, 0.5))
    ]


@pytest.mark.parametrize("key", ["wrong", ENDED, "", "\xe4\xf6", "x" * 4000])
async def test_a_key_that_opens_nothing_is_as_none(asking: httpx.AsyncClient, owner: Owner, key: str) -> None:
    """No error, and nobody is locked out by it, however often."""
    await record(owner, used("a", 1))
    strangers = await metrics(asking)
    for header in ("authorization", "x-api-key", "x-management-key"):
        value = (f"Bearer {key}".strip() if header == "authorization" else key).encode("latin-1")
        for _ in range(5):
            answer = await asking.get(PATH, headers=[(header.encode(), value)])
            assert (answer.status_code, answer.json()) == (200, strangers)
    assert "cost_usd" in (await metrics(asking, **OWNER))["anthropic"]


async def test_the_database_is_asked_once_a_second_at_most(asking: httpx.AsyncClient, owner: Owner) -> None:
    """However many ask; then everybody sees what is new."""
    statements: list[str] = []
    sa.event.listen(
        owner.database.engine.sync_engine,
        "before_cursor_execute",
        lambda _, __, statement, *___: statements.append(statement),
    )
    await asyncio.gather(*(metrics(asking) for _ in range(30)))
    assert len([one for one in statements if "provider_sums" in one]) == 1
    await record(owner, request_row("r"))
    assert await metrics(asking) == {}
    owner.clock.advance(FRESH_SECONDS)  # type: ignore[attr-defined]  # the test's own
    assert (await metrics(asking))["anthropic"]["request_count"] == 1


async def test_while_the_database_fails_the_last_answer_stands(
    asking: httpx.AsyncClient, owner: Owner
) -> None:
    """Where there was none, the failure is told, not made up for."""
    await record(owner, request_row("r"))
    before = await metrics(asking)
    async with owner.database.write() as connection:
        await connection.execute(sa.DDL(f"DROP TABLE {provider_sums.name}"))
    owner.clock.advance(FRESH_SECONDS)  # type: ignore[attr-defined]
    assert await metrics(asking) == before
    async with served(build_app(owner=owner)) as newcomer:
        for _ in range(2):
            answer = await newcomer.get(PATH)
            assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")
