"""How a connection comes about: addresses in turn, none of them our own."""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headgate.clock import SystemClock
from headgate.errors import LoopDetected
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from headgate.upstream.dialing import _connect_any, in_turns, is_own
from headgate.upstream.timeouts import Timeouts
from tests.upstream.scripted import BODY, HEAD, ScriptedServer, Talk, silent


def found(host: str, port: int = 80) -> Any:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes no more connections and refuses none: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        while True:
            waiting.append(socket.socket())
            waiting[-1].settimeout(0.1)
            try:
                waiting[-1].connect(listening.getsockname())
            except TimeoutError:
                break
        yield listening.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_families_alternate_and_the_first_stays_first() -> None:
    """RFC 8305, section 4."""
    six, four = [found(f"::{n}") for n in (1, 2, 3)], [found(f"10.0.0.{n}") for n in (1, 2)]
    assert in_turns([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert in_turns(four) == four
    assert in_turns([]) == []


async def test_an_address_that_leads_nowhere_costs_a_quarter_of_a_second(black_hole: int) -> None:
    """Not the whole time to connect."""
    async with ScriptedServer(silent) as server:
        began = time.monotonic()
        sock = await _connect_any([found("127.0.0.1", black_hole), found("127.0.0.1", server.port)])
        assert sock.getpeername()[1] == server.port
        assert 0.2 < time.monotonic() - began < 5
        sock.close()


async def test_an_address_that_refuses_costs_nothing() -> None:
    """The next one is tried at once; when all refuse the last refusal is told."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with ScriptedServer(silent) as server:
        sock = await _connect_any([found("127.0.0.1", port), found("127.0.0.1", server.port)])
        assert sock.getpeername()[1] == server.port
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        await _connect_any([found("127.0.0.1", port), found("127.0.0.1", port)])


async def test_giving_up_leaves_no_socket_open(black_hole: int) -> None:
    """A client that leaves while its request is being connected."""
    both = [found("127.0.0.1", black_hole), found("127.0.0.1", black_hole)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await _connect_any(both)


@pytest.mark.parametrize(
    ("own", "peer", "local", "expected"),
    [
        (("127.0.0.1", 8080), ("127.0.0.1", 8080), ("127.0.0.1", 5), True),
        (("127.0.0.1", 8080), ("127.0.0.1", 8081), ("127.0.0.1", 5), False),
        (("127.0.0.1", 8080), ("127.0.0.2", 8080), ("127.0.0.1", 5), False),
        (("0.0.0.0", 8080), ("127.0.0.2", 8080), ("127.0.0.1", 5), True),
        (("0.0.0.0", 8080), ("10.0.0.7", 8080), ("10.0.0.7", 5), True),
        (("0.0.0.0", 8080), ("10.0.0.8", 8080), ("10.0.0.7", 5), False),
        (("::", 8080, 0, 0), ("::1", 8080, 0, 0), ("::1", 5, 0, 0), True),
        (("::", 8080, 0, 0), ("127.0.0.1", 8080), ("127.0.0.1", 5), True),
        (("::", 8080, 0, 0), ("fe80::1%eth0", 8080, 0, 2), ("fe80::2%eth0", 5, 0, 2), False),
    ],
)
def test_whose_port_it_is(own: Any, peer: Any, local: Any, expected: bool) -> None:
    """Another machine's port of the same number is another's."""
    assert is_own(own, peer, local) is expected


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_is_said_to_ourselves(scheme: str) -> None:
    """The connection closes before a byte of the request: it may carry an account's key."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(talk: Talk) -> None:
        heard.put_nowait(await talk.reader.read(1))

    async with ScriptedServer(script) as server:
        own = ("127.0.0.1", server.port)
        client = UpstreamClient(SystemClock(), Outbox(), own_address=own)
        with pytest.raises(LoopDetected) as caught:
            origin = server.origin._replace(scheme=scheme)
            await client.send(origin, HEAD, BODY, timeouts=Timeouts(connect=5))
        assert caught.value.reason == "ELOOP" and "base URL" in caught.value.hint
        assert await heard.get() == b""
        await client.close()
