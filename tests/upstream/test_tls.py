"""TLS is verified, explains its refusals, and resumes its sessions."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headgate.clock import SystemClock
from headgate.errors import AnswerCut, ConnectFailed
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from headgate.upstream.timeouts import Timeouts
from headgate.upstream.tls import ResumingContext, client_context
from tests.upstream.authority import Authority
from tests.upstream.scripted import BODY, HEAD, OK, ScriptedServer, Talk, closing_after, read_all

LIMITS = Timeouts(connect=10, first_byte=10, idle=10)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def trusting(authority: Authority) -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient(SystemClock(), Outbox(), tls=client_context(authority.pem))
    yield client
    await client.close()


@pytest.fixture
def quiet_loop_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The far side's loop reports each refused handshake; here it is the point."""
    with caplog.at_level("CRITICAL", logger="asyncio"):
        yield


async def test_a_trusted_host_is_spoken_to_in_http_1_1(
    trusting: UpstreamClient, authority: Authority, tmp_path: Path
) -> None:
    """By name, over ALPN, although the far side would rather speak HTTP/2; kept like any connection."""
    chosen = []
    got = []

    async def script(talk: Talk) -> None:
        chosen.append(talk.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while request := await talk.request():
            got.append(request)
            await talk.send(OK)

    body = bytes(300_000)
    head = HEAD.replace(b"Length: 5", b"Length: 300000")
    async with ScriptedServer(script, tls=authority.server_context(tmp_path)) as server:
        for _ in range(2):
            answer = await trusting.send(server.origin, head, body, timeouts=LIMITS)
            assert await read_all(answer) == b"ok"
        assert len(server.talks) == 1
    assert chosen == ["http/1.1"]
    assert got == [head + body] * 2


@pytest.mark.parametrize(
    ("host", "days", "signed", "reason", "words"),
    [
        ("localhost", (-2, -1), True, "ETLSEXPIRED", "has expired"),
        ("localhost", (1, 2), True, "ETLSNOTYETVALID", "not valid yet"),
        ("example.com", (-1, 1), True, "ETLSHOST", "made out to another host"),
        ("localhost", (-1, 1), False, "ETLSUNTRUSTED", "signed by nobody this machine trusts"),
    ],
)
@pytest.mark.usefixtures("quiet_loop_log")
async def test_a_certificate_that_does_not_hold_is_refused(
    trusting: UpstreamClient,
    authority: Authority,
    tmp_path: Path,
    host: str,
    days: tuple[int, int],
    signed: bool,
    reason: str,
    words: str,
) -> None:
    """Before a byte of the request goes out; the message says what is wrong with it."""
    heard = []

    async def script(talk: Talk) -> None:
        heard.append(await talk.request())

    context = authority.server_context(tmp_path, host, days=days, signed=signed)
    async with ScriptedServer(script, tls=context) as server:
        with pytest.raises(ConnectFailed, match=words) as caught:
            await trusting.send(server.origin, HEAD, BODY, timeouts=LIMITS)
        assert caught.value.reason == reason
    assert not any(heard)


@pytest.mark.usefixtures("quiet_loop_log")
async def test_without_an_own_authority_the_systems_store_decides(
    client: UpstreamClient, authority: Authority, tmp_path: Path
) -> None:
    """Verification is never off."""
    async with ScriptedServer(closing_after(OK), tls=authority.server_context(tmp_path)) as server:
        with pytest.raises(ConnectFailed) as caught:
            await client.send(server.origin, HEAD, BODY, timeouts=LIMITS)
        assert caught.value.reason == "ETLSUNTRUSTED"


async def test_a_plain_port_is_a_failed_handshake(trusting: UpstreamClient) -> None:
    """https:// written for http:// is the commonest slip."""

    async def script(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await talk.gone()

    async with ScriptedServer(script) as server:
        origin = server.origin._replace(scheme="https")
        with pytest.raises(ConnectFailed, match=r"TLS handshake with 127\.0\.0\.1:") as caught:
            await trusting.send(origin, HEAD, BODY, timeouts=LIMITS)
        assert caught.value.reason == "ETLSHANDSHAKE"


async def test_a_handshake_that_is_reset_is_a_failed_connect(trusting: UpstreamClient) -> None:
    """Nothing was sent."""

    async def script(talk: Talk) -> None:
        await talk.reader.read(1)
        talk.reset()

    async with ScriptedServer(script) as server:
        origin = server.origin._replace(scheme="https")
        with pytest.raises(ConnectFailed) as caught:
            await trusting.send(origin, HEAD, BODY, timeouts=LIMITS)
        assert caught.value.reason == "ECONNRESET"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_next_connection_resumes_the_session(
    trusting: UpstreamClient, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A signature less for each connection after the first, in either version."""
    resumed = []

    async def script(talk: Talk) -> None:
        nonlocal count
        resumed.append(talk.writer.get_extra_info("ssl_object").session_reused)
        while await talk.request():
            count += 1
            if count == 4:
                everybody_is_here.set()
            if count > 1:
                await everybody_is_here.wait()
            await talk.send(OK)

    count = 0
    everybody_is_here = asyncio.Event()
    context = authority.server_context(tmp_path)
    context.maximum_version = version
    async with ScriptedServer(script, tls=context) as server:
        await read_all(await trusting.send(server.origin, HEAD, BODY, timeouts=LIMITS))
        at_once = [trusting.send(server.origin, HEAD, BODY, timeouts=LIMITS) for _ in range(3)]
        for answer in await asyncio.gather(*at_once):
            assert await read_all(answer) == b"ok"
    assert resumed == [False, True, True]


async def test_a_cut_answer_without_length_is_not_taken_for_its_end(
    trusting: UpstreamClient, authority: Authority, tmp_path: Path
) -> None:
    """Anyone on the way can close a TCP connection; only TLS's own farewell is the end."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        await proceed.wait()
        talk.reset() if is_cut else talk.close()
        if not is_cut:
            await talk.gone()

    for is_cut in (True, False):
        proceed = asyncio.Event()
        async with ScriptedServer(script, tls=authority.server_context(tmp_path)) as server:
            answer = await trusting.send(server.origin, HEAD, BODY, timeouts=LIMITS)
            assert await answer.read() == b"part"
            proceed.set()
            if is_cut:
                with pytest.raises(AnswerCut):
                    await answer.read()
            else:
                assert await answer.read() == b""
                assert answer.is_complete
            answer.close()


async def test_remembered_sessions_are_bounded(
    trusting: UpstreamClient, authority: Authority, tmp_path: Path
) -> None:
    """The oldest host makes room."""
    context = client_context(authority.pem)
    sessions: list[ssl.SSLSession] = []

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(OK)
        await talk.gone()

    async with ScriptedServer(script, tls=authority.server_context(tmp_path)) as server:
        answer = await trusting.send(server.origin, HEAD, BODY, timeouts=LIMITS)
        await read_all(answer)
        held = trusting._tls
        assert isinstance(held, ResumingContext)
        sessions.extend(held._sessions.values())
    assert len(sessions) == 1
    for number in range(1000):
        context.remember(f"host-{number}", sessions[0])
    assert len(context._sessions) == 256
    assert "host-999" in context._sessions and "host-0" not in context._sessions
