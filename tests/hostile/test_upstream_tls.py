"""A provider's TLS: what is wrong with it is said, with the mend; nothing is sent before it is right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import until
from tests.hostile.far_side import LIMIT_MS, TO_ANYBODY, FarSide, error_of, far_gateway
from tests.upstream.authority import Authority
from tests.upstream.scripted import Script, Talk


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def trusting_gateway(
    running_provider: SimulatedProvider, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FarSide]:
    """Its owner has named the authority in `SSL_CERT_FILE`."""
    folder = tmp_path_factory.mktemp("tls")
    trusted = folder / "authority.pem"
    trusted.write_text(authority.pem)
    environment = {"SSL_CERT_FILE": str(trusted)}
    with far_gateway(
        folder, running_provider, address="https://localhost:{port}", environment=environment
    ) as far:
        yield far


@pytest.fixture
def tls(trusting_gateway: FarSide, provider: SimulatedProvider) -> Iterator[FarSide]:
    trusting_gateway.rest()
    yield trusting_gateway
    trusting_gateway.check_unharmed()


@pytest.fixture(autouse=True)
def quiet_loop_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The far side's loop reports each handshake that failed; here that is the point."""
    with caplog.at_level("CRITICAL", logger="asyncio"):
        yield


async def _fails_to_connect(far: FarSide, word: str, *words: str) -> None:
    answer = await far.ask()
    assert (answer.status, answer.is_whole) == (502, True)
    error = error_of(answer)
    assert error["code"] == "all_accounts_failed"
    assert error["lastError"].startswith(f"{word}: ")
    for part in words:
        assert (
            part in error["lastError"] and part in far.gateway.record_of(answer.id)["attempts"][0]["reason"]
        )
    assert words[-1] in error["hint"]
    (attempt,) = far.gateway.record_of(answer.id)["attempts"]
    assert attempt["error"] == "connect_failed" and attempt["rests_until"]
    far.rest()
    other = await far.ask(TO_ANYBODY)
    assert (other.status, far.gateway.record_of(other.id)["account"]) == (200, "good")


@pytest.mark.parametrize(
    ("host", "days", "signed", "word", "what", "mend"),
    [
        pytest.param("localhost", (-2, -1), True, "ETLSEXPIRED", "has expired", "renew it", id="expired"),
        pytest.param(
            "localhost", (1, 2), True, "ETLSNOTYETVALID", "not valid yet", "clock", id="not yet valid"
        ),
        pytest.param(
            "example.com", (-1, 1), True, "ETLSHOST", "another host", "base URL", id="another host's"
        ),
        pytest.param(
            "localhost", (-1, 1), False, "ETLSUNTRUSTED", "nobody", "SSL_CERT_FILE", id="self-signed"
        ),
    ],
)
async def test_a_certificate_that_does_not_hold(
    tls: FarSide,
    authority: Authority,
    tmp_path: Path,
    host: str,
    days: tuple[int, int],
    signed: bool,
    word: str,
    what: str,
    mend: str,
) -> None:
    """A bad certificate → 502 that says what is wrong with it and what mends it; nothing was sent"""
    heard = []

    async def script(talk: Talk) -> None:
        heard.append(await talk.request())

    context = authority.server_context(tmp_path, host, days=days, signed=signed)
    async with tls.says(script, tls=context) as server:
        await _fails_to_connect(tls, word, what, mend)
        await until(lambda: server.open_count == 0)
    assert not any(heard)
    await tls.is_mended(tls=authority.server_context(tmp_path))


async def test_an_authority_of_ones_own(tls: FarSide, authority: Authority, tmp_path: Path) -> None:
    """A certificate of an authority named in `SSL_CERT_FILE` → trusted, for its own host alone"""
    await tls.is_mended(tls=authority.server_context(tmp_path))


async def _says_http(talk: Talk) -> None:
    await talk.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    await talk.gone()


async def _resets(talk: Talk) -> None:
    await talk.reader.read(1)
    talk.reset()


async def test_no_tls_where_it_is_expected(tls: FarSide) -> None:
    """https:// on a port that speaks HTTP → 502 ETLSHANDSHAKE, with the hint to write http://"""
    async with tls.says(_says_http):
        await _fails_to_connect(tls, "ETLSHANDSHAKE", "TLS handshake with localhost", "Write http://")


async def test_tls_where_none_is_expected(far: FarSide) -> None:
    """http:// on a port that speaks TLS → 502 EBADANSWER, with the hint to write https://"""

    async def script(talk: Talk) -> None:
        await talk.reader.read(1)
        await talk.send(b"\x15\x03\x01\x00\x02\x02\x46")
        talk.close()

    async with far.says(script):
        answer = await far.ask()
        error = error_of(answer)
        assert (answer.status, error["code"]) == (502, "all_accounts_failed")
        assert error["lastError"].startswith("EBADANSWER: ") and "speaks TLS" in error["lastError"]
        assert "Write https://" in error["hint"]
    await far.is_mended()


async def test_a_handshake_that_is_reset(tls: FarSide) -> None:
    """Reset within the handshake → 502 ECONNRESET: nothing was sent"""
    async with tls.says(_resets):
        answer = await tls.ask()
        assert answer.status == 502
        assert error_of(answer)["lastError"].startswith("ECONNRESET: ")


async def _says_nothing(talk: Talk) -> None:
    await talk.gone()


@pytest.mark.parametrize("script", [pytest.param(_says_nothing, id="silence")])
async def test_a_handshake_that_stalls(tls: FarSide, script: Script) -> None:
    """A handshake without an end → 504 after the connect timeout, which says that it was the handshake"""
    async with tls.says(script) as server:
        answer = await tls.ask()
        error = error_of(answer)
        assert (answer.status, error["code"]) == (504, "request_timed_out")
        assert error["message"] == f"Request timed out after {LIMIT_MS}ms"
        assert "upstream.connect_timeout_ms" in error["hint"]
        assert "TLS handshake with localhost" in error["lastError"]
        await until(lambda: server.open_count == 0)
