"""The real `headgate` command, as a process with settings and data of its own."""

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests import starts
from tests.gateway import Gateway
from tests.starts import PROGRAM

__all__ = ["PROGRAM"]


TIMEOUT_SECONDS = 60.0
_PATIENCE_WITH_CTRL_C_SECONDS = 3.0


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class OnTerminal:
    """A command whose standard input, output and error are a terminal."""

    def __init__(self, process: Process, screen: int) -> None:
        self.process = process
        self._screen = screen
        self.shown = ""

    async def shows(self, words: str) -> None:
        """Reads until the words are there."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while words not in self.shown:
                self.shown += (await asyncio.to_thread(os.read, self._screen, 4096)).decode()

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    async def interrupt(self) -> int:
        """Ctrl+C, which a terminal turns into this signal; the exit code. Once more after a while: Python
        does not see a signal that comes between its last look and the wait for input."""
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(self.ended())
            while not ended.done():
                self.process.send_signal(signal.SIGINT)
                await asyncio.wait({ended}, timeout=_PATIENCE_WITH_CTRL_C_SECONDS)
        return ended.result()

    async def ended(self) -> int:
        """Its exit code; all that it still said is in `shown`."""
        try:
            while True:
                await self.shows("\N{NULL}")
        except OSError:  # what a terminal answers when nobody holds its other end any more
            return await asyncio.wait_for(self.process.wait(), TIMEOUT_SECONDS)


class Command:
    """Runs `headgate …` on the settings and the data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.data = folder / "data"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "COLUMNS": "100",
            "HEADGATE_DATA_DIR": str(self.data),
        }

    async def __call__(self, *arguments: str, stdin: str | bytes = "", **environment: str) -> Outcome:
        named = () if "--config" in arguments else ("--config", str(self.config))
        ended = await asyncio.to_thread(
            starts.run,
            [*arguments, *named],
            folder=Path.cwd(),
            environment={**self.environment, **environment},
            stdin=stdin if isinstance(stdin, bytes) else stdin.encode(),
            timeout=TIMEOUT_SECONDS,
        )
        return Outcome(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    async def start(self, *arguments: str, stdout: int = PIPE, **environment: str) -> Process:
        """Whoever calls this ends it."""
        named = () if "--config" in arguments else ("--config", str(self.config))
        return await asyncio.create_subprocess_exec(
            *(str(PROGRAM), *arguments, *named),
            stdin=PIPE,
            stdout=stdout,
            stderr=PIPE,
            env={**self.environment, **environment},
        )

    @asynccontextmanager
    async def on_terminal(self, *arguments: str, **environment: str) -> AsyncIterator[OnTerminal]:
        screen, ours = os.openpty()
        try:
            # A session of its own: a question must not reach the terminal that the tests run on.
            process = await asyncio.create_subprocess_exec(
                *(str(PROGRAM), *arguments, "--config", str(self.config)),
                stdin=ours,
                stdout=ours,
                stderr=ours,
                env={**self.environment, **environment},
                start_new_session=True,
            )
        finally:
            os.close(ours)
        try:
            yield OnTerminal(process, screen)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(screen)

    async def add(self, name: str, *options: str) -> Outcome:
        return await self("account", "add", name, "--api-key-stdin", *options, stdin=f"sk-ant-sim-{name}\n")


@pytest.fixture
def headgate(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
async def gateway(headgate: Command) -> AsyncIterator[Gateway]:
    """A gateway that runs on the same settings and data as the command; nothing is set."""
    with Gateway(headgate.folder, accounts=(), settings={"access": {"api_keys": []}}) as running:
        yield running


@pytest.fixture
def provider() -> Any:
    with SimulatedProvider() as running:
        yield running
