"""Background tasks that cannot fail in silence.

`asyncio.create_task` is banned outside this file: a task that nobody holds may be collected
half-way, and its exception is never seen.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("headgate.server")


class TaskGroup:
    """The tasks of one owner: held while they run, reported when they fail, cancelled together."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> "asyncio.Task[Any]":
        """Start `work`. An exception is logged with its trace under the task's name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Background task %s failed", task.get_name(), exc_info=error)

    async def cancel(self) -> None:
        """Cancel what still runs and wait until it has ended. Safe to call twice."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
