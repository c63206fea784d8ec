"""Strangers: a port of HTTPS."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, until
from tests.hostile.asking import REQUEST
from tests.journeys.test_tls import secured
from tests.journeys.wire import ask, connect, request
from tests.upstream.authority import Authority

_LIMITS = {"max_connections": 10, "head_timeout_ms": 2000, "send_timeout_ms": 1500}


@pytest.fixture(scope="module")
def running(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with secured(folder, running_provider.url, Authority(), **_LIMITS) as gateway:
        yield gateway


@pytest.fixture
async def gateway(running: Gateway) -> Gateway:
    """One that serves, whatever was done to it before."""
    assert "Traceback" not in running.output_text(), running.output_text()
    assert await _status(running) == 200
    return running


async def _status(gateway: Gateway) -> int:
    async with connect(gateway.url, gateway.trust) as connection:
        return (await connection.ask(REQUEST)).status


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="not a byte"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="its first bytes"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP in clear"),
    ],
)
async def test_handshakes_that_never_end(gateway: Gateway, beginning: bytes) -> None:
    """Two hundred handshakes that never end → as few as connections; closed in `server.head_timeout_ms`"""
    descriptors = psutil.Process(gateway.pid).num_fds()
    async with AsyncExitStack() as crowd:
        for _ in range(200):
            crowd.enter_context(socket.create_connection(gateway.address)).send(beginning)
        assert psutil.Process(gateway.pid).num_fds() - descriptors < 150
        await until(lambda: psutil.Process(gateway.pid).num_fds() <= descriptors, what="their end")
        assert await _status(gateway) == 200
    assert "too many handshakes" in gateway.log_text()


async def test_http_in_clear(gateway: Gateway) -> None:
    """HTTP in clear → 400 in clear, which says to use https://; a line in the log"""
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    said = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    assert said.startswith(b"HTTP/1.1 400 ") and b"Write https://" in said
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await until(lambda: "HTTP was spoken in clear" in gateway.log_text(), what="a line")


@pytest.mark.parametrize(
    "said", [pytest.param(b"\0" * 64, id="zeros"), pytest.param(b"SSH-2.0-x\r\n", id="SSH")]
)
async def test_what_is_no_handshake(gateway: Gateway, said: bytes) -> None:
    """What is neither HTTP nor a handshake → closed"""
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(said)
    assert b"HTTP" not in await asyncio.wait_for(reader.read(), 10)
    writer.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_versions_of_tls(gateway: Gateway) -> None:
    """TLS 1.1 and older → no handshake"""
    old = ssl._create_unverified_context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), socket.create_connection(gateway.address) as plain:
        old.wrap_socket(plain)


async def test_readers_that_never_read(gateway: Gateway) -> None:
    """Three clients that read nothing of 15 MB → memory stays bounded; cut after `server.send_timeout_ms`"""
    process, began_ms = psutil.Process(gateway.pid), time.time() * 1000
    before = process.memory_info().rss

    def recorded() -> list[int]:
        return [one["status"] for one in gateway.requests() if one["created_at"] >= began_ms - 1]

    async with AsyncExitStack() as crowd:
        for _ in range(3):
            connection = await crowd.enter_async_context(connect(gateway.url, gateway.trust))
            connection.send(request(body=ask("say 120000 words", stream=True, max_tokens=128_000)))
            await connection.until(b"message_start")
            connection.pause()
        await until(lambda: len(recorded()) == 3, what="their end")
    assert process.memory_info().rss - before < 24 << 20  # of 45 MB
    assert recorded() == [499] * 3
    assert gateway.admin("/status")["in_flight"] == 0
