import json
import subprocess
import sys

import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import ask, connect, fetch, post


async def test_provider_runs_for_as_long_as_the_block() -> None:
    async with SimulatedProvider() as provider:
        assert fetch(provider.url, post(ask()))[0] == 200
    with pytest.raises(ConnectionRefusedError), connect(provider.url):
        pass


def test_stop_is_safe_twice_and_frees_the_port_for_a_second_start() -> None:
    provider = SimulatedProvider()
    port = int(provider.start().rpartition(":")[2])
    provider.stop()
    provider.stop()
    with SimulatedProvider(port=port) as again:
        assert again.url == provider.url


def test_provider_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with SimulatedProvider() as first:
        second = SimulatedProvider(port=int(first.url.rpartition(":")[2]))
        with pytest.raises(RuntimeError, match="did not start"):
            second.start()
    assert "address already in use" in capfd.readouterr().err.lower()


def test_provider_ends_with_its_starter() -> None:
    """When the pipe to its standard input closes, as it does when the starter dies, it ends by itself."""
    command = [sys.executable, "-m", "headgate.testing.provider", "--attached"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(10) == 0


def test_unknown_control_route_is_refused(provider: SimulatedProvider) -> None:
    status, _, body = fetch(provider.url, b"GET /_sim/nothing HTTP/1.1\r\nhost: s\r\n\r\n")
    assert (status, b"unknown control route" in body) == (404, True)
