"""A request whose key is being looked at: what of it comes meanwhile is kept, and an end is noticed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Message, Receive

from headgate.errors import ClientLeft, TooManyGuesses
from headgate.tasks import TaskGroup

_MOST_KEPT_BYTES = 65_536
"""Of a body, while its request waits at the door."""


class Heard:
    """A request's body while the request waits: what comes is kept for the app, and an end is noticed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []

    async def receive(self) -> Message:
        return self._kept.pop(0) if self._kept else await self._receive()

    async def unless_gone(self, work: Coroutine[Any, Any, bool], left: asyncio.Event | None) -> bool:
        """What `work` finds out. Raises ClientLeft, and gives the work up, when nobody waits for it.

        `left`: what tells so where the body must not be asked for.
        """
        tasks = TaskGroup()
        working = tasks.spawn(_outcome(work), name="a key at the door")
        going = left.wait() if left is not None else self._is_gone()
        watching = tasks.spawn(going, name="a client at the door")
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and watching.result():
                raise ClientLeft("The client left before its key was looked at")
            outcome: bool | TooManyGuesses = await working
            if isinstance(outcome, TooManyGuesses):
                raise outcome
            return outcome
        finally:
            await tasks.cancel()

    async def _is_gone(self) -> bool:
        """After the end of the connection; False where more of the body came than is kept."""
        size = 0
        while size < _MOST_KEPT_BYTES:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return True
            self._kept.append(message)
            size += len(message.get("body", b""))
        return False


async def _outcome(work: Coroutine[Any, Any, bool]) -> bool | TooManyGuesses:
    """A refusal as a value: it is no failure of the task."""
    try:
        return await work
    except TooManyGuesses as refusal:
        return refusal
