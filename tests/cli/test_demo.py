"""`headgate demo` from the outside."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx

from headgate.cli import demo_traffic
from tests.cli.conftest import Command


async def test_the_demo_shows_a_failover_and_a_stream_and_leaves_nothing(
    headgate: Command, tmp_path: Path
) -> None:
    """With --once it ends by itself with 0; every process and file of it is gone."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    outcome = await headgate("demo", "--once", TMPDIR=str(temporary), HEADGATE_SERVER__PORT="1", PORT="1")
    assert outcome.code == 0, outcome.err
    assert "9 of 9 conversations answered" in outcome.out
    assert demo_traffic.REPLY in outcome.out
    states = {line.split()[0]: line.split()[2] for line in outcome.out.splitlines() if line[:4] in NAMES}
    assert states == {"work": "active", "team": "rate_limited", "spare": "active"}
    assert "Without --once it runs on" in outcome.out
    assert "with curl, or with Claude Code" in outcome.out
    assert "curl http" not in outcome.out
    assert [one.name for one in temporary.iterdir() if one.name.startswith("headgate-demo")] == []
    url = outcome.out.partition("Gateway on ")[2].split(",")[0]
    assert await is_gone(url)
    assert not headgate.data.exists()


NAMES = ("work", "team", "spar")


async def is_gone(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            await client.get(url + "/health")
        except httpx.ConnectError:
            return True
    return False


async def test_a_stopped_demo_stops_all_it_started(headgate: Command, tmp_path: Path) -> None:
    """In the middle of the show too: gateway, provider and folder go with it."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = await headgate.start("demo", TMPDIR=str(temporary))
    assert process.stdout is not None
    url = ""
    async with asyncio.timeout(60):
        while not url:
            line = (await process.stdout.readline()).decode()
            assert line, "It ended before it had an address."
            url = line.partition("Gateway on ")[2].split(",")[0]
    os.kill(process.pid, signal.SIGTERM)
    rest, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, rest.decode().splitlines()[-1]) == (0, "Stopped.")
    assert await is_gone(url)
    assert [one.name for one in temporary.iterdir() if one.name.startswith("headgate-demo")] == []


async def test_without_a_terminal_it_stays_too(headgate: Command) -> None:
    """A script can use what is printed, until it ends the demo."""
    process = await headgate.start("demo", "--port", "0")
    assert process.stdout is not None
    shown = ""
    async with asyncio.timeout(60):
        while "Running until Ctrl+C." not in shown:
            line = (await process.stdout.readline()).decode()
            assert line, shown
            shown += line
    url = shown.partition("ANTHROPIC_BASE_URL=")[2].split()[0]
    assert not await is_gone(url)
    data, _, words = shown.partition("HEADGATE_DATA_DIR=")[2].partition(" headgate ")
    asked = await headgate(*words.split()[:1], HEADGATE_DATA_DIR=data)
    assert url in asked.out, asked
    process.terminate()
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert await is_gone(url)


async def test_on_a_terminal_it_stays_to_be_tried(headgate: Command) -> None:
    """What it prints to try is there until Ctrl+C."""
    async with headgate.on_terminal("demo") as terminal:
        await terminal.shows("Running until Ctrl+C.")
        url = terminal.shown.partition("ANTHROPIC_BASE_URL=")[2].split()[0]
        assert f"curl {url}/v1/messages" in terminal.shown
        assert not await is_gone(url)
        assert await terminal.interrupt() == 0
    assert await is_gone(url)


async def test_a_taken_port_is_said_once(headgate: Command) -> None:
    """The child's why and mend are the demo's own, not a failure inside a failure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = await headgate("demo", "--once", "--port", str(taken.getsockname()[1]))
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 3, outcome.err
    error, why, mend = outcome.err.splitlines()
    assert error == "error: The gateway did not start"
    assert why.startswith("  why: Address already in use")
    assert mend.startswith(" mend: Choose another port")
