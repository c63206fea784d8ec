"""Clients that keep us waiting."""

import asyncio
from typing import Any

from headgate.config.settings import ServerSettings
from headgate.server.watch import Watch
from headgate.timetable import Timetable
from tests.gateway import until


class _Closing(asyncio.Transport):
    """As TLS shows one: what is left of it waits where nobody sees it."""

    def __init__(self) -> None:
        self.was_cut = False

    def is_closing(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.was_cut = True


class _Connection:
    limits = ServerSettings(send_timeout_ms=100)
    resumes = 0
    is_discarding = False

    def __init__(self) -> None:
        self.transport = _Closing()


async def test_a_close_that_takes_too_long_is_cut() -> None:
    """Its client takes in nothing of what was said last."""
    connection: Any = _Connection()
    watch = Watch(asyncio.get_running_loop(), Timetable(), connection)
    await until(lambda: connection.transport.was_cut, what="the end")
    watch.stop()
