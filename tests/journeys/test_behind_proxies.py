"""Callers behind a reverse proxy that the owner trusts, and strangers who only say so."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, until
from tests.journeys.wire import Connection, ask, request
from tests.relay.test_addresses import BATCH, FINISHED, RESULTS, answering

PROXY = "127.0.0.5"
CALLER = "203.0.113.7"
TRUSTING: dict[str, Any] = {"server": {"trusted_proxies": [PROXY]}}


def client_at(gateway: Gateway, address: str = PROXY) -> httpx.AsyncClient:
    """Connections of it come from this address of the machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    return httpx.AsyncClient(base_url=gateway.url, transport=transport, timeout=20)


async def message(client: httpx.AsyncClient, forwarded_for: str = "", **fields: Any) -> httpx.Response:
    headers = {"x-api-key": CLIENT_KEY, **({"x-forwarded-for": forwarded_for} if forwarded_for else {})}
    return await client.post("/v1/messages", content=json.dumps(ask(**fields)), headers=headers)


def recorded(gateway: Gateway, answer: httpx.Response) -> str:
    return str(gateway.record_of(answer.headers["x-headgate-request-id"])["client_address"])


async def test_records_name_the_caller(tmp_path: Path, provider: SimulatedProvider) -> None:
    """On one connection that serves several; refused ones too. Nobody but the listed proxy is believed."""
    async with Gateway(tmp_path, provider=provider.url, settings=TRUSTING) as gateway:
        async with client_at(gateway) as proxy, client_at(gateway, "127.0.0.1") as stranger:
            for told, expected in ((CALLER, CALLER), ("::1, 2001:db8::1", "2001:db8::1"), ("", PROXY)):
                for _ in range(3):
                    assert recorded(gateway, await message(proxy, told)) == expected
            assert recorded(gateway, await message(stranger, CALLER)) == "127.0.0.1"
            refused = await proxy.post("/v1/messages", headers={"x-forwarded-for": CALLER})
            assert (refused.status_code, recorded(gateway, refused)) == (401, CALLER)
            gateway.admin("/api/config", method="PUT", body={"server.trusted_proxies": []})
            assert recorded(gateway, await message(proxy, CALLER)) == PROXY
        assert CALLER.encode() in provider.received()[-1]["head"]  # as ever: a line like others


async def test_one_caller_cannot_take_every_place(tmp_path: Path, provider: SimulatedProvider) -> None:
    """`server.max_connections_per_address` counts his open requests, not the proxy's connections."""
    provider.script("sk-ant-sim-one", rules=[{"fault": "hang", "stage": "mid_body", "event": 3, "times": 3}])
    settings = {"server": {**TRUSTING["server"], "max_connections_per_address": 2}}
    async with (
        Gateway(tmp_path, provider=provider.url, settings=settings) as gateway,
        client_at(gateway) as proxy,
    ):
        streams = []
        for address in (CALLER, CALLER, "203.0.113.8"):
            headers = {"x-api-key": CLIENT_KEY, "x-forwarded-for": address}
            asking = proxy.build_request(
                "POST", "/v1/messages", content=json.dumps(ask(stream=True)), headers=headers
            )
            streams.append(await proxy.send(asking, stream=True))
        for _ in range(3):
            refused = await message(proxy, CALLER)
            assert (refused.status_code, refused.headers["x-headgate-error"]) == (503, "too_many_connections")
        assert (await message(proxy, "203.0.113.8")).status_code == 200
        await streams[0].aclose()
        await until(lambda: gateway.admin("/status")["in_flight"] == 2, what="room")
        for _ in range(3):  # and each that ended makes room for the next
            assert (await message(proxy, CALLER)).status_code == 200
        for stream in streams[1:]:
            await stream.aclose()


async def test_a_request_known_by_its_bytes_counts_as_well(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    """One that repeats the head before it on its connection is read by another way."""
    hang = {"fault": "hang", "stage": "mid_body", "event": 3, "after": 3, "times": 1}
    provider.script("sk-ant-sim-one", rules=[hang])
    settings = {"server": {**TRUSTING["server"], "max_connections_per_address": 1}}
    asking = request(body=ask(stream=True), headers={"x-forwarded-for": CALLER})
    loop = asyncio.get_running_loop()
    async with (
        Gateway(tmp_path, provider=provider.url, settings=settings) as gateway,
        client_at(gateway) as proxy,
    ):
        _, connection = await loop.create_connection(Connection, *gateway.address, local_addr=(PROXY, 0))
        for _ in range(3):
            assert (await connection.ask(asking)).status == 200
            connection.received.clear()
        connection.send(asking)
        await connection.until(b"event:")
        assert (await message(proxy, CALLER)).status_code == 503
        connection.drop()
        await until(lambda: gateway.admin("/status")["in_flight"] == 0, what="room")
        assert (await message(proxy, CALLER)).status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
async def test_the_owners_side_sees_the_caller(tmp_path: Path, header: str) -> None:
    """Without an admin key nobody comes in through a proxy, whoever he is said to be."""
    async with Gateway(tmp_path, accounts=(), settings=TRUSTING) as gateway:
        prefix = "for=" if header == "forwarded" else ""
        cases = [
            (PROXY, CALLER, "it comes from another machine"),
            (PROXY, "127.0.0.1", "it came through a proxy"),
            ("127.0.0.1", CALLER, "it came through a proxy"),
        ]
        for peer, told, reason in cases:
            async with client_at(gateway, peer) as client:
                answer = await client.get("/status", headers={header: prefix + told})
            assert answer.status_code == 401
            assert f"refused because {reason}" in answer.json()["detail"]


async def test_the_scheme_is_the_trusted_proxys_word(tmp_path: Path) -> None:
    """Once a proxy is listed, nobody else's counts: the address of results leads back by it."""
    async with answering(tmp_path, FINISHED) as gateway:
        gateway.admin("/api/config", method="PUT", body={"server.trusted_proxies": [PROXY]})
        lines = {
            "x-api-key": CLIENT_KEY,
            "host": "gw.test",
            "x-forwarded-for": CALLER,
            "x-forwarded-proto": "https",
        }
        for peer, scheme in ((PROXY, "https"), ("127.0.0.1", "http")):
            async with client_at(gateway, peer) as client:
                answer = await client.get(BATCH, headers=lines)
            assert answer.json()["results_url"] == f"{scheme}://gw.test{RESULTS}"
