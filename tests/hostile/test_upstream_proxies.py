"""An outbound proxy that is none, or a bad one: bounded, told, and the other accounts serve."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway
from tests.hostile.far_side import LIMIT_MS, TO_ANYBODY, FarSide, error_of, far_gateway
from tests.journeys.wire import ask, fetch, request
from tests.proxies import ONLY_BEHIND, RealProxy, TlsFront
from tests.upstream.scripted import Script, Talk, closing_after, silent

SECRET = "s3cr3t-of-the-proxy"


@pytest.fixture(scope="module")
def running_behind(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FarSide]:
    """The account `far` is reached by a proxy, and the proxy is what a test scripts."""
    proxy, address = f"http://me:{SECRET}@127.0.0.1:{{port}}", "https://api.example.com"
    folder = tmp_path_factory.mktemp("proxies")
    with far_gateway(folder, running_provider, address=address, proxy=proxy) as far:
        yield far


@pytest.fixture
def behind(running_behind: FarSide, provider: SimulatedProvider) -> Iterator[FarSide]:
    running_behind.rest()
    yield running_behind
    running_behind.check_unharmed()


def saying_endlessly(start: bytes, piece: bytes, *, pause: float = 0.0) -> Script:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.send(start)
        while True:
            await talk.send(piece)
            await asyncio.sleep(pause)

    return script


async def resetting(talk: Talk) -> None:
    await talk.request()
    talk.reset()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(closing_after(b"\x00\xff" * 200), "EPROXY: ", id="garbage"),
        pytest.param(closing_after(b"220 mail.example.com ESMTP\r\n"), "EPROXY: ", id="mail server"),
        pytest.param(
            saying_endlessly(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 999), "no end", id="endless head"
        ),
        pytest.param(saying_endlessly(b"HTTP/1.1 200 ", b"O" * 9999), "no end", id="endless line"),
        pytest.param(
            saying_endlessly(b"", b"HTTP/1.1 100 Wait\r\n\r\n" * 99), "without end", id="1xx for ever"
        ),
        pytest.param(
            saying_endlessly(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", pause=0.02), "ETIMEDOUT", id="drip"
        ),
        pytest.param(silent, f"did not answer CONNECT api.example.com:443 within {LIMIT_MS} ms", id="hangs"),
        pytest.param(
            closing_after(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), "EPROXY: ", id="two answers"
        ),
        pytest.param(
            closing_after(b"HTTP/1.1 403 " + b"<b>" * 3000 + b"\r\n\r\n"), "403 <b>", id="long words"
        ),
        pytest.param(closing_after(b""), "EOF: ", id="closes"),
        pytest.param(resetting, "ECONNRESET: ", id="resets"),
        pytest.param(closing_after(b"HTTP/1.1 407 No\r\n\r\n"), "EPROXYAUTH: ", id="407"),
    ],
)
async def test_a_proxy_that_makes_no_tunnel(behind: FarSide, script: Script, words: str) -> None:
    """A proxy opens no tunnel → in bounded time an error that names it; the next account serves"""
    async with behind.says(script):
        answer = await behind.ask()
        error = error_of(answer)
        assert (answer.status, answer.is_whole) == (
            504 if "within" in words or words == "ETIMEDOUT" else 502,
            True,
        )
        assert words in error["lastError"] and len(error["lastError"]) < 500
        assert f"http://127.0.0.1:{behind.port}" in error["lastError"]
        (attempt,) = behind.gateway.record_of(answer.id)["attempts"]
        assert attempt["error"] in ("proxy_failed", "proxy_wants_credentials", "upstream_timed_out")
        assert attempt["rests_until"] and attempt["duration_ms"] < 3 * LIMIT_MS
        behind.rest()
        other = await behind.ask(TO_ANYBODY)
        assert (other.status, behind.gateway.record_of(other.id)["account"]) == (200, "good")
    said = [answer.body.decode(), behind.gateway.log_text(), behind.gateway.output_text()]
    assert not [text for text in said if SECRET in text]


async def test_a_proxy_that_dies_in_the_middle(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A proxy dies in the middle of a stream → an error event ends it"""
    stream = request(body=ask("say 40 words", stream=True))
    provider.script("sk-ant-sim-one", rules=[{"fault": "hang", "stage": "mid_body", "event": 5}])
    with TlsFront(tmp_path, provider.url) as front, RealProxy(tmp_path) as proxy:
        accounts = [{"name": "one", "api_key": "sk-ant-sim-one", "base_url": front.url, "proxy": proxy.url()}]
        environment = {"SSL_CERT_FILE": str(front.trusted)}
        with Gateway(tmp_path, accounts=accounts, environment=environment) as gateway:
            host, port = gateway.address
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(stream)
            began = await reader.readuntil(b"content_block_delta")
            assert began.startswith(b"HTTP/1.1 200")
            proxy.kill()
            rest = await asyncio.wait_for(reader.readuntil(b"event: error"), 20)
            assert b"message_stop" not in rest
            writer.close()
            later = await fetch(gateway.url, request(body=ask("hello")))
            assert later.status == 502 and proxy.url() in error_of(later)["lastError"]
            assert gateway.is_alive


async def test_a_proxy_that_leads_back(tmp_path: Path, provider: SimulatedProvider) -> None:
    """A proxy leads back to this gateway, or is this gateway → an ELOOP error, after one time round"""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = f"http://127.0.0.1:{port}"
    with RealProxy(tmp_path) as proxy:
        accounts = [
            {"name": "round", "api_key": "sk-ant-sim-one", "base_url": here, "proxy": proxy.url()},
            {"name": "itself", "api_key": "sk-ant-sim-two", "base_url": provider.url, "proxy": here},
        ]
        gateway = Gateway(tmp_path, accounts=accounts, settings={"retry": {"attempts": 1}})
        gateway.listen_on(port)
        with gateway:
            for name, words in (("round", "leads back"), ("itself", "is this gateway itself")):
                body = ask(f"hello {name}")
                answer = await fetch(gateway.url, request(body=body, headers={"x-headgate-account": name}))
                assert words in error_of(answer)["lastError"], error_of(answer)
                assert "ELOOP" in error_of(answer)["lastError"]
            assert ONLY_BEHIND not in gateway.log_text()
