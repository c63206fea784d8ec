"""A gateway as a child process, in a folder of its own: what `headgate demo` shows.

Nothing of the user's own gateway is touched: settings, database, key and log are in that folder, and no
variable of the environment that would set something reaches the child.
"""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from pathlib import Path
from typing import Self

from headgate.cli.terminal import CommandFailed
from headgate.config import environment, places
from headgate.tasks import TaskGroup

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 20.0
LAST_LINES = 20
"""Of its output, shown when it does not start."""

_ADDRESS = re.compile(r"Server running on (http://\S+)")
# A terminal would be coloured by escape codes inside the line that is looked for.
_SETTINGS = """\
server: {{host: 127.0.0.1, port: {port}, shutdown_grace_seconds: 5}}
pricing: {{refresh_hours: 0}}
log: {{level: info, format: pretty, color: never, file: {log_file}}}
"""


class ChildGateway:
    """Use it as an async context manager; it is up when entered and gone when left."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: Process | None = None
        self._tasks = TaskGroup()
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._address: asyncio.Future[str] | None = None
        self._is_ending = False
        """It closed its output, which only its end does."""
        self.settings_file = folder / "config.yaml"
        self.url = ""

    async def __aenter__(self) -> Self:
        log_file = self._folder / "headgate.log"
        self.settings_file.write_text(_SETTINGS.format(port=self._port, log_file=log_file), encoding="utf-8")
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        # A session of its own: Ctrl+C in the terminal reaches us alone, and we end the child in order.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headgate.cli.app", "serve", "--config", str(self.settings_file)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=child_environment(environment.current(), self._folder),
            cwd=self._folder,  # another `.env` than ours
            start_new_session=True,
        )
        self._address = asyncio.get_running_loop().create_future()
        self._tasks.spawn(self._listen(self._process, self._address), name="gateway output")
        try:
            self.url = await asyncio.wait_for(asyncio.shield(self._address), START_TIMEOUT_SECONDS)
        except (TimeoutError, EOFError) as error:
            raise _did_not_start(list(self._lines)) from error

    async def _listen(self, process: Process, address: "asyncio.Future[str]") -> None:
        """Reads its output to the end: a full pipe would stop the gateway."""
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self._lines.append(line)
            if not address.done() and (found := _ADDRESS.search(line)):
                address.set_result(found[1].rstrip("/"))
        self._is_ending = True
        if not address.done():
            address.set_exception(EOFError())

    async def ended(self) -> int:
        """Waits until it ends by itself; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, insist after a while. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            if not self._is_ending:
                # Sending a signal looks for the exit code first: of a process that has just ended it would
                # be taken away from asyncio, which then complains on standard error.
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        await self._tasks.cancel()


def _did_not_start(lines: list[str]) -> CommandFailed:
    """In the child's own words where it had them (`print_failure`), else all that it printed."""
    told = {label: words for label, _, words in (line.strip().partition(": ") for line in lines)}
    if "why" in told:
        return CommandFailed("The gateway did not start", told["why"], told.get("mend", ""))
    said = "\n".join(lines) or "it printed nothing"
    return CommandFailed("The gateway did not start", said, "headgate serve shows the same in full.")


def child_environment(ours: dict[str, str], folder: Path) -> dict[str, str]:
    """Ours, without whatever sets something in Headgate, with the data folder."""
    prefixes = tuple(prefix for prefix in environment.OTHER_PREFIXES if prefix)
    kept = {
        name: value
        for name, value in ours.items()
        if name.upper() not in environment.ALIASES
        and name.upper() not in environment.CONFIG_ALIASES
        and not name.upper().startswith(prefixes)
    }
    return {**kept, places.DATA_VARIABLE: str(folder / "data")}
