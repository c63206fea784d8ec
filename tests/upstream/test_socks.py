"""Through a SOCKS proxy: who resolves the name, and what is said when there is no way."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.clock import SystemClock
from headgate.config.proxies import Proxy, read_proxy
from headgate.errors import ConnectFailed, ProxyFailed, ProxyWantsCredentials, UpstreamError, UpstreamTimedOut
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from headgate.upstream.origin import Origin
from headgate.upstream.timeouts import Timeouts
from headgate.upstream.tls import client_context
from tests.proxies import ONLY_BEHIND, RealProxy
from tests.upstream.authority import Authority
from tests.upstream.scripted import BODY, HEAD, OK, ScriptedServer, Talk, read_all, saying, silent

LIMITS = Timeouts(connect=5, first_byte=5, idle=5)
FAR = Origin("https", "api.example.com", 443)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("socks")


@pytest.fixture(scope="module")
def real(folder: Path) -> Iterator[RealProxy]:
    with RealProxy(folder, "socks", credentials="me:pass") as running:
        yield running


def proxy_of(text: str) -> Proxy:
    found = read_proxy(text)
    assert found is not None
    return found


@pytest.mark.parametrize("is_tls", [True, False])
async def test_the_proxy_resolves_the_name(real: RealProxy, folder: Path, *, is_tls: bool) -> None:
    """socks5h, with credentials: a name that only the proxy knows; the way is kept for the next request."""
    authority = Authority()
    tls = authority.server_context(folder, ONLY_BEHIND) if is_tls else None
    client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
    async with ScriptedServer(saying(OK, OK), tls=tls) as server:
        origin = Origin("https" if is_tls else "http", ONLY_BEHIND, server.port)
        for _ in range(2):
            proxy = proxy_of(real.url())
            answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
            assert answer.status == 200
            await read_all(answer)
        assert len(server.talks) == 1
        await client.close()
    assert f"socks5 127.0.0.1:{_port_in(real)} -> {ONLY_BEHIND}:{origin.port}" in real.log_text()


def _port_in(real: RealProxy) -> str:
    """Of the last connection that it tells of."""
    return real.log_text().rpartition("socks5 127.0.0.1:")[2].partition(" ")[0]


@pytest.mark.parametrize(("scheme", "is_asked"), [("socks5h", False), ("socks5", True), ("socks4", True)])
def test_where_a_name_is_resolved(
    real: RealProxy, monkeypatch: pytest.MonkeyPatch, scheme: str, *, is_asked: bool
) -> None:
    """The `h` leaves it to the proxy: then the name does not leave by this machine's DNS."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(host))
        return resolve(host, *arguments, **options)

    async def work() -> None:  # on asyncio's own loop: the other one's resolver cannot be listened to
        client = UpstreamClient(SystemClock(), Outbox())
        async with ScriptedServer(saying(OK)) as server:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            origin = Origin("http", "localhost", server.port)
            credentials = "me:pass" if scheme.startswith("socks5") else ""
            proxy = proxy_of(real.url(scheme=scheme, credentials=credentials))
            answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
            assert answer.status == 200
            await read_all(answer)
            await client.close()

    asyncio.run(work())
    assert ("localhost" in asked) is is_asked
    assert "127.0.0.1" in asked  # the proxy's own


