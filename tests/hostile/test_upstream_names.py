"""A provider's address: names, families, and addresses that are our own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.hostile.far_side import GOOD, GOOD_BODY, TO_ANYBODY, TO_FAR, answering, error_of
from tests.journeys.wire import Answer, ask, fetch, request
from tests.upstream.scripted import ScriptedServer

PLAIN = request(body=ask(), headers=TO_FAR)
STREAM = request(body=ask(stream=True), headers=TO_FAR)
OPEN = {"access": {"api_keys": []}}
"""Anybody may call, with any key: nothing of itself would stop a request that goes round."""
SETTINGS: dict[str, Any] = {"retry": {"attempts": 1}, "upstream": {"connect_timeout_ms": 5000}}


@pytest.fixture(
    scope="module", params=[pytest.param({}, id="with client keys"), pytest.param(OPEN, id="open")]
)
def asked_gateway(
    request: pytest.FixtureRequest,
    running_provider: SimulatedProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    good = {"name": "good", "api_key": "sk-ant-sim-good", "priority": 1, "base_url": running_provider.url}
    folder = tmp_path_factory.mktemp("names")
    with Gateway(folder, accounts=[good], settings={**SETTINGS, **request.param}) as gateway:
        yield gateway


@pytest.fixture
def gateway(asked_gateway: Gateway) -> Iterator[Gateway]:
    """Its account `far` is put in by the test."""
    yield asked_gateway
    asked_gateway.ask("DELETE", "/api/accounts/far")
    assert "Unexpected error" not in asked_gateway.log_text()


def _put(gateway: Gateway, base_url: str) -> None:
    account = {"name": "far", "provider": "anthropic", "api_key": "sk-ant-sim-far", "base_url": base_url}
    gateway.admin("/api/accounts", method="POST", body=account)


def _port_of(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("nowhere.invalid", id="a name that nobody has"),
        pytest.param("a" * 70 + ".invalid", id="a label that is too long"),
        pytest.param("a..b.invalid", id="an empty label"),
    ],
)
async def test_a_name_that_does_not_resolve(gateway: Gateway, host: str) -> None:
    """No address behind the name → 502 ENOTFOUND (EAI_AGAIN: no resolver), pointing to base URL and DNS"""
    _put(gateway, f"http://{host}:8080")
    answer = await fetch(gateway.url, PLAIN)
    error = error_of(answer)
    assert (answer.status, error["code"]) == (502, "all_accounts_failed")
    assert error["lastError"].split(":")[0] in ("ENOTFOUND", "EAI_AGAIN")
    assert host in error["lastError"] and "DNS" in error["hint"]
    (attempt,) = gateway.record_of(answer.id)["attempts"]
    assert attempt["error"] == "connect_failed" and attempt["rests_until"]
    assert (await fetch(gateway.url, TO_ANYBODY)).status == 200


@pytest.mark.parametrize(
    ("listens", "address"),
    [
        pytest.param("127.0.0.1", "localhost", id="a name, by its IPv4 address"),
        pytest.param("::1", "localhost", id="a name, by its IPv6 address"),
        pytest.param("::1", "[::1]", id="an IPv6 address in the URL"),
        pytest.param("127.0.0.1", "127.0.0.1", id="an IPv4 address in the URL"),
    ],
)
async def test_several_addresses(gateway: Gateway, listens: str, address: str) -> None:
    """A name with an address that refuses → the other one is tried at once; IPv6 addresses in brackets"""
    try:
        names = {entry[4][0] for entry in socket.getaddrinfo(address.strip("[]"), 80)}
        server = ScriptedServer(answering(GOOD), host=listens)
        await server.__aenter__()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    try:
        if listens not in names:
            pytest.skip(f"{address} has no address {listens} on this machine")
        _put(gateway, f"http://{address}:{server.port}")
        answer = await fetch(gateway.url, PLAIN)
        assert (answer.status, answer.body) == (200, GOOD_BODY)
        assert len(gateway.record_of(answer.id)["attempts"]) == 1
    finally:
        await server.__aexit__()


async def test_nobody_listens(gateway: Gateway) -> None:
    """A port where nobody listens → 502 ECONNREFUSED with host and port, whatever the number of addresses"""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _put(gateway, f"http://localhost:{port}")
    error = error_of(await fetch(gateway.url, PLAIN))
    assert error["lastError"].startswith("ECONNREFUSED: ") and f"localhost:{port}" in error["lastError"]


# ---- ourselves -----------------------------------------------------------------------------------


@asynccontextmanager
async def _forwarder(port: int) -> AsyncIterator[int]:
    """Another port that leads to this one, as `ssh -L` or a proxy makes it."""
    tasks: set[asyncio.Task[None]] = set()
    ends: list[asyncio.StreamWriter] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        ends.extend((writer, forth))
        for pair in ((reader, forth), (back, writer)):
            tasks.add(asyncio.create_task(copy(*pair)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _times_round(gateway: Gateway, answer: Answer) -> int:
    """How many requests came in because of that one: their ids count them."""
    later = await fetch(gateway.url, TO_ANYBODY)
    return int(later.id[-8:], 16) - int(answer.id[-8:], 16) - 1


def _is_a_loop(gateway: Gateway, answer: Answer) -> None:
    error = error_of(answer)
    assert (answer.status, error["code"]) == (508, "loop_detected")
    assert "leads back to this gateway" in error["message"] and "base URL" in error["hint"]
    record = gateway.record_of(answer.id)
    (attempt,) = record["attempts"]
    assert (record["status"], attempt["account"], attempt["error"]) == (508, "far", "loop_detected")
    assert attempt["reason"].startswith("ELOOP: ") and attempt["rests_until"]
    assert gateway.account("far")["status"] == "active"  # nobody has refused its key


@pytest.mark.parametrize(
    "host", [pytest.param("127.0.0.1", id="127.0.0.1"), pytest.param("localhost", id="localhost")]
)
@pytest.mark.parametrize("data", [PLAIN, STREAM])
async def test_a_base_url_that_is_our_own(gateway: Gateway, host: str, data: bytes) -> None:
    """A base URL that names this gateway → 508 `loop_detected` with the mend, before anything is sent"""
    _put(gateway, f"http://{host}:{_port_of(gateway)}")
    answer = await fetch(gateway.url, data)
    _is_a_loop(gateway, answer)
    assert await _times_round(gateway, answer) == 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PLAIN, id="a message"),
        pytest.param(STREAM, id="a stream"),
        pytest.param(request("/v1/models", method="GET", headers=TO_FAR), id="without a body"),
        pytest.param(request("/v1/files", b"u" * 2_000_000, headers=TO_FAR), id="an upload"),
        pytest.param(request("/v1/files", b"u" * 50_000, headers=TO_FAR, chunks=9), id="an upload in chunks"),
    ],
)
async def test_a_port_forward_that_leads_back(gateway: Gateway, data: bytes) -> None:
    """A base URL that leads here through a port-forward → 508 `loop_detected`, after one time round"""
    async with _forwarder(_port_of(gateway)) as port:
        _put(gateway, f"http://127.0.0.1:{port}")
        answer = await fetch(gateway.url, data)
        _is_a_loop(gateway, answer)
        assert await _times_round(gateway, answer) == 1


async def test_the_same_request_many_times_at_once(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A client that sends one thing many times at once, with the key that an account has → served"""
    provider.script("sk-ant-sim-one", pacing={"first_byte_ms": 300})
    headers = {"user-agent": "evaluation/1.0", "host": "127.0.0.1"}
    wire = request(body=ask(), key="sk-ant-sim-one", headers=headers)
    wire = wire.replace(b"x-api-key: sk-ant-sim-one\r\n", b"", 1)
    wire = wire.replace(b"user-agent: evaluation/1.0\r\n", b"user-agent: e\r\nx-api-key: sk-ant-sim-one\r\n")
    async with Gateway(tmp_path, provider=provider.url, settings=OPEN) as gateway:
        answers = await asyncio.gather(*(fetch(gateway.url, wire) for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8


async def test_a_loop_beside_a_good_account(gateway: Gateway) -> None:
    """One account leads back here, another one does not → that one serves, the record names the mend"""
    _put(gateway, gateway.url)
    answer = await fetch(gateway.url, TO_ANYBODY)
    assert answer.status == 200
    first, second = gateway.record_of(answer.id)["attempts"]
    assert (first["error"], second["account"]) == ("loop_detected", "good")
    assert "Give the account the provider's own address" in first["reason"]


async def test_a_callers_own_credential_in_a_circle(tmp_path: Path) -> None:
    """The provider's address is set to ourselves, a caller brings its own key → 508 `loop_detected`"""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    provider = {"anthropic": {"base_url": f"http://localhost:{port}"}}
    gateway = Gateway(tmp_path, accounts=[], settings={**SETTINGS, **OPEN, "providers": provider})
    gateway.listen_on(port)
    with gateway:
        answer = await fetch(gateway.url, request(body=ask(), key="sk-ant-sim-own"))
        assert (answer.status, error_of(answer)["code"]) == (508, "loop_detected")
        assert gateway.record_of(answer.id)["status"] == 508
        assert len(gateway.requests()) == 1
