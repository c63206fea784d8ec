"""`headgate requests` with real requests through a real gateway."""

import asyncio
import json

import httpx

from headgate.cli.child import ChildGateway
from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import Command

BODY = {"model": "claude-sonnet-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}


async def send(gateway: ChildGateway) -> str:
    """One request through the gateway; its id."""
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        answer = await client.post("/v1/messages", json=BODY)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-headgate-request-id"]


async def test_followed_requests_appear_as_they_happen(
    headgate: Command, gateway: ChildGateway, provider: SimulatedProvider
) -> None:
    """With --json one object a line; Ctrl+C ends it. Later they are history, also when nothing runs."""
    added = await headgate.add("work", "--base-url", provider.url)
    assert added.code == 0, added.err
    first = await send(gateway)
    following = await headgate.start("requests", "--follow", "--json")
    assert following.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert json.loads(await following.stdout.readline())["id"] == first
            second = await send(gateway)
            shown = json.loads(await following.stdout.readline())
    finally:
        following.terminate()
        await following.wait()
    assert (shown["id"], shown["account"], shown["status"]) == (second, "work", 200)
    assert shown["usage"]["output_tokens"] > 0
    await gateway.stop()
    listed = (await headgate("requests", "--json")).json()
    assert [one["id"] for one in listed["requests"]] == [second, first]
    table = (await headgate("requests", "--limit", "1", COLUMNS="120")).out
    assert "claude-sonnet-4-5" in table
    assert "No requests that match" in (await headgate("requests", "--status", "error")).out


async def test_following_needs_a_running_gateway(headgate: Command) -> None:
    """Where nothing runs nothing will come: said at once, not waited for."""
    await headgate.add("work")
    outcome = await headgate("requests", "--follow")
    assert outcome.code == 1
    assert "no gateway is running" in outcome.err


async def test_a_wrong_filter_is_wrong_usage(headgate: Command) -> None:
    await headgate.add("work")
    outcome = await headgate("requests", "--status", "bad")
    assert (outcome.code, "Invalid status: bad" in outcome.err) == (2, True)
