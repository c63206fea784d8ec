"""A gateway and, behind one of its accounts, a provider that says byte for byte what a test wants."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.journeys.wire import Answer, ask, fetch, request
from tests.upstream.scripted import Script, ScriptedServer, Talk

LIMIT_MS = 400
"""Of connecting, of the first byte and of silence; of a whole request three times that."""
PATIENT_MS = 10_000
"""The same for tests that wait for none of these."""
TO_FAR = {"x-headgate-account": "far"}
"""The request is for that account alone: nobody else helps."""
PLAIN = request(body=ask("say 40 words"), headers=TO_FAR)
STREAM = request(body=ask("say 40 words", stream=True), headers=TO_FAR)
TO_ANYBODY = request(body=ask("say 40 words"))
GOOD_BODY = b'{"type":"message","usage":{"input_tokens":3,"output_tokens":5}}'
GOOD_LINES = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(GOOD_BODY)
GOOD = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (GOOD_LINES, GOOD_BODY)
EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_HOUR = 3600.0


class FarSide:
    """The gateway, and what stands for the provider of its account `far`."""

    def __init__(self, gateway: Gateway, clock: SharedClock, port: int) -> None:
        self.gateway = gateway
        self.clock = clock
        self.port = port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, script: Script, *, tls: ssl.SSLContext | None = None) -> ScriptedServer:
        """The provider for as long as the block lasts."""
        return ScriptedServer(script, port=self.port, tls=tls)

    async def ask(self, data: bytes = PLAIN) -> Answer:
        return await fetch(self.gateway.url, data)

    def rest(self) -> None:
        """What happened before is an hour ago: nobody has to rest any more."""
        self.clock.advance(_HOUR)

    def account(self) -> dict[str, Any]:
        return self.gateway.account("far")

    def check_unharmed(self) -> None:
        assert self.gateway.is_alive
        wait_until(lambda: self.gateway.admin("/status")["in_flight"] == 0, what="Nothing in flight")
        assert self.gateway.admin("/status")["open_streams"] == 0
        assert "Unexpected error" not in self.gateway.log_text()
        assert "Traceback" not in self.gateway.output_text()

    async def is_mended(self, *, tls: ssl.SSLContext | None = None) -> None:
        """The account serves again once its provider does."""
        self.rest()
        async with self.says(answering(GOOD), tls=tls):
            answer = await self.ask()
            assert (answer.status, answer.body) == (200, GOOD_BODY)


@contextmanager
def far_gateway(
    folder: Path,
    provider: SimulatedProvider,
    *,
    address: str = "http://127.0.0.1:{port}",
    proxy: str | None = None,
    limit_ms: int = LIMIT_MS,
    total_ms: int = 0,
    buffered_bytes: int = 536_870_912,
    environment: dict[str, str] | None = None,
) -> Iterator[FarSide]:
    """`address` is the account's base URL, `proxy` its outbound proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    accounts = [
        {
            "name": "far",
            "api_key": "sk-ant-sim-far",
            "base_url": address.format(port=port),
            "proxy": proxy and proxy.format(port=port),
            "priority": 0,
        },
        {"name": "good", "api_key": "sk-ant-sim-good", "base_url": provider.url, "priority": 1},
    ]
    settings = {
        "server": {"request_timeout_ms": 3 * limit_ms, "max_buffered_bytes": buffered_bytes},
        "upstream": {
            "connect_timeout_ms": limit_ms,
            "first_byte_timeout_ms": limit_ms,
            "idle_timeout_ms": limit_ms,
            "total_timeout_ms": total_ms,
        },
        "retry": {"attempts": 1},
    }
    clock = SharedClock(folder / "clock")
    with Gateway(
        folder, accounts=accounts, settings=settings, clock=folder / "clock", environment=environment
    ) as gateway:
        before = _descriptors(gateway.pid)
        yield FarSide(gateway, clock, port)
        # A connection to each provider may rest.
        wait_until(lambda: _descriptors(gateway.pid) <= before + 4, what="No descriptor left behind")
    clock.close()


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def answering(*answers: bytes) -> Script:
    """One answer per request of a connection, the last one again and again, until the gateway closes."""

    async def script(talk: Talk) -> None:
        count = 0
        while await talk.request():
            await talk.send(answers[min(count, len(answers) - 1)])
            count += 1

    return script


def error_of(answer: Answer) -> dict[str, Any]:
    """The error of our own in an answer; its code stands in the header too."""
    error: dict[str, Any] = answer.json()["error"]
    assert answer.headers["x-headgate-error"] == error["code"]
    return error


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
