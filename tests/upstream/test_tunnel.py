"""Through an HTTP proxy: the tunnel, what is said when there is none, TLS inside and outside."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from headgate.clock import SystemClock
from headgate.config.proxies import Proxy, read_proxy
from headgate.errors import (
    AnswerCut,
    ConnectFailed,
    LoopDetected,
    ProxyFailed,
    ProxyWantsCredentials,
    UpstreamError,
    UpstreamTimedOut,
)
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from headgate.upstream.origin import Origin
from headgate.upstream.timeouts import Timeouts
from headgate.upstream.tls import client_context
from tests.proxies import ONLY_BEHIND, RealProxy
from tests.upstream.authority import Authority
from tests.upstream.scripted import (
    BODY,
    CHUNKED_HEAD,
    HEAD,
    OK,
    ScriptedServer,
    Talk,
    pieces_of,
    read_all,
    saying,
    silent,
)

LIMITS = Timeouts(connect=5, first_byte=5, idle=5)
NOWHERE = Origin("https", "api.example.com", 443)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def real(folder: Path) -> Iterator[RealProxy]:
    with RealProxy(folder, credentials="me:p@ss") as running:
        yield running


def proxy_at(port: int, credentials: str = "") -> Proxy:
    found = read_proxy(f"http://{credentials}127.0.0.1:{port}")
    assert found is not None
    return found


def of(real: RealProxy, **parts: str) -> Proxy:
    found = read_proxy(real.url(**{"credentials": "me:p%40ss", **parts}))
    assert found is not None
    return found


def in_both_loops(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """What TLS inside TLS does is each loop's own."""
    asyncio.run(work())
    uvloop.run(work())


# ---- a real proxy ----------------------------------------------------------------------------------


def test_https_goes_through_the_tunnel_and_keeps_it(
    real: RealProxy, authority: Authority, folder: Path
) -> None:
    """The name is the proxy's to resolve, certificate and SNI are the origin's, and the next request finds
    the tunnel open."""
    tls = authority.server_context(folder, ONLY_BEHIND)

    async def work() -> None:
        client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
        async with ScriptedServer(saying(OK, OK, OK), tls=tls) as server:
            origin = Origin("https", ONLY_BEHIND, server.port)
            for _ in range(3):
                answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=of(real))
                assert answer.status == 200
                await read_all(answer)
            assert len(server.talks) == 1
            await client.close()

    in_both_loops(work)
    assert f"CONNECT {ONLY_BEHIND}" in real.log_text()


def test_http_is_passed_on_by_the_proxy(real: RealProxy) -> None:
    """The whole address stands in the request line; the proxy's credentials do not travel further."""

    async def script(talk: Talk) -> None:
        heads.append(await talk.request())
        await talk.send(OK)
        await talk.gone()

    async def work() -> None:
        client = UpstreamClient(SystemClock(), Outbox())
        async with ScriptedServer(script) as server:
            origin = Origin("http", ONLY_BEHIND, server.port)
            for body in (BODY, pieces_of(BODY)):
                answer = await client.send(origin, head, body, timeouts=LIMITS, proxy=of(real))
                assert answer.status == 200
                await read_all(answer)
            await client.close()

    heads: list[bytes] = []
    head = HEAD.lower().replace(
        b"post /v1/messages http", b"POST /v1/messages HTTP"
    )  # as the relay writes it
    in_both_loops(work)
    assert len(heads) == 4
    for came in heads:
        assert came.startswith(b"POST /v1/messages HTTP/1.1\r\n")
        assert b"proxy-authorization" not in came.lower()
        assert came.lower().count(b"content-length") == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("credentials", "words"),
    [("", "wants credentials"), ("me:wrong-secret", "does not take the credentials")],
)
async def test_wrong_credentials_are_the_proxys_complaint(
    real: RealProxy, scheme: str, credentials: str, words: str
) -> None:
    """407 names the proxy and the mend, and neither password nor user."""
    client = UpstreamClient(SystemClock(), Outbox())
    origin = Origin(scheme, ONLY_BEHIND, 443)
    with pytest.raises(ProxyWantsCredentials) as failed:
        await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=of(real, credentials=credentials))
    error = failed.value
    assert words in error.message and f"http://127.0.0.1:{real.port}" in error.message
    assert "USER:PASSWORD" in error.hint and error.reason == "EPROXYAUTH"
    assert "wrong-secret" not in error.message + error.hint
    await client.close()


