"""The connections of one client, seen from its end: nothing may be waited for that never comes."""

import asyncio

import pytest
import uvloop

from headgate.clock import SystemClock
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from tests.upstream.scripted import BODY, HEAD, NO_LIMITS, PATIENCE_SECONDS, ScriptedServer, silent


@pytest.mark.parametrize("turns", range(12))
def test_a_connect_that_is_given_up_leaves_nothing_to_wait_for(turns: int) -> None:
    """At whatever moment: uvloop never says that such a connection is lost, and a client that waits for it
    could not be closed. (asyncio's own loop has another trap: its race of addresses may forget a socket.)"""

    async def give_up() -> None:
        client = UpstreamClient(SystemClock(), Outbox())
        async with ScriptedServer(silent) as server:
            connecting = asyncio.ensure_future(client.send(server.origin, HEAD, BODY, timeouts=NO_LIMITS))
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.wait([connecting])
            async with asyncio.timeout(PATIENCE_SECONDS):
                await client.close()
            assert client._pool.open_count == 0

    uvloop.run(give_up())
