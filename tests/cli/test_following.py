"""`headgate requests --follow` and what becomes of it."""

import asyncio
import json
import signal

from headgate.cli.child import ChildGateway
from headgate.testing.process import SimulatedProvider
from tests.cli.conftest import TIMEOUT_SECONDS, Command
from tests.cli.test_requests import send
from tests.gateway import Gateway


async def test_it_outlives_a_restart_and_misses_nothing(
    headgate: Command, gateway: Gateway, provider: SimulatedProvider
) -> None:
    """Said when the gateway goes and when it is back; each request once; Ctrl+C ends it with 130, quietly."""
    await headgate.add("work", "--base-url", provider.url)
    ids = [await send(gateway)]
    following = await headgate.start("requests", "--follow", "--json", "--since", "1h")
    assert following.stdout is not None and following.stderr is not None
    shown: list[str] = []

    async def next_one() -> str:
        assert following.stdout is not None
        found: str = json.loads(await following.stdout.readline())["id"]
        return found

    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            shown.append(await next_one())
            gateway.stop()
            assert b"The gateway has gone" in await following.stderr.readline()
            async with ChildGateway(headgate.folder, port=0) as again:
                ids += [await send(again), await send(again)]
                assert b"It is back." in await following.stderr.readline()
                shown += [await next_one(), await next_one()]
                following.send_signal(signal.SIGINT)
                out, err = await following.communicate()
    finally:
        if following.returncode is None:
            following.kill()
            await following.wait()
    assert shown == ids
    assert (following.returncode, out, err) == (130, b"", b"")