async def test_a_stream_of_a_hundred_events_comes_through(
    real: RealProxy, authority: Authority, folder: Path
) -> None:
    """Each as it comes."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD)
        for number in range(100):
            event = b"event: ping\ndata: {%d}\n\n" % number
            await talk.send(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0)
        await talk.send(b"0\r\n\r\n")
        await talk.gone()

    client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
    async with ScriptedServer(script, tls=authority.server_context(folder, ONLY_BEHIND)) as server:
        origin = Origin("https", ONLY_BEHIND, server.port)
        answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=of(real))
        assert (await read_all(answer)).count(b"event: ping") == 100
        await client.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_proxy_may_speak_tls_itself(scheme: str, authority: Authority, folder: Path) -> None:
    """Its certificate is verified, then the origin's inside."""
    authority.server_context(folder, "localhost")
    tls = authority.server_context(folder, ONLY_BEHIND) if scheme == "https" else None

    async def work() -> None:
        client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
        async with ScriptedServer(saying(OK, OK), tls=tls) as server:
            origin = Origin(scheme, ONLY_BEHIND, server.port)
            for _ in range(2):
                proxy = of(secured, host="localhost", credentials="")
                answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
                assert answer.status == 200
                await read_all(answer)
            assert len(server.talks) == 1
        untrusting = UpstreamClient(SystemClock(), Outbox())
        with pytest.raises(ProxyFailed) as failed:
            await untrusting.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
        assert failed.value.reason == "ETLSUNTRUSTED" and f"Proxy {proxy}" in failed.value.message
        await client.close()
        await untrusting.close()

    with RealProxy(folder, tls=folder / "localhost.pem") as secured:
        in_both_loops(work)


async def test_an_untrusted_origin_is_the_origins_fault(
    real: RealProxy, authority: Authority, folder: Path
) -> None:
    """A tunnel changes nothing about whom one speaks to."""
    client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
    async with ScriptedServer(silent, tls=authority.server_context(folder, "example.com")) as server:
        origin = Origin("https", ONLY_BEHIND, server.port)
        with pytest.raises(ConnectFailed) as failed:
            await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=of(real))
    assert failed.value.reason == "ETLSHOST"
    await client.close()


