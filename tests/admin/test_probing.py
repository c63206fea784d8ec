"""Testing an account's key against its provider."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from headgate.admin.owner import Owner
from headgate.pool.faults import Fault
from headgate.testing.process import SimulatedProvider
from tests.admin.conftest import add


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


async def asked(client: httpx.AsyncClient, name: str = "work") -> dict[str, Any]:
    answer = await client.post(f"/api/accounts/{name}/test")
    assert answer.status_code == 200, answer.text
    assert "sk-ant" not in answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_good_key_is_accepted_and_an_earlier_refusal_over(
    client: httpx.AsyncClient, owner: Owner, provider: SimulatedProvider
) -> None:
    """A bill that is due stays due: the list of models is free, so it says nothing about money."""
    await add(client, "work", api_key="sk-ant-sim-work", base_url=f"{provider.url}/")
    living = owner.pool.by_name("work")
    assert living is not None
    living.health.apply(Fault.REFUSED, reason="401", now=owner.clock.now())
    living.health.apply(Fault.BILLING, reason="402", now=owner.clock.now())
    found = await asked(client)
    assert (found["ok"], found["outcome"], found["status"], found["hint"]) == (True, "accepted", 200, "")
    assert found["url"] == f"{provider.url}/v1/models?limit=1"
    assert found["duration_ms"] > 0
    assert [rest.fault for rest in living.health.rests(owner.clock.now())] == [Fault.BILLING]
    assert living.request_count == 0


@pytest.mark.parametrize(
    ("rule", "outcome", "status", "account_status"),
    [
        ({"fault": "status", "status": 401}, "refused", 401, "needs_reauth"),
        ({"fault": "status", "status": 402}, "billing", 402, "active"),
        ({"fault": "status", "status": 403}, "forbidden", 403, "active"),
        ({"fault": "429", "limit": "unified", "seconds": 900}, "limited", 429, "active"),
        ({"fault": "status", "status": 500}, "failed", 500, "active"),
        ({"fault": "cut", "stage": "accept"}, "unreachable", None, "active"),
    ],
)
async def test_only_a_refused_key_takes_the_account_out(
    client: httpx.AsyncClient,
    provider: SimulatedProvider,
    rule: dict[str, Any],
    outcome: str,
    status: int | None,
    account_status: str,
) -> None:
    """Everything else is said, in the provider's words and in ours, and left to the requests to find."""
    provider.script("*", rules=[rule])
    await add(client, "work", api_key="sk-ant-sim-work", base_url=provider.url)
    for _ in range(4):  # of requests the third 403 would take it out
        found = await asked(client)
    assert (found["ok"], found["outcome"], found["status"]) == (False, outcome, status)
    assert found["account_status"] == account_status
    assert found["meaning"] and found["hint"] and found["answer"]


async def test_nobody_there_is_named_as_the_network_names_it(client: httpx.AsyncClient) -> None:
    """Host, port and the short word; a paused account can be tested all the same."""
    await add(client, "work", base_url="http://127.0.0.1:9")
    await client.post("/api/accounts/work/pause")
    found = await asked(client)
    assert (found["outcome"], found["reason"], found["account_status"]) == (
        "unreachable",
        "ECONNREFUSED",
        "paused",
    )
    assert "127.0.0.1:9" in found["answer"]


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", b"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n"],
    ids=["a page", "a redirect"],
)
async def test_another_server_takes_no_key(client: httpx.AsyncClient, answer: bytes) -> None:
    """A wrong base URL must not look like a good key."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await add(client, "work", base_url=f"http://127.0.0.1:{port}")
        found = await asked(client)
    assert (found["ok"], found["outcome"]) == (False, "failed")
