"""Both event loops: the gateway runs on uvloop, and on asyncio's own where that is missing."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from headgate.clock import SystemClock
from headgate.outbox import Outbox
from headgate.upstream.client import UpstreamClient
from tests.upstream.scripted import PATIENCE_SECONDS


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    """Closed at the end, whatever the test left open; a leak would hang there and fail."""
    client = UpstreamClient(SystemClock(), Outbox())
    yield client
    async with asyncio.timeout(PATIENCE_SECONDS):
        await client.close()
