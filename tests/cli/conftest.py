"""The real `headgate` command, as a process with settings and data of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headgate.cli.child import ChildGateway
from headgate.testing.process import SimulatedProvider

PROGRAM = Path(sys.executable).with_name("headgate")
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


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
        process = await self.start(*arguments, **environment)
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        try:
            out, err = await asyncio.wait_for(process.communicate(given), TIMEOUT_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    async def start(self, *arguments: str, **environment: str) -> Process:
        """Whoever calls this ends it."""
        named = () if "--config" in arguments else ("--config", str(self.config))
        return await asyncio.create_subprocess_exec(
            *(str(PROGRAM), *arguments, *named),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**self.environment, **environment},
        )

    async def add(self, name: str, *options: str) -> Outcome:
        return await self("account", "add", name, "--api-key-stdin", *options, stdin=f"sk-ant-sim-{name}\n")


@pytest.fixture
def headgate(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
async def gateway(headgate: Command) -> AsyncIterator[ChildGateway]:
    """A gateway that runs on the same settings and data as the command."""
    async with ChildGateway(headgate.folder, port=0) as running:
        yield running


@pytest.fixture
def provider() -> Any:
    with SimulatedProvider() as running:
        yield running
