"""A connection that cannot be taken."""

import asyncio

import pytest

from headgate.server.turns import TurnsProtocol


class _Untakable(TurnsProtocol):
    def __init__(self) -> None:
        """What the parent makes is not needed: it fails before."""

    def _begin(self, transport: asyncio.Transport) -> None:
        raise OverflowError("no such time")

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing was begun."""


async def test_a_connection_that_fails_at_its_start_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    """The event loop itself would leave the client waiting for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Untakable, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    writer.close()
    server.close()
    assert "A connection could not be taken" in caplog.text
