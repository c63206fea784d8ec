"""Clients that are spoken to by HTTPS (`server.tls`)."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anthropic
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import CLIENT_KEY, Gateway, until
from tests.journeys.wire import MODEL, ask, connect, request
from tests.relay.test_addresses import BATCH, FINISHED, RESULTS
from tests.upstream.authority import Authority
from tests.upstream.scripted import ScriptedServer, Talk

REQUEST = request(body=ask("say 5 words"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def put(folder: Path, cert: bytes, key: bytes) -> dict[str, str]:
    """The files, each there at once as renewing programs do it; the setting that names them."""
    named = {}
    for name, content in (("cert", cert), ("key", key)):
        path, new = folder / f"{name}.pem", folder / f"{name}.new"
        new.write_bytes(content)
        new.chmod(0o600)
        new.rename(path)
        named[name] = str(path)
    return named


def secured(folder: Path, provider: str, authority: Authority, **server: Any) -> Gateway:
    tls = put(folder, *authority.pair())
    gateway = Gateway(folder, provider=provider, settings={"server": {"tls": tls, **server}})
    gateway.trust = ssl.create_default_context(cadata=authority.pem)
    return gateway


@pytest.fixture
async def gateway(
    tmp_path: Path, provider: SimulatedProvider, authority: Authority
) -> AsyncIterator[Gateway]:
    async with secured(tmp_path, provider.url, authority, send_timeout_ms=1500) as running:
        yield running
    assert "Traceback" not in running.output_text(), running.output_text()
    assert "ERROR" not in running.log_text()


async def test_a_client_needs_only_the_address(gateway: Gateway) -> None:
    """The official SDK, whole and streamed; the owner's side and the commands as ever."""
    assert gateway.url.startswith("https://")
    assert gateway.trust is not None
    client = anthropic.DefaultHttpxClient(verify=gateway.trust)
    prompt: Any = {"role": "user", "content": "hello"}
    with anthropic.Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, http_client=client) as sdk:
        whole = sdk.messages.create(model=MODEL, max_tokens=64, messages=[prompt])
        with sdk.messages.stream(model=MODEL, max_tokens=64, messages=[prompt]) as stream:
            assert stream.get_final_message().content[0].text == whole.content[0].text
    await until(lambda: len(gateway.requests()) == 2, what="both records")
    told = gateway.command("status")
    assert told.returncode == 0 and gateway.url in told.stdout  # over the socket, which is in clear


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_bodies_come_whole(gateway: Gateway, authority: Authority, version: ssl.TLSVersion) -> None:
    """Megabytes in both directions, on one connection, whoever is slow."""
    trust = ssl.create_default_context(cadata=authority.pem)
    trust.minimum_version = trust.maximum_version = version
    large = ask("say 60000 words", stream=True, max_tokens=128_000, system="x" * 3_000_000)
    async with connect(gateway.url, trust) as connection:
        for _ in range(2):
            connection.send(request(body=large))
            await connection.until(b"message_start")
            connection.pause()
            assert (
                gateway.admin("/status")["status"] == "ok"
            )  # meanwhile it serves others, and the stream waits
            connection.resume()
            answer = await connection.answer()
            assert answer.status == 200 and answer.is_whole
            assert answer.events()[-1][0] == "message_stop"
            record = gateway.record_of(answer.id)
            assert record["response_bytes"] == len(answer.body) > 1_000_000
            assert record["request_bytes"] == len(json.dumps(large))
            connection.received.clear()


async def test_addresses_lead_back_by_https(tmp_path: Path, authority: Authority) -> None:
    """Those in answers: a client that follows one stays with the gateway."""

    async def script(talk: Talk) -> None:
        while await talk.request():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            await talk.send(head % len(FINISHED) + FINISHED)

    asking = request(BATCH, method="GET", headers={"host": "gw.test"})
    async with AsyncExitStack() as open_ones:
        server = await open_ones.enter_async_context(ScriptedServer(script))
        url = f"http://127.0.0.1:{server.port}"
        gateway = await open_ones.enter_async_context(secured(tmp_path, url, authority))
        connection = await open_ones.enter_async_context(connect(gateway.url, gateway.trust))
        answer = await connection.ask(asking)
    assert answer.json()["results_url"] == "https://gw.test" + RESULTS


