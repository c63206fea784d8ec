"""Fuzzing: requests that were damaged at random, on raw sockets.

Every example sends a crowd of connections at once (`crowds.py`).
"""

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.testing.process import SimulatedProvider
from tests.gateway import Gateway, wait_until
from tests.hostile.crowds import HASTE, Wire, cut_up, open_clients, send_all
from tests.hostile.fuzzing import DELIMITERS, fuzzed
from tests.journeys.wire import ask, fetch, request

_CROWD = 20
_FIRST = 40
"""The smallest number of words that a connection asks for: not one that a damaged `max_tokens` gives."""
_FRAGMENTS = [
    *DELIMITERS,
    *(b"content-length: 5\r\n", b"content-length: 99999999999\r\n", b"Content-Length:\r\n", b"5"),
    *(b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip, chunked\r\n", b"ffffffffffffffff\r\n"),
    *(b"host: b\r\n", b"host: a/b\r\n", b"expect: 100-continue\r\n", b"connection: close\r\n"),
    *(b"connection: upgrade\r\nupgrade: h2c\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n"),
    *(b" HTTP/1.0", b" HTTP/1.1", b" HTTP/2.0", b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"?key=x", b"/../"),
    *(b"x-api-key: wrong\r\n", b"x-headgate-account: nobody\r\n", b"content-encoding: gzip\r\n"),
    *(b"x-long: " + b"a" * 5_000 + b"\r\n", b"\\ud800", b"\xed\xa0\x80", b"\xf0\x9f"),
]
_ALLOWED = {200, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415, 417, 422, 426, 431}


def _good_requests(number: int) -> list[bytes]:
    """Of every kind; `number` is said in the answer, so that it shows whose answer it is."""
    words = f"say {number} words"
    return [
        request(body=ask(words)),
        request(body=ask(words, stream=True)),
        request(body=ask(words), chunks=4),
        request(body=ask(words), headers={"expect": "100-continue"}),
        request("/v1/models", method="GET"),
        request("/v1/files", b"some bytes", headers={"content-type": "application/octet-stream"}),
        request("/api/accounts", b'{"name":"x"}', headers={"content-type": "application/json"}),
        request("/status", method="HEAD"),
        request("/nowhere", method="GET"),
    ]


@st.composite
def _wires(draw: st.DrawFn, number: int) -> Wire:
    good = _good_requests(number)
    data = b"".join(draw(st.lists(st.sampled_from(good), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        data = draw(_damaged(data))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return Wire(cut_up(data, cuts), draw(st.sampled_from(["wait", "wait", "wait", "eof", "reset"])))


@st.composite
def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    match draw(st.sampled_from(["insert", "insert", "flip", "cut", "repeat", "truncate"])):
        case "insert":
            return data[:start] + draw(st.sampled_from(_FRAGMENTS)) + data[start:]
        case "flip":
            return data[:start] + bytes([draw(st.integers(0, 255))]) + data[start + 1 :]
        case "cut":
            return data[:start] + data[start + draw(st.integers(1, 60)) :]
        case "repeat":
            size = draw(st.integers(1, 60))
            return data[: start + size] + data[start : start + size] + data[start + size :]
        case _:
            return data[:start]


@pytest.fixture(scope="module")
def fuzzed_gateway(
    running_provider: SimulatedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    running_provider.reset()
    running_provider.keep_bytes(False)
    folder = tmp_path_factory.mktemp("fuzzed")
    with Gateway(folder, provider=running_provider.url, settings={"server": HASTE}) as running:
        yield running
    running_provider.keep_bytes(True)


def test_damaged_requests(running_provider: SimulatedProvider, fuzzed_gateway: Gateway) -> None:
    """Requests damaged at random, in random pieces → no 5xx, no hang, no leak, no bytes of others"""
    gateway = fuzzed_gateway
    crowds = st.tuples(*(_wires(_FIRST + number) for number in range(_CROWD)))

    @fuzzed(share=2 / _CROWD)
    @given(crowds)
    def run(crowd: tuple[Wire, ...]) -> None:
        answers = asyncio.run(send_all(gateway, crowd))
        for wire, received in zip(crowd, answers, strict=True):
            _check(b"".join(wire.pieces), received)

    run()
    wait_until(lambda: gateway.admin("/status")["in_flight"] == 0, what="in_flight 0")
    wait_until(lambda: open_clients(gateway) == 0, what="the end of every connection")
    assert running_provider.open_connections() <= _CROWD
    assert "Unexpected error" not in gateway.log_text()
    assert "Traceback" not in gateway.output_text(), gateway.output_text()
    assert asyncio.run(_ask(gateway)) == 200


async def _ask(gateway: Gateway) -> int:
    return (await fetch(gateway.url, request(body=ask()))).status


def _check(sent: bytes, received: bytes) -> None:
    statuses = {int(status) for status in re.findall(rb"(?:^|\n|\})HTTP/1\.1 (\d{3}) ", received)} - {100}
    assert statuses <= _ALLOWED, received
    # The words of an answer are those that were asked for on this connection.
    asked = {int(words) for words in re.findall(rb"say (\d+) words", sent)}
    answered = {int(words) for words in re.findall(rb'"output_tokens":\s*(\d+)', received)}
    assert answered & set(range(_FIRST, _FIRST + _CROWD)) <= asked, received