async def test_socks4a_sends_the_name() -> None:
    """Behind an address that is none, with the user's name (socks4a.protocol)."""

    async def script(talk: Talk) -> None:
        asked.append(await talk.reader.readexactly(8 + len(b"me\0api.example.com\0")))
        await talk.send(b"\x00\x5b" + bytes(6))

    asked: list[bytes] = []
    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(script) as server:
        with pytest.raises(ProxyFailed, match="rejected"):
            proxy = proxy_of(f"socks4a://me@127.0.0.1:{server.port}")
            await client.send(FAR, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
    assert asked == [b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00api.example.com\x00"]
    await client.close()


async def test_a_name_that_is_to_be_resolved_here_and_cannot(real: RealProxy) -> None:
    """socks5 without the `h`: the resolver's failure is not the proxy's."""
    client = UpstreamClient(SystemClock(), Outbox())
    origin = Origin("https", "provider.invalid", 443)
    with pytest.raises(ConnectFailed) as failed:
        await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy_of(real.url(scheme="socks5")))
    assert failed.value.reason == "ENOTFOUND" and "provider.invalid" in failed.value.message
    await client.close()


async def refused_by(*turns: tuple[int, bytes], credentials: str = "") -> UpstreamError:
    """`turns`: how many bytes are read, and what is said then."""

    async def script(talk: Talk) -> None:
        for count, answer in turns:
            await talk.reader.readexactly(count)
            await talk.send(answer)
        talk.close()

    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(script) as server:
        with pytest.raises(UpstreamError) as failed:
            proxy = proxy_of(f"socks5h://{credentials}127.0.0.1:{server.port}")
            await client.send(FAR, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
        assert f"socks5h://127.0.0.1:{server.port}" in failed.value.message
        assert "sec-ret" not in failed.value.message + failed.value.hint
        await client.close()
        assert client._pool.open_count == 0
    return failed.value


_ASKED = 3 + 1 + 1 + len(FAR.host) + 2
_REFUSAL = b"\x05%c\x00\x01\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("code", "words"), [(2, "not allowed"), (4, "Host unreachable"), (5, "refused"), (1, "General")]
)
async def test_a_refusal_is_told_in_the_proxys_words(code: int, words: str) -> None:
    """The reply codes of RFC 1928, section 6, with the host that was asked for."""
    error = await refused_by((3, b"\x05\x00"), (_ASKED, _REFUSAL % code))
    assert type(error) is ProxyFailed and error.reason == "EPROXY"
    assert words in error.message and "api.example.com:443" in error.message


async def test_wrong_credentials_are_told(folder: Path) -> None:
    """None where some are wanted, or wrong ones (RFC 1929)."""
    wanted = await refused_by((3, b"\x05\xff"))
    assert type(wanted) is ProxyWantsCredentials and "wants credentials" in wanted.message
    wrong = await refused_by((4, b"\x05\x02"), (3 + 7 + 7, b"\x01\x01"), credentials="sec-ret:sec-ret@")
    assert type(wrong) is ProxyWantsCredentials and "does not take" in wrong.message


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([(3, b"HTTP/1.1 400 Bad Request\r\n\r\n")], id="http"),
        pytest.param([(3, b"\x04\x00")], id="version"),
        pytest.param([(3, b"\x05\x07")], id="method"),
        pytest.param([(3, b"\x05\x00"), (_ASKED, b"\x05\x63\x00\x01")], id="code"),
        pytest.param([(3, b"\x05\x00"), (_ASKED, b"\x05\x00\x00\x09" + bytes(6))], id="address"),
        pytest.param([(3, b"\x05\x00"), (_ASKED, b"\x05\x00\x01\x01" + bytes(6))], id="reserved"),
        pytest.param([(3, b"\x05\x00"), (_ASKED, b"\x05\x00\x00\x03\x02\xff\xff\x00\x00")], id="name"),
    ],
)
async def test_garbage_is_called_so(turns: list[tuple[int, bytes]]) -> None:
    """What is no SOCKS is the wrong port, or the wrong kind of proxy."""
    error = await refused_by(*turns)
    assert type(error) is ProxyFailed
    assert "is not understood" in error.message or "closed the connection" in error.message


async def test_one_that_closes_is_said_to() -> None:
    """In the middle of the talk."""
    error = await refused_by((3, b"\x05"))
    assert type(error) is ProxyFailed and "closed the connection" in error.message


async def test_one_that_hangs_costs_the_connect_timeout() -> None:
    """The proxy is named."""
    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(silent) as server:
        proxy = proxy_of(f"socks5h://127.0.0.1:{server.port}")
        with pytest.raises(UpstreamTimedOut, match=r"made no way to api\.example\.com:443") as failed:
            await client.send(FAR, HEAD, BODY, timeouts=Timeouts(connect=0.2), proxy=proxy)
    assert failed.value.setting == "upstream.connect_timeout_ms" and str(proxy) in failed.value.message
    await client.close()


async def test_one_that_is_not_there() -> None:
    """As for every connection that is refused."""
    client = UpstreamClient(SystemClock(), Outbox())
    with pytest.raises(ProxyFailed) as failed:
        await client.send(FAR, HEAD, BODY, timeouts=LIMITS, proxy=proxy_of("socks5h://127.0.0.1:1"))
    assert failed.value.reason == "ECONNREFUSED" and "socks5h://127.0.0.1:1" in failed.value.message
    await client.close()