async def test_a_client_that_leaves(gateway: Gateway, provider: SimulatedProvider) -> None:
    """In the middle of a stream, with or without a farewell: the provider is told."""
    assert gateway.trust is not None
    provider.script("sk-ant-sim-one", pacing={"event_ms": 20})
    for number, leave in enumerate(("close", "reset", "drop"), start=1):
        async with connect(gateway.url, gateway.trust) as connection:
            connection.send(request(body=ask("say 5000 words", stream=True)))
            await connection.until(b"content_block_delta")
            getattr(connection, leave)()
            await until(lambda count=number: len(gateway.requests()) == count, what="a record")
        assert gateway.requests()[0]["status"] == 499
        assert gateway.admin("/status")["in_flight"] == 0


async def test_a_new_certificate_is_shown_without_a_restart(
    tmp_path: Path, provider: SimulatedProvider, authority: Authority
) -> None:
    """To new connections; old ones go on. A broken one leaves the old in force, and `/health` says so."""
    async with secured(tmp_path, provider.url, authority) as gateway:
        first = _shown(gateway)
        assert gateway.trust is not None
        async with connect(gateway.url, gateway.trust) as connection:
            assert (await connection.ask(REQUEST)).status == 200
            cert, key = authority.pair()
            put(tmp_path, cert, key)
            await until(lambda: _shown(gateway) == _der(cert), what="the new one")
            assert first != _shown(gateway)
            assert (await connection.ask(REQUEST)).status == 200

            put(tmp_path, authority.pair()[0], key)  # half of a renewal
            await until(lambda: "certificate_not_renewed" in _troubles(gateway), what="a word of it")
            assert str(tmp_path) in json.dumps(gateway.admin("/health"))  # the owner is told more
            assert _shown(gateway) == _der(cert)
            assert "was not renewed" in gateway.log_text()

            newest, key = authority.pair(days=(-1, 90))
            put(tmp_path, newest, key)
            await until(lambda: _troubles(gateway) == [], what="the end of that")
            assert _shown(gateway) == _der(newest)
            assert (await connection.ask(REQUEST)).status == 200


def test_an_expired_certificate_degrades(
    tmp_path: Path, provider: SimulatedProvider, authority: Authority
) -> None:
    """No client that looks at it connects; it is no reason not to start."""
    gateway = secured(tmp_path, provider.url, authority)
    put(tmp_path, *authority.pair(days=(-2, -1)))
    gateway.trust = ssl._create_unverified_context()
    with gateway:
        health = gateway.admin("/health")
        assert (health["status"], health["code"]) == ("degraded", "certificate_expired")


def test_files_of_no_use_refuse_the_start(tmp_path: Path, authority: Authority) -> None:
    """Exit code 2, with what, why and mend, and the names of the files."""
    tls = put(tmp_path, authority.pair()[0], authority.pair()[1])
    gateway = Gateway(tmp_path, accounts=(), settings={"server": {"port": 0, "tls": tls}})
    ended = gateway.command("serve")
    assert ended.returncode == 2
    said = " ".join(ended.stderr.split())
    assert all(name in said for name in tls.values()) and "mend:" in said
    assert not (gateway.data / "headgate.db").exists()


async def test_a_client_without_trust_is_named(gateway: Gateway) -> None:
    """Its owner sees nothing but a failed connection."""
    with pytest.raises(ssl.SSLCertVerificationError):
        plain = socket.create_connection(gateway.address)
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    await until(lambda: "does not trust the certificate" in gateway.log_text(), what="a line")


async def test_a_stop_waits_for_no_farewell(
    tmp_path: Path, provider: SimulatedProvider, authority: Authority
) -> None:
    """An idle client answers TLS's farewell when it next looks: the end does not wait for that."""
    gateway = secured(tmp_path, provider.url, authority, shutdown_grace_seconds=30)
    gateway.start()
    assert gateway.trust is not None
    with gateway.trust.wrap_socket(
        socket.create_connection(gateway.address), server_hostname="localhost"
    ) as client:
        client.sendall(REQUEST)
        assert client.recv(4096)
        began = asyncio.get_running_loop().time()
        assert await asyncio.to_thread(gateway.stop) == 0
        assert asyncio.get_running_loop().time() - began < 10
        while client.recv(65_536):  # the answer's rest, then the farewell
            pass


async def _ask(gateway: Gateway, wire: bytes) -> int:
    async with connect(gateway.url, gateway.trust) as connection:
        return (await connection.ask(wire)).status


def _shown(gateway: Gateway) -> bytes:
    """The certificate that a new connection is shown."""
    assert gateway.trust is not None
    plain = socket.create_connection(gateway.address, timeout=10)
    with gateway.trust.wrap_socket(plain, server_hostname="localhost") as client:
        return client.getpeercert(binary_form=True) or b""


def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def _troubles(gateway: Gateway) -> list[str]:
    found = [one["code"] for one in gateway.admin("/health")["troubles"]]
    return [code for code in found if code != "certificate_ends_soon"]
