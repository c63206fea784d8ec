"""The processes that a recorder can be: the gateway's own program divided, or started anew.

Divided is what the first one of a gateway on Linux is. It has all its modules loaded then (0.6 s of CPU
otherwise) and shares their memory with the gateway. Only a process without threads can be divided safely, so
that happens before the gateway has an event loop, and every later recorder is a new program.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from headgate.record.process import main

NAME = "headgate-record"
"""What `ps` and `top` call a divided recorder, in the 15 characters that there are for it."""


class RecorderLife(Protocol):
    """One process, from its start to its exit code."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None:
        """As `subprocess` has it: negative is the number of a signal, None is alive."""

    def tell(self, line: bytes) -> None:
        """Write into its input. Returns at once, and says nothing of a process that is gone."""

    def end_input(self) -> None: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


class Divided:
    """A recorder that waits for its order. Whoever made it goes: its input closes, and it ends."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told
        self._end = os.pidfd_open(pid)
        self._ended: asyncio.Future[int] | None = None

    def tell(self, line: bytes) -> None:
        with suppress(OSError):  # it is gone, or has not read the settings of fifty reloads
            os.write(self._told, line)

    def end_input(self) -> None:
        told, self._told = self._told, -1
        if told >= 0:
            os.close(told)

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        if self._ended is None:
            loop = asyncio.get_running_loop()
            self._ended = loop.create_future()
            loop.add_reader(self._end, self._reap, loop)
        return await asyncio.shield(self._ended)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._end)
        os.close(self._end)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self.end_input()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self.returncode)


class Started:
    """A new program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls) -> "Started":
        """Raises OSError when there is no memory or no process left."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # no module of the working folder stands in for one of ours
                "-m",
                "headgate.record",
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl+C in the terminal is for the gateway alone
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def tell(self, line: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line)

    def end_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        self._process.kill()

    async def wait(self) -> int:
        return await self._process.wait()


def divide() -> Divided | None:
    """A recorder out of this process, which must have no other thread; None where that is not possible.

    The child never returns from here.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    gc.freeze()  # a search for garbage would touch, and so copy, what the two have in common
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no memory or no process left: it is tried again when it is needed
        os.close(reading)
        os.close(writing)
        return None
    if pid:
        os.close(reading)
        os.set_blocking(writing, False)
        return Divided(pid, writing)
    code = 1
    try:
        os.close(writing)
        code = _be_the_recorder(reading)
    finally:
        # Not by the way out of the gateway's program, which would end what is the gateway's.
        os._exit(code)


def _be_the_recorder(told: int) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.dup2(told, 0)
    os.close(told)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    code = main()
    logging.shutdown()
    return code
