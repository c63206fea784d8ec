"""Parts of uvicorn's connection, as small as a connection that waits for hours wants them.

What uvicorn makes for each, an event and two double-ended queues, takes more memory than all the rest of it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """Reading and writing held back and let go, with nothing to wait on made before somebody waits."""

    __slots__ = ("_waiters",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False
        self._waiters: list[asyncio.Future[None]] | None = None

    async def drain(self) -> None:
        while self.write_paused:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)


class Pipeline(list[Any]):
    """The requests that uvicorn lets wait: used as it uses a deque, never long."""

    __slots__ = ()

    def appendleft(self, waiting: Any) -> None:
        self.insert(0, waiting)

    def popleft(self) -> Any:
        return self.pop(0)
