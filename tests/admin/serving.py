"""An ASGI app on a real socket, in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from starlette.types import ASGIApp

from headgate.tasks import TaskGroup
from tests.gateway import NO_TLS


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to pytest."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose base URL is the app's address."""
    ready = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # asyncio does it for sockets of its own making; without it each answer waits for 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = _Server(uvicorn.Config(app, lifespan="off", log_config=None), ready)
        tasks = TaskGroup()
        running = tasks.spawn(server.serve([listening]), name="served app")
        await asyncio.wait_for(ready.wait(), 10)
        port = listening.getsockname()[1]
        try:
            async with httpx.AsyncClient(
                verify=NO_TLS, base_url=f"http://127.0.0.1:{port}", trust_env=False
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await running