async def test_a_proxy_that_dies_cuts_the_stream(authority: Authority, folder: Path) -> None:
    """The answer is cut, as by any connection that breaks."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED_HEAD + b"4\r\ngood\r\n")
        await talk.gone()

    client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
    async with ScriptedServer(script, tls=authority.server_context(folder, ONLY_BEHIND)) as server:
        with RealProxy(folder) as mortal:
            origin = Origin("https", ONLY_BEHIND, server.port)
            proxy = of(mortal, credentials="")
            answer = await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
            assert await answer.read() == b"good"
            mortal.kill()
            with pytest.raises(AnswerCut):
                await answer.read()
            answer.close()
            with pytest.raises(ProxyFailed) as failed:
                await client.send(origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
    # Its processes share the port: for a moment one of them may still hold it.
    assert failed.value.reason in ("ECONNREFUSED", "ECONNRESET")
    await client.close()


async def test_connections_belong_to_one_way(real: RealProxy) -> None:
    """One that rests behind a proxy is not taken for a request that goes straight, nor the reverse."""
    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(saying(OK, OK)) as server:
        for proxy in (None, of(real), None, of(real)):
            await read_all(await client.send(server.origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy))
        assert len(server.talks) == 2
        await client.close()


# ---- one that a test scripts -----------------------------------------------------------------------


async def refused_by(answer: bytes, *, credentials: str = "") -> tuple[UpstreamError, bytes]:
    heads: list[bytes] = []

    async def script(talk: Talk) -> None:
        heads.append(await talk.request())
        await talk.send(answer)
        await talk.gone()

    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(script) as server:
        with pytest.raises(UpstreamError) as failed:
            proxy = proxy_at(server.port, credentials)
            await client.send(NOWHERE, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
        assert f"http://127.0.0.1:{server.port}" in failed.value.message
        await client.close()
    return failed.value, heads[0]


async def test_connect_carries_the_credentials() -> None:
    """Basic, of the percent-decoded pair; nothing of the request itself is told to the proxy."""
    _, head = await refused_by(b"HTTP/1.1 403 No\r\n\r\n", credentials="me:p%40%C3%BC@")
    pair = b64encode("me:p@ü".encode())
    assert head == (
        b"CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:443\r\n"
        b"proxy-authorization: Basic %b\r\n\r\n" % pair
    )


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 403 Blocked by policy\r\n\r\n", ProxyFailed, "403 Blocked by policy"),
        (b"HTTP/1.0 502 Bad Gateway\r\nA: b\r\n\r\n<html>", ProxyFailed, "502 Bad Gateway"),
        (b"HTTP/1.1 503\r\n\r\n", ProxyFailed, "503"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", ProxyFailed, "302 Found"),
        (b"HTTP/1.1 403 \x1b[31mred\r\n\r\n", ProxyFailed, "403 ?[31mred"),
        (b"HTTP/1.1 407 Authenticate\r\n\r\n", ProxyWantsCredentials, "wants credentials"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProxyFailed, "no HTTP/1.1 answer"),
        (b"\x05\xff", ProxyFailed, "no HTTP/1.1 answer"),
        (b"\x15\x03\x01\x00\x02\x02\x46", ProxyFailed, "no HTTP/1.1 answer"),
        (b"HTTP/2 200 OK\r\n\r\n", ProxyFailed, "no HTTP/1.1 answer"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", ProxyFailed, "no HTTP/1.1 answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 4000, ProxyFailed, "no end"),
        (b"HTTP/1.1 200 " + b"O" * 40_000, ProxyFailed, "no end"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n", ProxyFailed, "before the tunnel"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
async def test_an_answer_that_opens_no_tunnel(answer: bytes, kind: type[UpstreamError], words: str) -> None:
    """It is said in its own words, bounded and printable, or it is said that it makes no sense."""
    error, _ = await refused_by(answer)
    assert type(error) is kind and words in error.message and error.hint
    assert len(error.message) < 400


async def test_a_proxy_that_closes_is_said_to() -> None:
    """An orderly end in place of an answer."""

    async def script(talk: Talk) -> None:
        await talk.request()
        talk.close()

    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(script) as server:
        with pytest.raises(ProxyFailed, match="closed the connection") as failed:
            await client.send(NOWHERE, HEAD, BODY, timeouts=LIMITS, proxy=proxy_at(server.port))
    assert failed.value.reason == "EOF"
    await client.close()


def test_interim_answers_come_before_the_tunnel(authority: Authority, folder: Path) -> None:
    """A 1xx is no answer yet."""
    tls = authority.server_context(folder, "localhost")

    async def work() -> None:
        async with ScriptedServer(saying(OK), tls=tls) as server:

            async def script(talk: Talk) -> None:
                await talk.request()
                await talk.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
                await talk.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                pumping = asyncio.gather(_pump(talk.reader, writer), _pump(reader, talk.writer))
                await pumping

            client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
            async with ScriptedServer(script) as proxy:
                answer = await client.send(
                    server.origin, HEAD, BODY, timeouts=LIMITS, proxy=proxy_at(proxy.port)
                )
                assert answer.status == 200
                await read_all(answer)
                await client.close()

    in_both_loops(work)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(65_536):
        sink.write(piece)
    sink.close()


@pytest.mark.parametrize("origin", [NOWHERE, Origin("http", "api.example.com", 80)], ids=str)
async def test_a_proxy_that_hangs_costs_the_connect_timeout(origin: Origin) -> None:
    """Of a tunnel; what a proxy passes on has the timeouts of an answer."""
    client = UpstreamClient(SystemClock(), Outbox())
    async with ScriptedServer(silent) as server:
        with pytest.raises(UpstreamTimedOut) as failed:
            limits = Timeouts(connect=0.2, first_byte=0.3)
            await client.send(origin, HEAD, BODY, timeouts=limits, proxy=proxy_at(server.port))
        if origin is NOWHERE:
            assert failed.value.setting == "upstream.connect_timeout_ms"
            assert f"http://127.0.0.1:{server.port} did not answer CONNECT" in failed.value.message
        await client.close()
        assert client._pool.open_count == 0


async def test_a_proxy_without_a_name_is_not_the_providers_fault() -> None:
    """The resolver's failure names the proxy."""
    client = UpstreamClient(SystemClock(), Outbox())
    for host in ("proxy.invalid", "a" * 70 + ".example"):
        with pytest.raises(ProxyFailed) as failed:
            proxy = Proxy("http", host, 3128)
            await client.send(NOWHERE, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
        assert failed.value.reason in ("ENOTFOUND", "EAI_AGAIN") and host in failed.value.message
        assert "the proxy's address" in failed.value.hint
    await client.close()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_proxy_that_is_the_gateway_itself_is_not_asked(scheme: str) -> None:
    """The address was mistaken for the gateway's own."""
    async with ScriptedServer(silent) as server:
        client = UpstreamClient(SystemClock(), Outbox(), own_address=("127.0.0.1", server.port))
        with pytest.raises(LoopDetected, match="is this gateway itself"):
            proxy = Proxy(scheme, "127.0.0.1", server.port)
            await client.send(NOWHERE, HEAD, BODY, timeouts=LIMITS, proxy=proxy)
        await client.close()
